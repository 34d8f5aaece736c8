"""Breakdowns: the whole first, two dimensions, and the parts of each target of a fan-out."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from support.clients import client
from support.inside import idle
from support.processes import COUNTS, IDS, SESSIONS
from support.projects import ids, numbered
from support.servers import http

import galileo_sessions as gs
from galileo_sessions import NEVER, Col, CountQuery
from galileo_sessions.counting.breakdown import Breakdown
from galileo_sessions.local import LocalGalileo

CREATED, SCORE = Col.date("created_at"), Col.number("score")
DAYS = CREATED.days("2026-06-01", "2026-06-05", tz="UTC")
COMPLETE = Col.boolean("is_complete").values()
BINS = SCORE.bins(2, 4)


@pytest.fixture
async def galileo(local_galileo):
    """A client of a server that holds the sample."""
    async with client(local_galileo.url, api_key=local_galileo.api_key) as made:
        yield made


def bin_of(session) -> str:
    """The part of BINS that a session is in."""
    score = session.get("score")
    if score is None:
        return "none"
    return "below 2" if score < 2 else "2 to 4" if score < 4 else "4 and above"


def day_of(session) -> str:
    """The part of DAYS that a session is in."""
    return session["created_at"][:10]


def complete_of(session) -> str:
    """The part of COMPLETE that a session is in."""
    return str(session["is_complete"]).lower()


@pytest.mark.parametrize(
    ("partition", "row", "column"),
    [
        (DAYS * COMPLETE, day_of, complete_of),
        (COMPLETE * DAYS, complete_of, day_of),
        (BINS.with_rest("none") * COMPLETE, bin_of, complete_of),
        (DAYS * BINS.with_rest("none"), day_of, bin_of),
        (BINS.with_rest("none") * COMPLETE.with_rest("no value"), bin_of, complete_of),
    ],
    ids=["days by values", "values by days", "rest of rows", "rest of columns", "both rests"],
)
async def test_two_dimensions_count_each_pair(galileo, partition, row, column):
    """Each pair of labels has the sessions that are in both parts; a rest of either has the others."""
    counts = await galileo.count_by(IDS[0], partition)
    table = await galileo.count_by(IDS[:2], partition)
    assert table[IDS[0]] == counts
    sessions = [session for session in SESSIONS if session["project_id"] == IDS[0]]
    expected = Counter((row(session), column(session)) for session in sessions)
    assert {labels: count for labels, count in counts.items() if count} == {
        labels: expected[labels] for labels in counts if expected[labels]
    }
    assert counts.total == sum(counts.values())


async def test_an_empty_project_costs_one_request():
    """The parts follow once the whole isn't 0, so nine empty projects in ten save most of the requests."""
    async with numbered({number: http(200, '{"total_count":0}') for number in range(90)}) as server:
        async with client(server.url) as galileo:
            table = await galileo.count_by(ids(100), DAYS, check=False)
            assert idle(galileo)
    assert len(server.requests) == 90 + 10 * 5
    assert [counts.total for counts in table.values()][:90] == [0] * 90
    assert {len(counts) for counts in table.values()} == {4}


async def test_an_empty_part_is_not_divided(local_galileo, galileo):
    """A part without sessions is not divided further; for one project, the first dimension is sent with the whole."""
    days = CREATED.days("2026-06-29", "2026-07-09", tz="UTC")
    counts = await galileo.count_by(IDS[0], days * COMPLETE)
    with_sessions = {day for (day, _), count in counts.items() if count}
    assert len(local_galileo.requests) == 1 + len(days) + 2 * len(with_sessions)
    assert len(counts) == 20


async def test_a_stream_yields_each_project_with_its_parts(galileo):
    """With `by=`, each result has the counts of its parts and of the whole."""
    results: list[gs.CountResult] = []
    async with galileo.count_many(IDS[:3], by=COMPLETE, ordered=True) as stream:
        async for result in stream:
            results.append(result)  # noqa: PERF401  # one by one
    assert [result.unwrap() for result in results] == [COUNTS[project] for project in IDS[:3]]
    for result in results:
        assert result.counts_by == await galileo.count_by(result.query.project_id, COMPLETE)
        assert len(result.attempts) == 3
    assert results[2].index == 2
    rows = (await galileo.count_all(IDS[:2], by=COMPLETE)).rows()
    assert [(row["label"], row["error"]) for row in rows] == [("true", None), ("false", None)] * 2
    plain = (await galileo.count_all(IDS[:1])).results[0]
    with pytest.raises(gs.ConfigurationError, match=r"count_many\(..., by=partition\)"):
        _ = plain.counts_by


