"""Reads the options: the filter, the period, its parts, the limits of an alert, and the projects."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, BinaryIO, NoReturn, TypeVar

import click
from attrs import evolve, frozen

from galileo_sessions.cli.screen import in_thread
from galileo_sessions.client.query import ANY_PROJECT, Breakdown, CountQuery, load_query, narrowed
from galileo_sessions.display import printable
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col, DateCol
from galileo_sessions.filters.json import json_object, load_filter, strict_json
from galileo_sessions.filters.nodes import ALWAYS, NEVER, all_of
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.text import parse_filter
from galileo_sessions.filters.times import Unit, read_time, zone_of

T = TypeVar("T")

PROJECT_ENV = "GALILEO_PROJECT_ID"

_CHUNK = 65_536  # bytes of a pipe
_UNITS: dict[str, Unit] = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}


class Refused(click.ClickException):
    """An invalid filter, id, time or setting. The message is enough, so click doesn't show the usage."""

    exit_code = 2


def named(option: str, read: Callable[..., T], *values: object, **more: object) -> T:
    """
    Calls `read` for an option's value.

    Raises:
        Refused: with the name of the option, if the value can't be read.
    """
    try:
        return read(*values, **more)
    except ValueError as error:  # such as every FilterError
        raise Refused(printable(f"{option}: {error}")) from None


def read_query(text: str | None, file: BinaryIO | None, **scope: Any) -> CountQuery:
    """The query for all sessions that satisfy both filters, in a saved query's project and scope."""
    where = ALWAYS if text is None else named("--where", parse_filter, text)
    saved = CountQuery(ANY_PROJECT) if file is None else named("--where-json", _load_saved, file)
    where = all_of([where, saved.where, *saved.filters])
    return narrowed(evolve(saved, where=where, filters=(), tag=None), CountQuery(ANY_PROJECT, **scope))


def _load_saved(file: BinaryIO) -> CountQuery:
    """Reads what `dump_filter` or `dump_query` returned."""
    try:
        tree = strict_json(file.read())
    except ValueError as error:
        raise ValueError(f"{file.name} can't be read as JSON: {error}. Text goes into --where") from None
    entries = json_object(tree)
    if not {"project_id", "filter_tree", "filters"}.isdisjoint(entries):
        return load_query({"project_id": ANY_PROJECT, **entries})
    where = load_filter(entries)
    if where in (ALWAYS, NEVER):
        raise FilterError(f"the list of a top-level {next(iter(entries))!r} must not be empty")
    return CountQuery(ANY_PROJECT, where)


def read_breakdown(
    query: CountQuery,
    now: datetime,
    columns: Callable[[], ColumnCatalog | None],
    *,
    by: str | None,
    since: str | None,
    until: str | None,
    tz: str,
    time_column: str | None,
    compare: str | None,
    unfiltered: bool,
) -> Breakdown:
    """
    What is counted in each project.

    Args:
        query: The filter and the scope.
        now: An aware time.
        columns: Returns the columns, or None if they can't be known; called if `by` has no unit.
        by: A date column and a unit such as `created_at:day`; a number column and edges such as `score:0,1,2`;
            a column and values such as `tags:vip,beta`; or a boolean column, or one whose values the service lists.
        since: The first instant, as a day, an ISO 8601 time, or how long ago such as `30d`.
        until: The first instant after the period, in the same forms. Default: `now`.
        tz: The name of the time zone.
        time_column: The column of the period. Default: `created_at`; a `by` with a unit names its own.
        compare: If given, the period of the same length before this one is counted, too.
        unfiltered: Whether all sessions of the period are counted, too.

    Raises:
        click.UsageError: if the options can't be combined.
        Refused: if one of them can't be read.
    """
    column_id, _, written = ("" if by is None else by).rpartition(":")
    unit = _UNITS.get(written)
    if unit is not None and (since is None or not column_id):
        raise click.UsageError("--by COLUMN:UNIT needs a column and --since, as in --by created_at:day --since 30d.")
    if unit is not None and time_column is not None:
        raise click.UsageError(f"--by {by} names the column of the time. Leave out --time-column.")
    if compare is not None and (by is not None or since is None):
        raise click.UsageError("--compare needs --since, and can't be used with --by.")
    zone = named("--tz", zone_of, tz)
    local = now.astimezone(zone)
    start = None if since is None else named("--since", read_time, since, unit, local)
    end = None if until is None else named("--until", read_time, until, unit, local)
    if start is not None:
        end = local if end is None else end
        if start >= end:
            raise Refused(f"--since must be before --until, got {start} and {end}")
    if unit is None:
        column = named("--time-column", Col.date, "created_at" if time_column is None else time_column)
        whole = _within(query, column, start, end)
        made = Breakdown(whole) if by is None else Breakdown.by(whole, named("--by", _partition, by, columns))
    else:
        column = named("--by", Col.date, column_id)
        made = Breakdown.by(query, named("--by", getattr(column, unit), start, end, tz=zone))
    if compare is not None and start is not None and end is not None:
        made = evolve(made, previous=_within(query, column, _before(start, end), start))
    if unfiltered:
        made = evolve(made, unfiltered=_within(evolve(query, where=None), column, start, end))
    return made


