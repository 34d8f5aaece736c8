"""Reads the options: the filter, the timeout, the period and its parts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO, TypeAlias

import click
from attrs import evolve

from galileo_sessions.api.projects import LogStream, Project
from galileo_sessions.api.query import ANY_PROJECT, CountQuery, load_query, query_of
from galileo_sessions.arguments import as_seconds
from galileo_sessions.cli.wording import Refused, read_option
from galileo_sessions.counting.checks import MAX_ASKED
from galileo_sessions.counting.limits import Limit
from galileo_sessions.errors import (
    ConfigurationError,
    GalileoError,
    NotFoundError,
    PermissionDeniedError,
)
from galileo_sessions.filters.calendar import LENGTHS, Unit, after_gap, read_time, zone_of
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.nodes import ALWAYS, NEVER, Filter
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.plain_data import json_object, strict_json
from galileo_sessions.filters.text import parse_filter

Columns: TypeAlias = Callable[[Project | LogStream], Awaitable[ColumnCatalog]]
"""Requests the columns of a project, or of a log stream."""

_EDGE = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_ENDS_A_DAY = re.compile(r"today|yesterday|\d{4}-\d\d-\d\d", re.ASCII)
_UNITS: dict[str, Unit] = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}


def read_query(text: str | None, file: BinaryIO | None, **scope: Any) -> CountQuery:
    """The query for sessions that satisfy both filters, in a saved query's project and scope."""
    if text is not None and text.lstrip().startswith(("{", "[")):
        raise Refused("--where looks like JSON. Write --where-json FILE; - is stdin")
    where = ALWAYS if text is None else read_option("--where", parse_filter, text)
    saved = CountQuery(ANY_PROJECT)
    if file is not None:
        tree = read_option("--where-json isn't JSON", strict_json, file.read())
        saved = read_option("--where-json", _load_saved, tree)
    where &= saved.where
    if where == NEVER:
        reason = "it is NEVER, or an any_of or an or in it is empty"
        raise Refused(f"no session satisfies this filter: {reason}")
    template = CountQuery(ANY_PROJECT, **scope)
    return query_of(template, evolve(saved, where=where))


def _load_saved(tree: object) -> CountQuery:
    """Reads what `dump_filter` or `dump_query` returned."""
    entries = json_object(tree)
    if {"project_id", "filter_tree", "filters"}.isdisjoint(entries):
        entries = {"filter_tree": entries}
    return load_query({"project_id": ANY_PROJECT, **entries})


