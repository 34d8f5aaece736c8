"""Programs that are checked, never run: type checkers have to reject a line that ends with E, and accept all others."""
# `# E: pyright` and `# E: mypy` mark what only one of them sees.
# pyright: strict
# ruff: noqa: B018, E712, E731, FURB110

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Literal, assert_type
from uuid import UUID

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, Filter, GalileoSessions

NOW = datetime.now(UTC)
ID = UUID("74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db")
Mood = StrEnum("Mood", ["GOOD"])
MOODS: list[Mood] = [Mood.GOOD]
LITERALS: list[Literal["x", "y"]] = ["x", "y"]
WORDS: Sequence[str] = ["x", "y"]

# Columns know their types.
assert_type((Col.text("a"), Col.number("a"), Col.date("a")), tuple[gs.TextCol, gs.NumberCol, gs.DateCol])
assert_type((Col.boolean("a"), Col.collection("a"), Col.id("a")), tuple[gs.BooleanCol, gs.CollectionCol, gs.IdCol])
assert_type(Col("a").column_id, str)

# Every comparison is a filter.
assert_type([Col("a") == 1, 1 < Col("a"), Col("a") >= Decimal(1), Col("a").eq(ID)], list[Filter])
assert_type([Col("a").ne("x", case_sensitive=False), Col("a").one_of(["x"], case_sensitive=False)], list[Filter])
assert_type([Col("a").one_of([ID]), Col("a").not_in(("x", "y")), Col("a").one_of(list(Mood))], list[Filter])
assert_type([Col.text("a").one_of(MOODS), Col.collection("a").one_of(LITERALS)], list[Filter])
assert_type([Col.id("a").one_of(WORDS), Col("a").between(1, 2.5), Col("a").is_true()], list[Filter])
assert_type(Col("a").during("2026-01-31", date(2026, 2, 3), tz="UTC"), Filter)
assert_type([Col.text("a").one_of(frozenset({"x"})), Col.number("a") > Decimal(1)], list[Filter])
assert_type([Col.number("a").lte(Fraction(1, 2)), Col.date("a").between("2026-01-31T09:00:00Z", NOW)], list[Filter])
assert_type([Col.date("a").last(timedelta(days=7), tz=UTC), Col.boolean("a") == True], list[Filter])
assert_type([Col.collection("a").contains("x", case_sensitive=False), Col.id("a") != ID], list[Filter])
assert_type(Col.id("a").not_in({ID}), Filter)


def renamed(leaf: gs.LeafFilter) -> Filter:
    return leaf if isinstance(leaf, gs.FullyAnnotatedFilter) else Col.text(leaf.column_id).eq(leaf.operator)


# Filters combine to filters.
f, g = Col("a").eq(1), Col("b").contains("x")
assert_type([f & g, f | ~g, f if g is not gs.ALWAYS else g, gs.fully_annotated([ID, "x"])], list[Filter])
assert_type([gs.all_of([f, g]), gs.any_of(Col("a").eq(value) for value in (1, 2))], list[Filter])
assert_type(({f: f == g}[f], f.depth + f.size), tuple[bool, int])
f &= g
f |= gs.NEVER
assert_type((gs.leaves_of(f), gs.map_leaves(f, renamed)), tuple[tuple[gs.LeafFilter, ...], Filter])


def names(where: Filter) -> Iterable[str]:
    match where:
        case gs.And(children) | gs.Or(children):
            assert_type(children, tuple[Filter, ...])
        case gs.Not(child):
            assert_type(child, Filter)
        case gs.TextFilter(column_id, _, value, case_sensitive):
            assert_type((value, case_sensitive), tuple[str | tuple[str, ...], bool])
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
assert_type((gs.And([f, g]), gs.Or(each for each in (f, g))), tuple[gs.And, gs.Or])
assert_type(gs.DateFilter("a", "lt", "2026-01-31T09:00:00Z").operator, Literal["eq", "ne", "gt", "gte", "lt", "lte"])
assert_type(gs.NumberFilter("a", "between", (1, 2.5)).value, int | float | tuple[int | float, ...])
assert_type((gs.load_filter(gs.dump_filter(f)), gs.matches(f, {"a": 1})), tuple[Filter, bool])
query = gs.CountQuery(ID, f, log_stream_id=str(ID), tag=1)
assert_type((query.project_id, query.where, query.body), tuple[str, Filter, bytes])
assert_type([query.for_project(ID), gs.load_query(gs.dump_query(query))], list[gs.CountQuery])


# A project's columns.
async def check_columns(galileo: GalileoSessions) -> None:
    catalog = await galileo.columns(ID, log_stream_id=str(ID), start_time=NOW, timeout=5)
    assert_type((catalog.check(f), catalog.info("a")), tuple[Filter, gs.ColumnInfo])
    assert_type(await galileo.count(ID, catalog.check(catalog["a"] > 1)), int)
    made = gs.ColumnCatalog.of({"metrics/a": "number"}, b="text")
    assert_type([catalog, made, gs.load_catalog(gs.dump_catalog(catalog))], list[gs.ColumnCatalog])
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


AUTHS = [gs.BearerAuth("t"), gs.BearerAuth(gs.Secret("t")), gs.BearerAuth(text_token), gs.BearerAuth(secret_token)]
GalileoSessions(auth=AUTHS[0])


