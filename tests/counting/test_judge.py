"""`galileo.judge`: what a limit promises, in Python; tests/cli/test_alerts.py has the rows of the command line."""

import asyncio
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from cli.processes import Like
from support.clients import IDS, client
from support.sockets import refused_port, until

import galileo_sessions as gs
from galileo_sessions import (
    ALWAYS,
    NEVER,
    Col,
    ConfigurationError,
    CountQuery,
    FilterError,
    JudgementError,
    NotFoundError,
    Project,
    ServerError,
    exit_status,
)

A, B = IDS[:2]  # they have 312 and 363 sessions
HIGH = Col("score") > 3  # 180 and 200 of them
ID = Col.text("external_id")
UPDATED = Col.date("updated_at")
CREATED = Col.date("created_at")
SOON = datetime.now(UTC) + timedelta(hours=13)  # as a local time that is taken for UTC can be
EVER = CREATED.gte(datetime(2020, 1, 1, tzinfo=UTC))


async def test_a_verdict_has_its_numbers_reasons_and_doubts(galileo):
    verdict = await galileo.judge([A, B], HIGH, above="50%", below=400)
    assert (verdict.status, verdict.holds, verdict.doubts, verdict.numbers) == (3, False, (), ())
    assert verdict.reasons == (
        "2 projects: 56.3% (380 of 675 sessions), above 50%",
        "2 projects: 380 sessions, below 400",
    )
    assert str(verdict) == "\n".join(verdict.reasons)
    (judgement,) = verdict.judgements
    assert (judgement.place, judgement.sessions, judgement.whole) == ("2 projects", 380, 675)
    assert verdict.report.counts == (180, 200)
    assert pickle.loads(pickle.dumps(verdict)) == verdict


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"above": "60%"}, "holds: 56.3% (380 of 675 sessions), limit 60%"),
        ({"above": 380, "below": 10}, "holds: 380 sessions, limit 380\nholds: 380 sessions, limit 10"),
        (
            {"above": "57.8%", "each": True},
            f"holds in 2 places; nearest in {A}: 57.7% (180 of 312 sessions), limit 57.8%",
        ),
        ({"below": 180, "each": True}, f"holds in 2 places; nearest in {A}: 180 sessions, limit 180"),
    ],
)
async def test_a_limit_that_holds_says_so(galileo, limits, said):
    verdict = await galileo.judge([A, B], HIGH, **limits)
    assert (verdict.holds, Like(said)) == (True, str(verdict))


async def test_the_targets_of_a_generator_are_judged(galileo):
    verdict = await galileo.judge((each for each in [A, B]), HIGH, above="50%")
    assert verdict.reasons == ("2 projects: 56.3% (380 of 675 sessions), above 50%",)


async def test_a_verdict_is_no_condition(galileo):
    """`if not await galileo.judge(...)` would never fire."""
    with pytest.raises(TypeError, match=r"Write verdict\.holds"):
        assert await galileo.judge([A], HIGH, above=9)


ODD = [
    *[({"above": value}, f"{value!r} must be a whole number such as 100, or a share such as 10%")
      for value in ("", "-1", -1, True, 1e3, "10 %", "١٠")],
    ({"above": 0.05}, "0.05 must be a whole number such as 100, or a share such as 5%"),
    ({"above": "100%"}, "'100%' can't be a limit: every count would break it, or none would"),
    ({"below": 0}, "'0' can't be a limit"),
    ({}, "there is no limit to judge"),
    ({"above": 9, "below": 10}, "every count is above 9 or below 10"),
    ({"above": "9%", "below": "9.1%"}, "every count is above 9% or below 9.1%"),
    ({"above": 9, "each": "yes"}, "each must be True or False, got 'yes'"),
    ({"above": 9, "allow_empty": "yes"}, 'allow_empty must be True, False or "projects", got \'yes\''),
]  # fmt: skip
WRONG = [
    # no session satisfies it, or each one does
    (NEVER, {}, "no session satisfies this filter: it is NEVER"),
    ((ID == "a") & (ID == "b"), {}, "no session can satisfy"),
    (~HIGH, {"during": CREATED.lt(SOON) & CREATED.gt(SOON)}, "no session can satisfy"),
    (ID.ne("a") | ID.ne("b"), {}, "join by &"),
    (~(ID.eq("a") & ID.eq("b")) & HIGH, {}, "no session can satisfy"),

    # a share can only be 100%, or its two numbers are about two periods
    (ALWAYS, {"below": "90%"}, "without a filter, each share is 100%"),
    (ALWAYS, {"below": "90%", "during": EVER}, "without a filter, each share is 100%"),
    (HIGH & CREATED.last("24h"), {"above": "5%"}, "isn't narrowed by .*--since and --until, .* during="),
    (HIGH | ~CREATED.last("24h"), {"above": "5%"}, "the whole of a share isn't narrowed"),
    (UPDATED.last("24h"), {"above": "5%", "during": UPDATED.last("7d")}, "isn't narrowed"),
    # the future
    *[(where, {}, r"it is in\s.*future") for where in (
        CREATED.gt(SOON), ~CREATED.lte(SOON), HIGH | CREATED.on((SOON + timedelta(1)).date(), tz=UTC))],
    (HIGH, {"during": CREATED.during(SOON, SOON + timedelta(1))}, r"it is in\s.*future"),
    # a variable that isn't set, and an annotation queue
    *[(where, {}, "has an empty text.*Perhaps a variable isn't set") for where in (
        Col("input") == "", ~Col("input").one_of(["a", " "]), ID.contains(" "), Col.collection("tags") == "")],
    (gs.FullyAnnotatedFilter(), {}, "annotation queue"),
    # what is no filter or no period
    (None, {}, "None"), ("score > 3", {}, "score > 3"),
    (HIGH, {"during": Col("score") > 1}, "a period has conditions on dates alone"),
    (HIGH, {"during": None}, "None"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), ODD)