async def test_the_total_of_progress_grows_with_the_parts():
    """Progress counts requests: the parts are added once it is known that they follow."""
    told: list[gs.Progress] = []
    async with numbered() as server, client(server.url) as galileo:
        await galileo.count_all(ids(3), by=COMPLETE, on_progress=told.append, concurrency=1, check=False)
    assert [(progress.done, progress.total) for progress in told] == [
        (1, 3),
        (2, 5),
        (3, 5),
        (4, 5),
        (5, 7),
        (6, 7),
        (7, 7),
    ]


@pytest.mark.parametrize("fail_fast", [False, True])
async def test_a_part_that_fails_is_the_error_of_its_target(local_galileo, galileo, fail_fast):
    """The first error of a target's parts is its error, and its counts can't be used; others are counted."""
    local_galileo.fail_next(200, body={"total_count": 9})
    local_galileo.fail_next(404)
    call = galileo.count_all(IDS[:2], by=COMPLETE, concurrency=1, fail_fast=fail_fast, check=False)
    if fail_fast:
        with pytest.raises(gs.NotFoundError) as caught:
            await call
        assert caught.value.query.tag == "true"
        return
    report = await call
    assert report.counts == (None, COUNTS[IDS[1]])
    failed = report.results[0]
    assert (type(failed.error), [error.query.tag for error in failed.errors]) == (gs.NotFoundError, ["true"])
    with pytest.raises(gs.NotFoundError):
        _ = failed.counts_by


async def test_a_target_that_is_no_project_has_one_error(galileo):
    """A target that isn't a project is one error, however many counts it would have had."""
    breakdown = Breakdown.by(CountQuery(IDS[0]), COMPLETE, at_once=True)
    report = await galileo.count_all(["nope", IDS[0]], by=breakdown)
    failed, counted = report.results
    assert (failed.query, len(failed.errors), counted.total_count) == (None, 1, COUNTS[IDS[0]])
    assert [row["project_id"] for row in report.rows()] == ["nope"] + [IDS[0]] * 2
    with pytest.raises(gs.ConfigurationError, match="nope"):
        _ = failed.counts_by


async def test_a_rest_of_parts_that_failed_is_not_known(local_galileo, galileo):
    """A rest is known if the whole and all parts are."""
    local_galileo.fail_next(200, body={"total_count": 9})
    local_galileo.fail_next(404)
    report = await galileo.count_all(IDS[:1], by=BINS.with_rest("none"), concurrency=1, check=False)
    parts = report.results[0].parts
    assert parts.counts["none"] is None
    assert [row["label"] for row in parts.rows()] == ["below 2", "2 to 4", "4 and above"]
    local_galileo.fail_next(404)
    report = await galileo.count_all(IDS[:1], by=BINS * COMPLETE, check=False)
    assert set(report.results[0].parts.counts.values()) == {None}


async def test_a_query_is_divided_in_its_scope(galileo):
    """`count_by` takes a `CountQuery`, whose own filter applies to the whole and to each part."""
    where = Col("input").contains("refund")
    counts = await galileo.count_by(CountQuery(IDS[0], where, tag="mine"), COMPLETE, SCORE.gt(3))
    assert counts == await galileo.count_by(IDS[0], COMPLETE, where & SCORE.gt(3))
    assert counts.whole == await galileo.count(IDS[0], where & SCORE.gt(3))
    with pytest.raises(gs.ConfigurationError, match="For several queries write count_all"):
        await galileo.count_by([CountQuery(IDS[0])], COMPLETE)
    report = await galileo.count_all([CountQuery(IDS[0], where), CountQuery(IDS[0], NEVER)], by=COMPLETE)
    assert [result.counts_by.total for result in report.results] == [await galileo.count(IDS[0], where), 0]


async def listed(*targets):
    """Targets as an asynchronous iterable."""
    for target in targets:
        yield target


async def test_projects_are_divided_as_they_are_listed(galileo, local_galileo):
    """An asynchronous iterable of projects gives a table, too. Each project is counted once, and no query is lost."""
    projects = [gs.Project(project, f"p{number}") for number, project in enumerate(IDS[:3])]
    table = await galileo.count_by(listed(*projects, IDS[0].upper(), IDS[1].replace("-", "")), COMPLETE)
    assert [counts.project_name for counts in table.values()] == ["p0", "p1", "p2"]
    assert str(table).splitlines()[0].split() == ["total", "true", "false"]
    assert len(local_galileo.requests) == 9
    table = await galileo.count_by([*IDS[:1], "nope"], COMPLETE)
    assert ([*table], [type(error) for error in table.errors]) == (IDS[:1], [gs.ConfigurationError])
    with pytest.raises(gs.ConfigurationError, match="For several queries write count_all"):
        await galileo.count_by(listed(CountQuery(IDS[0])), COMPLETE)