# Counts by something.
async def count_by_parts(galileo: GalileoSessions, catalog: gs.ColumnCatalog) -> None:
    days = Col.date("created_at").days("2026-05-01", NOW, tz="UTC")
    assert_type([days, Col.date("a").days(last=timedelta(days=7), tz="UTC")], list[gs.Partition])
    assert_type([Col.number("a").bins(0, 1.5), Col.text("a").values(["x"])], list[gs.Partition])
    assert_type([Col.boolean("a").values(), gs.Partition({date(2026, 5, 1): f, ("a", 1): g})], list[gs.Partition])
    assert_type(days["2026-05-01"] & f, Filter)
    counts = await galileo.count_by(ID, days, f, log_stream_id=ID)
    assert_type(counts["2026-05-01"] + counts.total, int)
    report = await galileo.count_all([ID], f, by=days)
    assert_type((report, [counts, report.results[0].counts_by]), tuple[gs.CountReport, list[gs.CountsBy]])


def project_of(error: gs.GalileoError) -> str:
    assert_type(error.message + error.hint, str)
    assert_type(error.report, gs.CountReport | None)
    assert error.query is not None
    assert_type(error.query.where, Filter)
    return assert_type(error.query.project_id, str)


def found_by(error: gs.ProjectLookupError, other: gs.LogStreamLookupError, issue: gs.Issue) -> gs.Filter | None:
    assert_type((error.projects, other.log_streams), tuple[tuple[gs.Project, ...], tuple[gs.LogStream, ...]])
    return assert_type(issue.node, gs.Filter | None)


# Operators that a type doesn't have.
_ = Col.number("a").contains("x")  # E
_ = Col.text("a").gt("b")  # E
_ = Col.boolean("a") > True  # E
_ = Col.date("a").one_of(["x"])  # E
_ = Col.id("a") >= "x"  # E
_ = Col.collection("a").ne("x")  # E
_ = Col.number("a").text("b")  # E
_ = Col.score  # E

# `!=` alone can't be rejected: Python, and so both checkers, fall back to `str.__ne__`. The result isn't a filter.
where: Filter = Col.collection("a") != "x"  # E
_ = f & (Col.collection("a") != "x")  # E

# Values that a type doesn't take.
_ = Col("a").eq(None)  # E
_ = Col("a").eq(["x"])  # E
_ = Col("a").eq(Col("b"))  # E
_ = Col.text("a").eq(1)  # E
_ = Col.number("a").gt("1")  # E
_ = Col.date("a").lt(1)  # E
_ = Col.collection("a").contains(["x"])  # E
_ = Col.number("a").eq(1, case_sensitive=False)  # E
_ = Col.number("a").between()  # E
_ = Col.date("a").on("2026-01-31")  # E
_ = Col.date("a").last(7)  # E
_ = Col("a").one_of("abc")  # E
_ = gs.NumberFilter("a", "like", 3)  # E
_ = gs.TextFilter("a", "eq", "x", case_sensitive="no")  # E
_ = gs.FullyAnnotatedFilter("abc")  # E

# Parts that a type can't be counted by.
_ = Col("a").days("2026-05-01", "2026-06-01", tz="UTC")  # E
_ = Col.text("a").bins(1, 2)  # E
_ = Col.number("a").bins("1")  # E

# What stands next to & and |.
_ = Col("a") == 1 & Col("b") == 2  # E
_ = f & None  # E
_ = f & Col("a")  # E
_ = ~Col("a")  # E
_ = gs.all_of([f, None])  # E
_ = gs.all_of(f)  # E
_ = gs.map_leaves(f, lambda leaf: leaf.column_id)  # E
_ = gs.leaves_of(Col("a"))  # E
_ = gs.matches({"a": 1}, f)  # E
_ = CountQuery(ID, {"and": []})  # E

# A column is neither a container nor a key. Only pyright asks of a key whether it can be hashed.
_ = "x" in Col("a")  # E
_ = list(Col("a"))  # E
_ = {Col("a")}  # E: pyright

# A filter has no truth value. Its __bool__ gives Never: pyright rejects a condition by this, mypy only knows that
# nothing after it is reached, and says so with --warn-unreachable, at the place that isn't.
_ = lambda: not f  # E: pyright
_ = lambda: f if f else g  # E: pyright
_ = lambda: f and g  # E: mypy


def asked_by_if() -> None:
    if f:  # E: pyright
        print()  # E: mypy


def changed() -> None:
    f.size = 2  # E
    gs.load_filter({}).column_id  # E


# Arguments of other libraries, and what has no meaning without asyncio.
async def called_as_elsewhere(galileo: GalileoSessions) -> None:
    GalileoSessions(os.environ.get("KEY"))  # E
    GalileoSessions("k", base_url=os.environ.get("URL"))  # E
    for _ in galileo.projects():  # E
        pass
    await galileo.count(galileo.project("a"))  # E
    await galileo.projects()  # E
    GalileoSessions("k", max_retries=3)  # E
    GalileoSessions("k", headers={"X-Team": 5})  # E
    GalileoSessions("k", base_url=gs.Secret(b"https://x.io"))  # E
    GalileoSessions(auth=gs.BearerAuth(lambda: "token"))  # E
    await galileo.count(ID, filter=f)  # E
    await galileo.count_by([ID], {"a": f})  # E
    galileo.count_many([ID], by={"a": f})  # E
    await galileo.count_many([ID])  # E
    for _ in galileo.count_many([ID]):  # E
        pass
    with galileo.count_many([ID]):  # E
        pass