async def test_a_limit_that_nothing_or_everything_breaks_is_refused(galileo, sample, arguments, said):
    with pytest.raises(ConfigurationError) as caught:
        await galileo.judge([A], HIGH, **arguments)
    assert said in str(caught.value)
    assert exit_status(caught.value) == 2
    assert sample.requests == []


@pytest.mark.parametrize(("where", "arguments", "said"), WRONG)
async def test_a_filter_that_cannot_break_a_limit_or_cannot_hold_it_is_refused(galileo, sample, where, arguments, said):
    with pytest.raises(FilterError, match=f"(?s){said}") as caught:
        await galileo.judge([A], where, **{"above": 9} | arguments)
    assert exit_status(caught.value) == 2
    assert sample.requests == []


MISFITS = [
    (Col("scroe") > 3, "did you mean score?"),
    (Col("score") == "3", "'score' is filtered as number"),
    (Col.id("id") == "abc", "'id' is never 'abc'; it has UUIDs"),
    (Col.id("id").not_in([A, "abc"]), "'id' is never 'abc'; it has UUIDs"),
    (HIGH | (Col.id("project_id") == "x"), "'project_id' is never 'x'"),
    (HIGH & (Col.id("project_id") == B), "is about another"),
    ((Col("status") == "ok") | Col.text("status").contains("eror"), "'status' never contains 'eror'; its values are"),
]


@pytest.fixture
async def listing(sample, monkeypatch):
    """The server lists an id, the project's id and a status."""
    columns = [("id", "id", "uuid", ()), ("project_id", "id", "uuid", ()), ("status", "text", "text", ("ok", "error"))]
    columns += [("score", "number", "integer", ()), ("created_at", "date", "timestamp", ())]
    names = ("id", "filter_type", "data_type", "allowed_values")
    body = {"columns": [dict(zip(names, column, strict=True)) for column in columns]}
    return lambda: sample.fail_next(200, body=body)


@pytest.mark.parametrize(("where", "said"), MISFITS)
async def test_a_filter_that_does_not_fit_a_project_counts_nothing(galileo, sample, listing, where, said):
    listing()
    verdict = await galileo.judge([A], where, above=9)
    assert verdict.status == 2
    assert said in str(verdict.doubts[0].issues)
    assert sample.requests == []


@pytest.mark.parametrize(
    "where", [HIGH & (Col.id("project_id") == A), Col.id("id").contains("7"), Col.text("status").contains("err")]
)
async def test_a_filter_that_fits_is_counted(galileo, sample, listing, where):
    listing()
    assert (await galileo.judge([A], where, above=999)).status == 0


async def test_a_period_needs_its_column(galileo, sample):
    verdict = await galileo.judge([A], during=Col.date("craeted_at").last("9999d"), above=9)
    assert (verdict.status, "did you mean created_at?" in str(verdict)) == (2, True)


async def test_targets_have_scopes_but_no_filters(galileo):
    staging = await galileo.log_stream(A, "staging")
    verdict = await galileo.judge([staging], HIGH, above="50%")
    assert verdict.reasons == (f"{A} staging: 57.1% (28 of 49 sessions), above 50%",)
    verdict = await galileo.judge([CountQuery(A, HIGH)], HIGH, above=1)
    assert (verdict.status, "can't have a filter of its own" in str(verdict)) == (2, True)


@pytest.mark.parametrize("each", [False, True])
async def test_no_projects_hold_no_limit(galileo, each):
    verdict = await galileo.judge([], HIGH, above=9, each=each)
    assert (verdict.status, str(verdict)) == (1, "the limit can't be judged: there are no projects to count")


async def test_no_session_is_counted_twice(galileo):
    """Twice a project, or a log stream beside its project, would make a total that no limit is about."""
    staging = await galileo.log_stream(A, "staging")
    for targets in ([A, A.upper()], [A, staging], [staging, A], [staging, staging]):
        verdict = await galileo.judge(targets, Col("score") < 2, below=50)
        assert (verdict.status, "would be counted twice" in str(verdict)) == (1, True)
    production = await galileo.log_stream(A, "production")
    assert (await galileo.judge([staging, production, B], HIGH, above=999)).holds
    assert (await galileo.judge([A, A], HIGH, above=999, each=True)).holds


