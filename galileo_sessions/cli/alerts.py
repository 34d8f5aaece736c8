"""`--fail-above` and `--fail-below`: a number of sessions, or a percentage of those of the same scope and period."""

from __future__ import annotations

import re
from decimal import Decimal

import click

from galileo_sessions.cli.failures import Tally


def check_limit(_: click.Context, option: click.Parameter, limit: str | None) -> str | None:
    """The limit itself, if it is a number such as 100, or a percentage such as 10%."""
    if limit is not None and not re.fullmatch(r"\d+(\.\d+)?%?", limit, re.ASCII):
        raise click.BadParameter(f"{limit!r} must be a number such as 100, or a share such as 10%.", param=option)
    return limit


def alerts(above: str | None, below: str | None, tally: Tally) -> list[str]:
    """What is wrong with the total; empty if it is within the limits."""
    found: list[str] = []
    for name, limit, sign in ("above", above, 1), ("below", below, -1):
        if limit is not None:
            number, percent = Decimal(limit.rstrip("%")), limit.endswith("%")
            excess = tally.total * 100 - number * tally.unfiltered if percent else tally.total - number
            if excess * sign > 0:
                found.append(f"{tally.total:,}{f' of {tally.unfiltered:,}' * percent} is {name} {limit}")
    return found
