"""
What type checkers have to reject, where a line ends with E; all other lines they have to accept. It is never run.

`# E: pyright` and `# E: mypy` mark what only one of them sees.
"""
# pyright: strict
# ruff: noqa: B018, E731, FURB110, FURB171

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, Filter, GalileoSessions

f, g = Col("a").eq(1), Col("b").eq(2)
PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"

# Operators that a type doesn't have.
_ = Col.number("a").contains("x")  # E
_ = Col.number("a").one_of([1])  # E
_ = Col.number("a").is_true()  # E
_ = Col.text("a").gt("b")  # E
_ = Col.text("a").between(1, 2)  # E
_ = Col.text("a") < "b"  # E
_ = Col.boolean("a") > True  # E
_ = Col.date("a").one_of(["x"])  # E
_ = Col.id("a") >= "x"  # E
_ = Col.collection("a").ne("x")  # E
_ = Col.number("a").text("b")  # E
_ = Col()  # E
_ = Col.score  # E

# `!=` alone can't be rejected: Python, and so both checkers, fall back to `str.__ne__`. The result isn't a filter.
where: Filter = Col.collection("a") != "x"  # E
_ = CountQuery(PROJECT, Col.collection("a") != "x")  # E
_ = f & (Col.collection("a") != "x")  # E

# Values that a type doesn't take.
_ = Col("a").eq(None)  # E
_ = Col("a").eq(["x"])  # E
_ = Col("a").eq(Col("b"))  # E
_ = Col("a").gt("x")  # E
_ = Col.text("a").eq(1)  # E
_ = Col.number("a").gt("1")  # E
_ = Col.boolean("a").eq("true")  # E
_ = Col.date("a").lt(1)  # E
_ = Col.collection("a").contains(["x"])  # E
_ = Col.number("a").eq(1, case_sensitive=False)  # E
_ = Col.number("a").between()  # E
_ = Col("a").between(1)  # E
_ = Col.date("a").on("2026-01-31")  # E
_ = Col.date("a").during("2026-01-31")  # E
_ = Col.date("a").last(7)  # E
_ = Col("a").one_of("abc")  # E
_ = Col("a").one_of([1, 2])  # E
_ = Col("a").one_of({"x": 1})  # E
_ = Col("a").contains(3)  # E
_ = gs.NumberFilter("a", "like", 3)  # E
_ = gs.NumberFilter("a", "gt", "3")  # E
_ = gs.BooleanFilter("a", "eq", "true")  # E
_ = gs.TextFilter("a", "eq", 3)  # E
_ = gs.TextFilter("a", "eq", "x", case_sensitive="no")  # E
_ = gs.FullyAnnotatedFilter("abc")  # E

# Parts that a type can't be counted by.
_ = Col("a").days("2026-05-01", "2026-06-01", tz="UTC")  # E
_ = Col.text("a").bins(1, 2)  # E
_ = Col.number("a").bins("1")  # E
_ = Col.date("a").days(1, 2)  # E
_ = Col.text("a").values("abc")  # E

# What stands next to & and |.
_ = Col("a") == 1 & Col("b") == 2  # E
_ = f & None  # E
_ = None | f  # E
_ = f & Col("a")  # E
_ = Col("a") | f  # E
_ = ~Col("a")  # E
_ = gs.all_of([f, None])  # E
_ = gs.all_of(f)  # E
_ = gs.all_of(f, g)  # E
_ = gs.map_leaves(f, lambda leaf: leaf.column_id)  # E
_ = gs.leaves_of(Col("a"))  # E
_ = gs.matches({"a": 1}, f)  # E
_ = gs.And(f, g)  # E
_ = gs.Not(Col("a"))  # E
_ = CountQuery(PROJECT, Col("a"))  # E
_ = CountQuery(PROJECT, {"and": []})  # E

# A column is neither a container nor a key. Only pyright asks of a key whether it can be hashed.
_ = "x" in Col("a")  # E
_ = list(Col("a"))  # E
_ = {Col("a")}  # E: pyright

# A filter has no truth value. Its __bool__ gives Never: pyright rejects a condition by this, mypy only knows that
# nothing after it is reached, and says so with --warn-unreachable, at the place that isn't.
_ = lambda: not f  # E: pyright
_ = lambda: f if f else g  # E: pyright
_ = lambda: [each for each in [f] if each]  # E: pyright
_ = lambda: f and g  # E: mypy
_ = lambda: f or g  # E: mypy
# What neither sees, the error at run time has to explain.
_ = lambda: 1 < Col("a") < 3
_ = lambda: Col("a") in ["x"]


def asked_by_if() -> None:
    if f:  # E: pyright
        print()  # E: mypy


def asked_by_while() -> None:
    while f and g:  # E
        print()  # E: mypy


def asked_by_assert() -> None:
    assert f  # E: pyright
    print()  # E: mypy


def changed() -> None:
    f.size = 2  # E
    gs.load_filter({}).column_id  # E


# Arguments of other libraries, and what has no meaning without asyncio.
async def called_as_elsewhere(galileo: GalileoSessions) -> None:
    GalileoSessions("k", max_retries=3)  # E
    GalileoSessions("k", retry=3)  # E
    GalileoSessions("k", timeouts=5)  # E
    GalileoSessions("k", limits=10)  # E
    GalileoSessions("k", headers={"X-Team": 5})  # E
    GalileoSessions("k", base_url=gs.Secret(b"https://x.io"))  # E
    GalileoSessions(auth=gs.BearerAuth(lambda: "token"))  # E
    await galileo.count(PROJECT, filter=f)  # E
    await galileo.count_by([PROJECT], {"a": f})  # E
    galileo.count_many([PROJECT], by={"a": f})  # E
    await galileo.count_many([PROJECT])  # E
    for _ in galileo.count_many([PROJECT]):  # E
        pass
    with galileo.count_many([PROJECT]):  # E
        pass
