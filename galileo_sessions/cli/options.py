"""Reads the options: the filter, the period, its parts, and the limits of an alert."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO, NoReturn, TypeVar

import click
from attrs import evolve, frozen

from galileo_sessions.api.query import ANY_PROJECT, CountQuery, load_query, query_of
from galileo_sessions.display import printable, some
from galileo_sessions.errors import FilterError, GalileoError
from galileo_sessions.filters.calendar import Partition, Unit, read_time, zone_of
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.json import json_object, load_filter, strict_json
from galileo_sessions.filters.nodes import ALWAYS, NEVER, Filter, all_of
from galileo_sessions.filters.text import parse_filter

T = TypeVar("T")

_UNITS: dict[str, Unit] = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}


class Refused(click.ClickException):
    """An invalid filter, id, time or setting. The message is enough, so click doesn't show the usage."""

    exit_code = 2


def told(error: GalileoError) -> str:
    """The text of an error, its hint on the first line, without the call, which means nothing in a shell."""
    first, line_break, drawing = error.message.partition("\n")
    return f"{first}. {error.hint}{line_break}{drawing}" if error.hint else error.message


def named(option: str, read: Callable[..., T], *values: object, **more: object) -> T:
    """
    Calls `read` for an option's value.

    Raises:
        Refused: with the name of the option, if the value can't be read.
    """
    try:
        return read(*values, **more)
    except GalileoError as error:  # without the call, which means nothing in a shell
        raise Refused(printable(f"{option}: {told(error)}")) from None
    except ValueError as error:
        raise Refused(printable(f"{option}: {error}")) from None


def read_query(text: str | None, file: BinaryIO | None, **scope: Any) -> CountQuery:
    """The query for all sessions that satisfy both filters, in a saved query's project and scope."""
    where = ALWAYS if text is None else named("--where", parse_filter, text)
    saved = CountQuery(ANY_PROJECT) if file is None else named("--where-json", _load_saved, file)
    where = all_of([where, saved.where, *saved.filters])
    return query_of(CountQuery(ANY_PROJECT, **scope), evolve(saved, where=where, filters=(), tag=None))


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


def _is_by_time(by: str) -> bool:
    return by.rpartition(":")[2] in _UNITS


def needs_columns(by: str | None) -> bool:
    """Whether the columns of a project say what `--by` means. A unit of time needs none."""
    return by is not None and not _is_by_time(by)


@frozen
class Selection:
    """What is counted in each project."""

    where: Filter
    """The filter, in the period."""
    unfiltered: Filter
    """The period alone."""
    partition: Partition | None


def read_selection(
    where: Filter,
    now: datetime,
    catalog: ColumnCatalog | None,
    *,
    by: str | None,
    since: str | None,
    until: str | None,
    tz: str,
    time_column: str | None,
) -> Selection:
    """
    What is counted in each project.

    Args:
        where: The filter.
        now: An aware time.
        catalog: The columns; None if they aren't needed.
        by: A date column and a unit such as `created_at:day`; a number column and edges such as `score:0,1,2`; a column
            and values such as `tags:vip,beta`; or a boolean column, or one whose values the service lists.
        since: The first instant, as a day, an ISO 8601 time, or how long ago such as `30d`.
        until: The first instant after the period, in the same forms. Default: `now`.
        tz: The name of the time zone.
        time_column: The column of the period. Default: `created_at`; a `by` with a unit names its own.

    Raises:
        click.UsageError: if the options can't be combined.
        Refused: if one of them can't be read.
    """
    unit: Unit | None = None
    if by is not None and _is_by_time(by):
        unit = _UNITS[by.rpartition(":")[2]]
        if ":" not in by.lstrip(":"):
            raise click.UsageError(f"--by {by} needs a column, as in --by created_at:{by} --since 30d.")
        if since is None:
            raise click.UsageError(f"--by {by} needs --since, as in --by {by} --since 30d.")
        if time_column is not None:
            raise click.UsageError(f"--by {by} names the column of the time. Leave out --time-column.")
    zone = named("--tz", zone_of, tz)
    local = now.astimezone(zone)
    start = None if since is None else named("--since", read_time, since, unit, local)
    end = None if until is None else named("--until", read_time, until, unit, local)
    if start is not None:
        end = local if end is None else end
        if start >= end:
            raise Refused(f"--since must be before --until, got {start} and {end}")
    partition = None if by is None else named("--by", _partition, by, catalog, start, end, zone)
    column = named("--time-column", Col.date, "created_at" if time_column is None else time_column)
    if unit is not None and partition is not None:
        return Selection(where, partition.whole, partition)
    since_start = ALWAYS if start is None else column.gte(start)
    period = since_start & (ALWAYS if end is None else column.lt(end))
    return Selection(all_of([where, period]), period, partition)


def _partition(by: str, catalog: ColumnCatalog | None, start: datetime, end: datetime, zone: tzinfo) -> Partition:
    """The parts, with a rest unless they overlap."""
    column_id, _, written = by.rpartition(":")
    if written in _UNITS:
        parts: Partition = getattr(Col.date(column_id), _UNITS[written])(start, end, tz=zone)
        return parts
    catalog = catalog or ColumnCatalog([])
    bins = None if catalog else _bins(column_id, written)  # no project has sessions
    if bins is not None:
        return bins
    is_column = by in catalog or not column_id
    info = catalog.info(by if is_column else column_id)
    if info.filter_type == "number":
        return _bins(column_id, written) or _refuse(by)
    if info.filter_type == "boolean" and is_column:
        return Col.boolean(by).values().with_rest("no value")
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

    @property
    def words(self) -> str:
        """The limit as in `37 is above 10%`."""
        return f"{'above' if self.is_upper else 'below'} {self.text}"

    def reason(self, place: str, sessions: int, unfiltered: int) -> str:
        """How a number of sessions breaks the limit, as a line for a pager; empty if it doesn't."""
        limit = self.number * unfiltered / 100 if self.is_share else self.number
        if sessions <= limit if self.is_upper else sessions >= limit:
            return ""
        counted = some(sessions, "session")
        if self.is_share:
            counted = f"{sessions / unfiltered:.1%} ({sessions:,} of {some(unfiltered, 'session')})"
        return f"{place}: {counted}, {self.words}"


def read_limit(_: click.Context, option: click.Parameter, text: str | None) -> Limit | None:
    """The limit for a number such as 100, or a percentage such as 10%."""
    if text is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?%?", text, re.ASCII) is None:
        raise click.BadParameter(f"{text!r} must be a number such as 100, or a share such as 10%.", param=option)
    return Limit(text, Decimal(text.rstrip("%")), text.endswith("%"), option.name == "fail_above")
