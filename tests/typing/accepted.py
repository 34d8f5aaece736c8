"""What type checkers have to accept: programs as users write them. It is checked, never run."""
# pyright: strict

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Literal, assert_type
from uuid import UUID

import galileo_sessions as gs
from galileo_sessions import Col, Filter, GalileoSessions

NOW = datetime.now(UTC)
ID = UUID("74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db")


class Mood(StrEnum):
    """Its members are text."""

    GOOD = "good"


MOODS: list[Mood] = [Mood.GOOD]
LITERALS: list[Literal["x", "y"]] = ["x", "y"]
WORDS: Sequence[str] = ["x", "y"]

# Columns know their types.
assert_type((Col.text("a"), Col.number("a"), Col.date("a")), tuple[gs.TextCol, gs.NumberCol, gs.DateCol])
assert_type((Col.boolean("a"), Col.collection("a"), Col.id("a")), tuple[gs.BooleanCol, gs.CollectionCol, gs.IdCol])
assert_type(Col("a").column_id, str)

# Every comparison is a filter.
assert_type(Col("a") == 1, Filter)
assert_type(1 < Col("a"), Filter)
assert_type(Col("a") >= Decimal(1), Filter)
assert_type(Col("a").eq(ID), Filter)
assert_type(Col("a").ne("x", case_sensitive=False), Filter)
assert_type(Col("a").one_of(["x"], case_sensitive=False), Filter)
assert_type(Col("a").one_of([ID]), Filter)
assert_type(Col("a").not_in(("x", "y")), Filter)
assert_type(Col("a").one_of(list(Mood)), Filter)
assert_type(Col.text("a").one_of(MOODS), Filter)
assert_type(Col.collection("a").one_of(LITERALS), Filter)
assert_type(Col.id("a").one_of(WORDS), Filter)
assert_type(Col("a").between(1, 2.5), Filter)
assert_type(Col("a").during("2026-01-31", date(2026, 2, 3), tz="UTC"), Filter)
assert_type(Col("a").is_true(), Filter)

assert_type(Col.text("a").one_of(frozenset({"x"})), Filter)
assert_type(Col.number("a") > Decimal(1), Filter)
assert_type(Col.number("a").lte(Fraction(1, 2)), Filter)
assert_type(Col.date("a").between("2026-01-31T09:00:00Z", NOW), Filter)
assert_type(Col.date("a").last(timedelta(days=7), tz=UTC), Filter)
assert_type(Col.boolean("a") == True, Filter)  # noqa: E712  # a comparison makes a filter
assert_type(Col.collection("a").contains("x", case_sensitive=False), Filter)
assert_type(Col.id("a") != ID, Filter)
assert_type(Col.id("a").not_in({ID}), Filter)


def renamed(leaf: gs.LeafFilter) -> Filter:
    """A leaf's own fields."""
    return leaf if isinstance(leaf, gs.FullyAnnotatedFilter) else Col.text(leaf.column_id).eq(leaf.operator)


# Filters combine to filters.
f, g = Col("a").eq(1), Col("b").contains("x")
assert_type(f & g, Filter)
assert_type(f | ~g, Filter)
assert_type(gs.all_of([f, g]), Filter)
assert_type(gs.any_of(Col("a").eq(value) for value in (1, 2)), Filter)
assert_type({f: f == g}[f], bool)
assert_type(f.depth + f.size, int)
f &= g
f |= gs.NEVER
assert_type(f if g is not gs.ALWAYS else g, Filter)
assert_type(gs.fully_annotated([ID, "x"]), Filter)
assert_type(gs.leaves_of(f), tuple[gs.LeafFilter, ...])
assert_type(gs.map_leaves(f, renamed), Filter)


def names(where: Filter) -> Iterable[str]:
    """What `match` binds has the fields' types."""
    match where:
        case gs.And(children) | gs.Or(children):
            assert_type(children, tuple[Filter, ...])
        case gs.Not(child):
            assert_type(child, Filter)
        case gs.TextFilter(column_id, _, value, case_sensitive):
            assert_type(value, str | tuple[str, ...])
            assert_type(case_sensitive, bool)
            yield column_id
        case gs.NumberFilter(column_id, _, number):
            assert_type(number, int | float | tuple[int | float, ...])
            yield column_id
        case gs.DateFilter(column_id, _, moment):
            assert_type(moment, datetime)
            yield column_id
        case _:
            pass


