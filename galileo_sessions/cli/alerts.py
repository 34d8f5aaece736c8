"""`--fail-above` and `--fail-below`."""

from __future__ import annotations

import re
from decimal import Decimal

import click
from attrs import frozen

from galileo_sessions.cli.failures import Tally


@frozen
class Limit:
    """A number of sessions, or a percentage of the sessions of the same scope and period, whatever the filter."""

    written: str
    number: Decimal
    percent: bool

    def excess(self, tally: Tally) -> Decimal:
        """Above 0 if there are more sessions than the limit, and below 0 if there are fewer."""
        return tally.total * 100 - self.number * tally.unfiltered if self.percent else tally.total - self.number


def read_limit(_: click.Context, option: click.Parameter, written: str | None) -> Limit | None:
    """The limit for an option such as 100 or 10%."""
    if written is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", written, re.ASCII)
    if found is None:
        raise click.BadParameter(f"{written!r} must be a number such as 100, or a share such as 10%.", param=option)
    return Limit(written, Decimal(found[1]), bool(found[2]))


def alerts(above: Limit | None, below: Limit | None, tally: Tally) -> list[str]:
    """What is wrong with the total; empty if it is within the limits."""
    limits = [("above", above, 1), ("below", below, -1)]
    return [
        f"{tally.total:,}{f' of {tally.unfiltered:,}' * limit.percent} is {name} {limit.written}"
        for name, limit, sign in limits
        if limit is not None and sign * limit.excess(tally) > 0
    ]