def read_seconds(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """The seconds of a length of time, such as 5, 0.5, 30s or 5m."""
    if text is None:
        return None
    seconds = 0.0
    if length := re.fullmatch(r"(\d*\.?\d+)([smhdw]?)", text, re.ASCII):
        unit = LENGTHS.get(length[2], timedelta(seconds=1))
        seconds = float(length[1]) * unit.total_seconds()
    if not seconds:
        problem = f"{text!r} must be seconds such as 30, or a time such as 30s, 5m or 1h."
        raise click.BadParameter(problem)
    return as_seconds(seconds)


def read_limit(_: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """A limit such as 100 or 10%, if it can be one."""
    if text is not None:
        try:
            _limit = Limit.of(text, is_upper=option.name == "fail_above")
        except ConfigurationError as error:
            raise click.BadParameter(f"{error.message}.") from None
    return text


# ---- the period and its parts --------------------------------------------------------------------


def _unit_of(by: str | None) -> Unit | None:
    """
    The unit of `--by created_at:day`; None for other parts, which depend on the project's columns.
    """
    return _UNITS.get((by or "").rpartition(":")[2])


async def find_columns(
    by: str | None, projects: Sequence[Project | LogStream], columns: Columns
) -> ColumnCatalog:
    """
    The columns of the first project that has that of `--by`; else of the first that has any. Empty
    if none are needed.

    Projects that can't be read are passed over, and those after ten that lack the column aren't
    asked.
    """
    none = ColumnCatalog([])
    if not by or _unit_of(by):
        return none
    found: list[ColumnCatalog] = []
    failed: list[GalileoError] = []
    for project in projects:
        catalog = none
        with _keeping(failed):
            catalog = await columns(project)
        if not {by, by.rpartition(":")[0]}.isdisjoint(catalog):
            return catalog
        if catalog:
            found.append(catalog)
        if len(found) == MAX_ASKED:
            break
    if failed and not found:
        raise failed[0]
    return [*found, none][0]


@contextmanager
def _keeping(failed: list[GalileoError]) -> Generator[None]:
    try:
        yield
    except (NotFoundError, PermissionDeniedError) as error:
        failed.append(error)


def read_period(
    now: datetime,
    catalog: ColumnCatalog,
    *,
    by: str | None,
    since: str | None,
    until: str | None,
    tz: str,
) -> tuple[Filter, Partition | None]:
    """
    The filter for the period, and the parts. Parts of time have their own period, as `whole`.

    Args:
        now: An aware time.
        catalog: The columns; empty if they aren't needed, or if no project has sessions.
        by: A date column and a unit such as `created_at:day`; a number column and edges such as
            `score:0,1,2`; a column and values such as `tags:vip,beta`; or a boolean column, or one
            whose values the service lists.
        since: The first instant, as a day, an ISO 8601 time, or how long ago such as `30d`. Days
            and weeks ago begin with a day if `until` is one.
        until: The first instant after the period, in the same forms. Default: `now`.
        tz: The name of the time zone.

    Raises:
        click.UsageError: if the options can't be combined.
        Refused: if one of them can't be read.
    """
    unit = _unit_of(by)
    if unit is not None and since is None:
        raise click.UsageError(f"--by {by} needs --since, as in --by {by} --since 30d.")
    zone = read_option("--tz", zone_of, tz)
    local = now.astimezone(zone)
    is_in_days = _ENDS_A_DAY.fullmatch(until or "") and (since or "").endswith(("d", "w"))
    start = _read_edge("--since", since, unit or ("days" if is_in_days else None), local)
    end = _read_edge("--until", until, unit, local)
    if start is not None:
        end = end or local
        if start >= min(end, local):
            raise Refused(f"--since must be before --until and in the past, got {start} and {end}")
    if unit is not None:
        column = Col.date(str(by).rpartition(":")[0])
        return ALWAYS, read_option("--by", getattr(column, unit), start, end, tz=zone)
    parts = None if by is None else read_option("--by", _parts_of_values, by, catalog)
    return _between(start, end), parts


def _read_edge(option: str, text: str | None, unit: Unit | None, now: datetime) -> datetime | None:
    return None if text is None else read_option(option, read_time, text, unit, now)


def skipped_times(*, since: str | None, until: str | None, tz: str, **_: object) -> Iterator[str]:
    """A line for each time that the clocks skip, with the one that `read_period` takes it for."""
    for option, text in (("--since", since), ("--until", until)):
        taken = after_gap(text or "", zone_of(tz))
        if taken is not None:
            skips = f"the clocks in {tz} skip {text}, so it is taken for {taken.isoformat()}"
            yield f"Warning: {option}: {skips}"


def _between(start: datetime | None, end: datetime | None) -> Filter:
    created = Col.date("created_at")
    period: Filter = ALWAYS
    if start is not None:
        period &= created.gte(start)
    if end is not None:
        period &= created.lt(end)
    return period


def _parts_of_values(by: str, catalog: ColumnCatalog) -> Partition:
    """
    The parts of `--by`, with a rest unless they overlap. Without columns, only edges are known to
    be parts.
    """
    such = "created_at:day (or hour, week, month), score:1,3, tags:vip,beta or is_complete"
    wrong = click.UsageError(f"--by {by!r} must be a column and its parts, such as {such}.")
    column_id, _, written = by.rpartition(":")
    values: Sequence[Any] = [each.strip() for each in written.split(",")]
    is_alone = by in catalog or not column_id
    if is_alone:
        column_id = by
        values = catalog.info(by).allowed_values
    elif not all(values):
        raise wrong
    kind: str | None = "number"
    column: Any = Col.number(column_id)
    if catalog:
        kind = catalog.info(column_id).filter_type
        column = catalog[column_id]
    found = _parts_and_rest(kind, column, values, is_alone=is_alone)
    if found is None:
        raise wrong
    parts, rest = found
    while rest in parts:
        rest = f"({rest})"
    return parts.with_rest(rest) if parts.disjoint else parts


def _parts_and_rest(
    kind: str | None, column: Any, values: Sequence[Any], *, is_alone: bool
) -> tuple[Partition, str] | None:
    """
    Divides a column.

    Args:
        kind: The column's filter type, or None if it isn't known.
        column: The typed column.
        values: What was written after the colon, or the values that the catalog lists.
        is_alone: Whether only the column was written.

    Returns:
        The partition, and the label of a rest; None if the column can't be divided like this.
    """
    if kind in ("text", "id", "collection") and values:
        return column.values(values), "other"
    if kind == "boolean" and is_alone:
        return column.values(), "no value"
    if kind == "number" and not is_alone and all(map(_EDGE.fullmatch, values)):
        return column.bins(*map(Decimal, values)), "no value"
    return None