# Constructors and consumers.
assert_type(gs.And([f, g]), gs.And)
assert_type(gs.Or(each for each in (f, g)), gs.Or)
assert_type(gs.DateFilter("a", "lt", "2026-01-31T09:00:00Z").operator, Literal["eq", "ne", "gt", "gte", "lt", "lte"])
assert_type(gs.NumberFilter("a", "between", (1, 2.5)).value, int | float | tuple[int | float, ...])
assert_type(gs.load_filter(gs.dump_filter(f)), Filter)
assert_type(gs.matches(f, {"a": 1}), bool)
query = gs.CountQuery(ID, f, log_stream_id=str(ID), tag=1)
assert_type((query.project_id, query.where, query.body), tuple[str, Filter, bytes])
assert_type(query.for_project(ID), gs.CountQuery)
assert_type(gs.load_query(gs.dump_query(query)), gs.CountQuery)


# A project's columns.
async def check_columns(galileo: GalileoSessions) -> None:
    catalog = await galileo.columns(ID, log_stream_id=str(ID), start_time=NOW, timeout=5)
    assert_type(catalog, gs.ColumnCatalog)
    assert_type(catalog.check(f), Filter)
    assert_type(catalog.info("a"), gs.ColumnInfo)
    assert_type(await galileo.count(ID, catalog.check(catalog["a"] > 1)), int)
    assert_type(gs.load_catalog(gs.dump_catalog(catalog)), gs.ColumnCatalog)
    assert_type(gs.ColumnCatalog.of({"metrics/a": "number"}, b="text"), gs.ColumnCatalog)
    for column_id in catalog:
        assert_type(column_id, str)


# Secrets and times.
async def with_secrets(key: gs.Secret[str], url: gs.Secret[str], headers: dict[str, str]) -> None:
    GalileoSessions(key, base_url=url, proxy=url, headers={"X-Team": key, "X-App": "x"})
    GalileoSessions(headers=gs.Secret(headers), auth=gs.BasicAuth(key, key))
    timeouts = gs.Timeouts(attempt=timedelta(seconds=5))
    assert_type(timeouts.attempt, float)
    galileo = GalileoSessions(auth=gs.PasswordAuth("ann", key), timeouts=timeouts, retry=gs.Retry(backoff=timedelta(1)))
    assert_type(await galileo.count(ID, timeout=timedelta(minutes=1)), int)


# Functions that obtain tokens.
async def text_token() -> str:
    return "t"


async def secret_token() -> gs.Secret[str]:
    return gs.Secret("t")


GalileoSessions(auth=gs.BearerAuth("t"))
GalileoSessions(auth=gs.BearerAuth(gs.Secret("t")))
GalileoSessions(auth=gs.BearerAuth(text_token))
GalileoSessions(auth=gs.BearerAuth(secret_token))


# Counts by something.
async def count_by_parts(galileo: GalileoSessions, catalog: gs.ColumnCatalog) -> None:
    days = Col.date("created_at").days("2026-05-01", NOW, tz="UTC")
    assert_type(days, gs.Partition)
    assert_type(Col.date("a").days(last=timedelta(days=7), tz="UTC"), gs.Partition)
    assert_type(days["2026-05-01"] & f, Filter)
    assert_type(Col.number("a").bins(0, 1.5), gs.Partition)
    assert_type(Col.text("a").values(["x"]), gs.Partition)
    assert_type(Col.boolean("a").values(), gs.Partition)
    assert_type(gs.Partition({date(2026, 5, 1): f, ("a", 1): g}), gs.Partition)
    counts = await galileo.count_by(ID, days, f, log_stream_id=ID)
    assert_type(counts, gs.CountsBy)
    assert_type(counts["2026-05-01"] + counts.total, int)
    report = await galileo.count_all([ID], f, by=days)
    assert_type(report, gs.CountReport)
    assert_type(report.results[0].counts_by, gs.CountsBy)


def whose(error: gs.GalileoError) -> str:
    """The project of an error."""
    assert_type(error.message + error.hint, str)
    assert error.query is not None
    return assert_type(error.query.project_id, str)