async def test_the_flat_list_of_leaves_is_divided(galileo):
    """With `by=`, `filters=` apply to the whole and to each part."""
    leaf = SCORE.gt(3)
    report = await galileo.count_all(IDS[:1], by=COMPLETE, filters=[leaf])
    assert report.results[0].counts_by == await galileo.count_by(IDS[0], COMPLETE, leaf)


async def test_a_rest_whose_column_failed_says_so(local_galileo, galileo):
    """If the total of a column fails, the row of its rest has the error."""
    local_galileo.fail_next(200, body={"total_count": 9})
    for _ in range(2):
        local_galileo.fail_next(200, body={"total_count": 0})
    local_galileo.fail_next(404)
    days = CREATED.days("2026-06-01", "2026-06-03", tz="UTC").with_rest("other")
    report = await galileo.count_all(IDS[:1], by=days * COMPLETE, concurrency=1, check=False)
    failed = [row["label"] for row in report.rows() if row["error"]]
    assert failed == ["other, true"]


async def test_a_label_does_not_hide_the_total_of_a_table(galileo):
    """A part may be called total: the project's total then has another head."""
    table = await galileo.count_by(IDS[:1], {"total": SCORE.gt(3), "x": SCORE.gt(4)})
    assert str(table).splitlines()[0].split() == ["(total)", "total", "x"]
    assert str(table).splitlines()[1].split()[1] == str(COUNTS[IDS[0]])


def test_labels_of_three_are_a_chart():
    """Tuples that aren't pairs are drawn as a chart; a result with parts can be hashed."""
    counts = gs.CountsBy(IDS[0], {("a", "b", "c"): 1})
    assert str(counts).startswith("a, b, c  1")
    assert "a, b, c" in counts._repr_html_()
    assert str(gs.CountsBy(IDS[0], {})) == ""
    query = CountQuery(IDS[0])
    assert isinstance(hash(gs.CountResult(0, [], query, 1, None, (), 0.0, parts={})), int)


async def test_labels_can_be_any_hashable_value(galileo):
    """Labels that aren't text are counted, printed and written into rows."""
    day = date(2026, 6, 30)
    counts = await galileo.count_by(IDS[0], {day: CREATED.on(day, tz="UTC"), 3: SCORE.gt(3), None: SCORE.lt(1)})
    assert [line.split()[0] for line in str(counts).splitlines()] == ["2026-06-30", "3", "None"]
    assert [row["label"] for row in counts.rows()] == [day, 3, None]
    assert "2026-06-30" in counts._repr_html_()


async def test_a_grid_prints_pairs_and_projects(galileo):
    """Pairs print as a grid, in which columns without sessions are left out, also in a notebook."""
    counts = await galileo.count_by(IDS[0], COMPLETE * SCORE.bins(2, 99))
    head, *lines = str(counts).splitlines()
    assert [cell.strip() for cell in head.split("  ") if cell] == ["below 2", "2 to 99"]
    assert [line.split()[0] for line in lines] == ["true", "false"]
    assert counts._repr_html_().count("<tr>") == 3
    assert counts.rows()[0]["labels"] == ("true", "below 2")
    assert counts.rows()[0]["label"] == "true, below 2"
    rows = (await galileo.count_all(IDS[:1], by=COMPLETE * SCORE.bins(2, 99))).rows()
    assert (rows[0]["label"], rows[0]["labels"]) == ("true, below 2", ("true", "below 2"))
    table = await galileo.count_by(IDS[:2], DAYS)
    assert max(map(len, str(table).splitlines())) <= 80
    assert " more" in str(table).splitlines()[0]


async def test_a_deadline_ends_a_breakdown(local_galileo):
    """Parts that aren't counted by the deadline are errors of their project, and no task is left."""
    now = datetime.now(UTC)
    sessions = [{"project_id": IDS[0], "created_at": now}]
    async with LocalGalileo(sessions) as server, client(server.url, api_key=server.api_key) as galileo:
        async with asyncio.timeout(30):
            report = await galileo.count_all(IDS[:1], by=COMPLETE, timeout=0.000001)
        assert type(report.errors[0]) is gs.DeadlineExceededError
        assert idle(galileo)