async def test_a_target_with_a_filter_of_its_own_is_refused(galileo):
    target = CountQuery(A, Col.number("scoer").lt(2))
    for where in (ALWAYS, HIGH):
        assert (await galileo.judge([target], where, above=5, allow_empty=True)).status == 2


async def test_results_are_numbered_as_the_targets(galileo):
    verdict = await galileo.judge(IDS, HIGH, above="90%", each=True, concurrency=1)
    assert [result.index for result in verdict.report.results] == [*range(12)]


async def test_excluding_what_cannot_be_is_no_mistake(galileo):
    assert (await galileo.judge([A], HIGH & ~CREATED.gte(SOON), above=999)).holds


async def test_a_wrong_key_is_all_that_is_told(sample):
    async with client(sample.url, api_key="wrong") as galileo:
        for each in (False, True):
            verdict = await galileo.judge(IDS, HIGH, above="5%", each=each)
            assert (verdict.status, len(verdict.doubts)) == (1, 1)


async def test_an_outage_of_the_list_is_one():
    with refused_port() as url:
        async with client(url) as galileo:
            assert (await galileo.judge(galileo.projects(), HIGH, above=9, timeout=2)).status == 75


async def test_what_is_no_project_is_a_mistake(galileo):
    verdict = await galileo.judge(["bot"], HIGH, above=9)
    assert (verdict.status, "await galileo.project('bot')" in str(verdict)) == (2, True)


async def test_projects_that_are_listed_may_be_empty(galileo):
    empty = Project("00000000-0000-4000-8000-000000000001", "new")
    for allow_empty, status in ((False, 1), ("projects", 0), (True, 0)):
        assert (await galileo.judge([empty, A], above=999, allow_empty=allow_empty)).status == status
    for allow_empty, status in ((False, 1), ("projects", 1), (True, 0)):
        assert (await galileo.judge([empty], HIGH, above="5%", allow_empty=allow_empty)).status == status


# ---- trouble ---------------------------------------------------------------------------------------------------------

FAILURES = [(503, 75), (429, 75), (500, 75), (401, 1), (403, 1), (404, 1), (422, 1)]


@pytest.mark.parametrize(("code", "status"), FAILURES)
async def test_an_outage_has_a_status_of_its_own(galileo, sample, code, status):
    sample.fail_next(code, times=1000)
    assert (await galileo.judge([A, B], above=9, timeout=1)).status == status


async def test_an_outage_of_one_project_is_none(galileo, sample):
    sample.fail_next(404, project=A)
    sample.fail_next(503, project=B, times=1000)
    assert (await galileo.judge([A, B], above=9, timeout=1)).status == 1


async def test_a_service_that_is_not_reached_is_an_outage():
    with refused_port() as url:
        async with client(url) as galileo:
            assert (await galileo.judge([A], above=9, timeout=1)).status == 75


async def test_one_project_that_hangs_hides_no_other(server):
    """The others are judged by their own counts; each is checked, counted and compared while one hangs."""
    server.slow(60, project=A)
    async with client(server.url, api_key=server.api_key) as galileo:
        verdict = await galileo.judge([A, B], HIGH, above="50%", each=True, timeout=2)
    assert (verdict.status, len(verdict.doubts)) == (3, 1)
    assert verdict.reasons == (f"{B}: 55.1% (200 of 363 sessions), above 50%",)


def test_of_several_statuses_the_gravest_counts():
    outage = ServerError("503", status=503)
    failed = NotFoundError("404", status=404)
    wrong = ConfigurationError("no")
    unknown = gs.ProjectLookupError("no project")
    assert exit_status(outage) == 75
    assert exit_status(failed, outage) == 1
    assert exit_status(outage, wrong, failed) == 2
    assert exit_status(unknown) == 2
    assert exit_status(JudgementError("no sessions")) == 1


async def test_a_judgement_that_is_cancelled_keeps_what_was_counted(server):
    """As a fan-out does: the report has the counts with the filter."""
    server.slow(60, project=B)
    progress: list[gs.Progress] = []
    async with client(server.url, api_key=server.api_key) as galileo:
        judging = asyncio.create_task(galileo.judge([A, B], HIGH, above="50%", on_progress=progress.append))
        await until(lambda: len(progress) == 2)  # the filter and the whole of A
        judging.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await judging
    assert caught.value.report.counts == (180,)


async def test_a_source_that_fails_is_a_doubt(galileo, sample):
    async def targets():
        yield A
        raise gs.ConnectError("gone")

    verdict = await galileo.judge(targets(), above=999)
    assert (verdict.status, str(verdict)) == (1, "the limit can't be judged: gone")
    assert (await galileo.judge(targets(), above=9)).status == 3