def _within(query: CountQuery, column: DateCol, start: datetime | None, end: datetime | None) -> CountQuery:
    since = ALWAYS if start is None else column.gte(start)
    until = ALWAYS if end is None else column.lt(end)
    return evolve(query, where=all_of([query.where, since, until]))


def _before(start: datetime, end: datetime) -> datetime:
    """The start of the previous period, which has the same length."""
    try:
        return start.astimezone(UTC) - (end - start)
    except OverflowError:
        raise Refused("--compare: the previous period is out of range: years go from 1 to 9999") from None


def _partition(by: str, columns: Callable[[], ColumnCatalog | None]) -> Partition:
    """The parts, with a rest unless they overlap."""
    column_id, _, written = by.rpartition(":")
    catalog = columns()
    if catalog is None:
        bins = _bins(column_id, written)
        if bins is not None:
            return bins
        raise click.UsageError(f"--by {by!r} needs PROJECT, or a file of ids that isn't a pipe.")
    is_column = by in catalog or not column_id
    info = catalog.info(by if is_column else column_id)
    if info.filter_type == "number":
        return _bins(column_id, written) or _refuse(by)
    if info.filter_type == "boolean" and is_column:
        return catalog.boolean(by).values().with_rest("no value")
    listed: tuple[Any, ...] = info.allowed_values if is_column else tuple(written.split(","))
    if not listed or info.filter_type not in ("text", "id", "collection"):
        _refuse(by)
    partition: Partition = catalog[info.id].values(listed)
    rest = "other"
    while rest in partition:
        rest = f"({rest})"
    return partition.with_rest(rest) if partition.disjoint else partition


def _bins(column_id: str, written: str) -> Partition | None:
    try:
        edges = [Decimal(edge) for edge in written.split(",")]
    except InvalidOperation:
        return None
    return Col.number(column_id).bins(*edges).with_rest("no value")


def _refuse(by: str) -> NoReturn:
    raise click.UsageError(
        f"--by {by!r} must be COLUMN:UNIT with {', '.join(_UNITS)}, such as created_at:day; "
        "COLUMN:EDGE,EDGE,... with numbers, such as score:0,1,2; COLUMN:VALUE,VALUE,... such as tags:vip,beta; "
        "or a boolean column such as is_complete."
    )


@frozen
class Limit:
    """`--fail-above` or `--fail-below`."""

    text: str
    number: Decimal
    is_share: bool
    """Whether it is a percentage of all sessions of the same scope and period."""
    is_upper: bool

    def broken_by(self, sessions: int, unfiltered: int) -> str | None:
        """How a number of sessions breaks the limit; None if it doesn't."""
        limit = self.number * unfiltered / 100 if self.is_share else self.number
        if sessions <= limit if self.is_upper else sessions >= limit:
            return None
        counted = f"{sessions:,} of {unfiltered:,}" if self.is_share else f"{sessions:,}"
        return f"{counted} is {'above' if self.is_upper else 'below'} {self.text}"


def read_limit(_: click.Context, option: click.Parameter, text: str | None) -> Limit | None:
    """The limit for a number such as 100, or a percentage such as 10%."""
    if text is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?%?", text, re.ASCII) is None:
        raise click.BadParameter(f"{text!r} must be a number such as 100, or a share such as 10%.", param=option)
    return Limit(text, Decimal(text.rstrip("%")), text.endswith("%"), option.name == "fail_above")


def project_ids(projects: tuple[str, ...], file: BinaryIO | None, query: CountQuery) -> list[str] | AsyncIterator[str]:
    """The projects in the arguments, a file, a saved query or the environment, without duplicates."""
    if file is not None and projects:
        raise click.UsageError("PROJECT and --projects-from can't be used together.")
    if projects == ("-",):
        file = sys.stdin.buffer
    if file is not None:
        return read_ids(file)
    saved = () if query.project_id == ANY_PROJECT else (query.project_id,)
    given = projects or saved or os.environ.get(PROJECT_ENV, "").split()
    if not given:
        raise click.UsageError(f"no project. Give PROJECT, or --projects-from FILE (- is stdin), or set {PROJECT_ENV}.")
    return list(dict.fromkeys([query.for_project(project).project_id for project in given]))


def read_ids(file: BinaryIO) -> list[str] | AsyncIterator[str]:
    """
    The project ids, one per line, without duplicates; a # begins a comment.

    Returns:
        A list for a file; for a pipe, an iterator that reads it as the ids are needed.

    Raises:
        Refused: if a line isn't a project id.
    """
    seen: set[str] = set()

    def new(number: int, line: bytes) -> Iterator[str]:
        try:
            written = line.decode("utf-8-sig").partition("#")[0].strip()
            project = written and CountQuery(written).project_id
        except ValueError as error:
            raise Refused(f"{file.name}, line {number}: {error}") from None
        if project and project not in seen:
            seen.add(project)
            yield project

    if file.seekable():
        return [project for number, line in enumerate(file, 1) for project in new(number, line)]
    return _read_pipe(file, new)


async def _read_pipe(pipe: BinaryIO, ids: Callable[[int, bytes], Iterator[str]]) -> AsyncIterator[str]:
    number, rest = 0, b""
    while chunk := await in_thread(partial(os.read, pipe.fileno(), _CHUNK)):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            for project in ids(number, line):
                yield project
    for project in ids(number + 1, rest):
        yield project
