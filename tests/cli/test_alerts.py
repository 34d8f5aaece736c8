"""An alert can't pass on a mistake, and a pager can show its lines; also 15 mistakes, each in 8 alerts."""

import json
import os
import shlex
from itertools import product
from uuid import UUID

import pytest
from attrs import evolve
from cli.processes import USAGE, Outcome, leaves, objects, process
from support.clients import COUNTS, IDS
from support.sockets import answers, http, raw_server

from galileo_sessions import ColumnCatalog
from galileo_sessions.local import server as local_server

CHATBOT, PLANNER, THIRD = IDS[:3]  # the first two have 312 and 363 sessions
EMPTY, ALSO_EMPTY = [str(UUID(int=number, version=4)) for number in (1, 2)]
ABOVE_3 = "-w 'score > 3'"  # 180 sessions of the first project
QUIET = "--since 2020-01-01 --until 2020-02-01"  # no session of the sample is so old
JUNE = "--since 2026-06-01 --until 2026-07-01"  # 96 sessions of the first project
CANT = "the limit can't be judged"


def none_in(place: str) -> str:
    """The line of a project that has no sessions."""
    return f"no sessions in {place}, so {CANT}"


VERDICTS = [
    # a limit is broken by what is beyond it
    (f"{CHATBOT} {ABOVE_3} --fail-above 180 --fail-below 180", 0, ""),
    (f"{CHATBOT} {ABOVE_3} --fail-above 179", 3, f"{CHATBOT}: 180 sessions, above 179"),
    (f"{CHATBOT} {ABOVE_3} --fail-below 181", 3, f"{CHATBOT}: 180 sessions, below 181"),
    (f"{CHATBOT} {ABOVE_3} --fail-above 57.6%", 3, f"{CHATBOT}: 57.7% (180 of 312 sessions), above 57.6%"),
    (f"{CHATBOT} {ABOVE_3} --fail-above 57.7% --fail-below 50%", 0, ""),
    (f"{CHATBOT} --fail-below 100%", 0, ""),
    # a project is named by its id and its name, if that was given; several, by their number
    (f"{CHATBOT} {CHATBOT.upper()} 'Support chatbot' --fail-above 311", 3, f"{CHATBOT} Support chatbot: 312 sess..."),
    ("--all --fail-above 100 --fail-below 50%", 3, f"12 projects: {sum(COUNTS.values()):,} sessions, above 100"),
    # a project that has sessions can have none in a period, or none for a filter
    (f"{CHATBOT} {QUIET} --fail-above 10", 0, ""),
    (f"{CHATBOT} -w 'score < 0' --fail-above 10", 0, ""),
    (f"{CHATBOT} {QUIET} {ABOVE_3} --fail-above 10", 0, ""),
    (f"{CHATBOT} {QUIET} --by created_at:day --fail-above 10", 0, ""),
    (f"{CHATBOT} {QUIET} --fail-below 10", 3, f"{CHATBOT}: 0 sessions, below 10"),
    (f"{CHATBOT} {QUIET} --fail-above 10% --fail-below 10", 3, f"{CHATBOT}: 0 sessions, below 10"),
    (f"{CHATBOT} {QUIET} --fail-above 10%", 1, f"no sessions in this period in {CHATBOT}, so {CANT}"),
    (
        f"{CHATBOT} {ABOVE_3} {JUNE} --by created_at:day --fail-above 50%",
        3,
        f"{CHATBOT}: ...% (... of 96 ...), above 50%",
    ),
    # a project without any can't be judged: its id is perhaps wrong
    (f"{EMPTY} --fail-below 10", 1, none_in(EMPTY)),
    (f"{EMPTY} {ABOVE_3} --fail-above 10", 1, none_in(EMPTY)),
    (f"{CHATBOT} {EMPTY} --fail-above 999", 1, none_in(EMPTY)),
    (f"{EMPTY} {CHATBOT} {ABOVE_3} --fail-above 10%", 1, none_in(EMPTY)),
    (f"{EMPTY} {ALSO_EMPTY} --fail-above 10", 1, f"{none_in(EMPTY)}\n{none_in(ALSO_EMPTY)}"),
    (f"{EMPTY} {PLANNER} --fail-above 100", 3, "2 projects: 363 sessions, above 100"),
    (f"{CHATBOT} --log-stream {EMPTY} --fail-above 10", 1, none_in(f"{CHATBOT}, log stream {EMPTY}")),
    (f"{CHATBOT} --experiment {PLANNER} --fail-above 10", 1, none_in(f"{CHATBOT}, experiment {PLANNER}")),
    (
        f"'Support chatbot' --metrics-testing {EMPTY} {ABOVE_3} --fail-above 10%",
        1,
        none_in(f"{CHATBOT} Support chatbot, metrics testing {EMPTY}"),
    ),
    # a log stream has its own total
    ("'Support chatbot' --log-stream staging -w 'score > 3' --fail-above 60%", 0, ""),
    ("'Support chatbot' --log-stream staging -w 'score > 3' --fail-above 1%", 3, "...% (... sessions), above 1%"),
    # with --each, each project is judged by itself
    (f"{CHATBOT} {PLANNER} --each --fail-above 320 --fail-below 9", 3, f"{PLANNER}: 363 sessions, above 320"),
    (f"{CHATBOT} {EMPTY} --each --fail-above 320 --fail-below 9", 1, none_in(EMPTY)),
    (
        f"'Support chatbot' 'Travel planner' {ABOVE_3} --each --fail-above 57.6%",
        3,
        f"{CHATBOT} Support chatbot: 57.7% (180 of 312 sessions), above 57.6%",
    ),
    # with -q, there is no warning, here that a text looks like a time
    (f"{CHATBOT} -w \"external_id == '2026-05-01'\" --fail-above 10", 0, ""),
    # a value that is empty, or impossible
    (f"{CHATBOT} --log-stream '' --fail-above 10", 2, "Error: log_stream_id must be a UUID, got ''"),
    (f"{CHATBOT} -w '' --fail-above 10", 2, "Error: --where: ...\n...\n..."),
    (f"{CHATBOT} --since '' --fail-above 10", 2, "Error: --since: '' must be a day..."),
    (f"{CHATBOT} --until '' --fail-above 10", 2, "Error: --until: '' must be a day..."),
    (f"{CHATBOT} --since 1d --tz '' --fail-above 10", 2, "Error: --tz: unknown time zone ''..."),
    (f"{CHATBOT} --by ''", 2, "Error: --by: there is no column ''..."),
    (f"{CHATBOT} --by craeted_at:day {QUIET} --fail-above 1", 2, "...no column 'craeted_at'; did you mean created_at?"),
    (f"{CHATBOT} --since 2999-01-01 --until 2999-01-02 --fail-above 1", 2, "... and in the past, got 2999-01-01..."),
    (f"{CHATBOT} --since 2020-01-02 --until 2020-01-01 --fail-above 1", 2, "Error: --since must be before --until..."),
    (f"{CHATBOT} --since 0001-01-01 --tz Asia/Tokyo --fail-above 1", 2, "Error: --since: '0001-... is out of range..."),
    *[
        (f"{CHATBOT} --fail-{limit}", 2, f"{USAGE}...can't be a limit: it would apply never, or always.")
        for limit in ("above 150%", "above 100%", "below 101%", "below 0")
    ],
    *[
        (f"{CHATBOT} --fail-above {limit}", 2, f"{USAGE}... must be a number such as 100, or a share such as 10%.")
        for limit in ("-1", "many", "''")
    ],
    (f"{CHATBOT} --each", 2, f"{USAGE}--each needs --fail-above or --fail-below."),
]


@pytest.mark.parametrize(("arguments", "status", "err"), VERDICTS, ids=lambda value: str(value)[:70])
async def test_the_verdict_is_all_that_a_quiet_alert_writes(server, run, arguments, status, err):
    """The status is 3 if a limit is broken; 2 for a mistake, before anything is counted; 1 if it can't be judged."""
    server.strict = False
    assert await run(f"count -q {arguments}") == leaves(status, err)
    assert status != 2 or server.requests == []


SCORE = {"columns": [{"id": "score", "filter_type": "number"}]}
NOT_FOUND = f"{CANT}: {CHATBOT}: 404..."
LISTS_NONE = f"no columns to check the filter with in {CHATBOT}, so {CANT}"
BOTH = f"{CHATBOT} {PLANNER}"
SHARED = f"{PLANNER}: 27.5% (100 of 363 sessions), above 1%"


def total(*counts: int) -> list[dict]:
    """Scripts answers to counts."""
    return [{"total_count": count} for count in counts]


SCRIPTED = [
    # the total without a failed count can be enough, but not for a share
    ([404], f"{BOTH} --fail-above 100 --fail-below 9999", 3, "2 projects: 363 sessions, above 100"),
    ([404, 404], f"{BOTH} --fail-above 99999", 1, NOT_FOUND),
    ([404], f"{BOTH} --fail-above 1% --fail-below 9", 1, NOT_FOUND),
    # the count without the filter fails
    ([SCORE, *total(100), 404], f"{CHATBOT} {ABOVE_3} --fail-above 1%", 1, NOT_FOUND),
    ([SCORE, *total(100), 404], f"{CHATBOT} {ABOVE_3} --fail-above 99", 3, f"{CHATBOT}: 100 sessions, above 99"),
    ([SCORE, *total(100), 404], f"{CHATBOT} {ABOVE_3} --fail-above 100", 0, ""),
    # a project that lists no columns hides no typo; without a filter, they aren't asked for
    ([{"columns": []}, *total(0, 5), {"columns": []}], f"{CHATBOT} -w 'scor < 2' --fail-above 10", 1, LISTS_NONE),
    ([{"columns": []}, *total(0, 5), 404], f"{CHATBOT} {QUIET} --fail-above 10", 0, ""),
    (
        [{"columns": []}, *total(0, 5), {"columns": []}], f"{CHATBOT} {QUIET} --by created_at:day --fail-above 10", 1,
        LISTS_NONE,
    ),
    # with --each, one project hides no verdict of others: it fails, or has no sessions, or its 0 can't be explained
    (
        [404], f"{CHATBOT} {EMPTY} {THIRD} {PLANNER} --each --fail-above 362 --fail-below 10", 3,
        f"{NOT_FOUND}\n{none_in(EMPTY)}\n{PLANNER}: 363 sessions, above 362",
    ),
    ([*total(100, 100), 404], f"{BOTH} --each --fail-above 1%", 3, f"{NOT_FOUND}\n{SHARED}"),
    (
        total(100, 100, 0), f"{BOTH} --each --fail-above 1%", 3,
        f"no sessions in this period in {CHATBOT}, so {CANT}\n{SHARED}",
    ),
    *[
        (
            [SCORE, *total(0), SCORE, *total(500), *last], f"{BOTH} {ABOVE_3} --each --fail-above 10", 3,
            f"{NOT_FOUND}\n{PLANNER}: 500 sessions, above 10",
        )
        for last in ([404], [*total(1), 404])
    ],
    # a share is on the right side of its limit, and has as many digits as that takes
    *[
        (total(*counts), f"{CHATBOT} --fail-{limit}", 3, f"{CHATBOT}: {shown}, {limit}")
        for counts, limit, shown in (
            ((1001, 10_000), "above 10%", "10.01% (1,001 of 10,000 sessions)"),
            ((100_001, 1_000_000), "above 10.0%", "10.0001% (100,001 of 1,000,000 sessions)"),
            ((999, 10_000), "below 10%", "9.99% (999 of 10,000 sessions)"),
            ((1, 3), "above 33.333%", "33.3333% (1 of 3 sessions)"),
            ((500, 10_000), "above 4.99%", "5.0% (500 of 10,000 sessions)"),
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize("row", SCRIPTED, ids=lambda row: row[1].replace(CHATBOT, "").replace(PLANNER, ""))
async def test_what_is_sure_is_judged_although_requests_fail(script, run, row):
    """What failed can only make a total larger. The first failure is named."""
    responses, arguments, status, err = row
    script(*responses)
    assert await run(f"count -q --concurrency 1 {arguments}") == leaves(status, err)


async def test_what_else_is_written(server, run):
    """Without -q, the reason comes first, then warnings and the total; with -q, JSON and CSV if they are asked for."""
    above = f"{CHATBOT}: 180 sessions, above 179"
    row = f'{{"project_id": "{CHATBOT}", "total_count": 180}}'
    assert await run(f"count {CHATBOT} {ABOVE_3} -q --fail-above 179 -f json") == leaves(3, above, row)
    assert await run(f"count {EMPTY} --fail-above 10 -f csv") == leaves(
        1,
        f"{none_in(EMPTY)}\n1 project counted (2 requests), 0 sessions",
        f"project_id,total_count,error\n{EMPTY},0,",
    )
    done = await run(f"count {CHATBOT} -w \"external_id == '2026-05-01'\" --fail-above 10")
    assert done.err.startswith("1 project counted (2 requests), 0 sessions\nWarning: ")


@pytest.mark.parametrize(
    ("failed", "arguments", "asked"),
    [
        (0, f"{CHATBOT} {EMPTY} --fail-above 10 --experiment {PLANNER}", [CHATBOT, EMPTY] * 2),
        (0, f"{CHATBOT} {PLANNER} --fail-above 999", [CHATBOT, PLANNER]),
        (1, f"{CHATBOT} {PLANNER} --fail-above 99%", [CHATBOT, PLANNER]),
        (1, f"{CHATBOT} {PLANNER} --fail-above 99% --each", [CHATBOT, PLANNER, PLANNER]),
    ],
)
async def test_only_what_a_verdict_needs_is_counted_again(server, run, failed, arguments, asked):
    """A 0 is counted without its filter, in the same scope; a share, where the count succeeded and can be judged."""
    for _ in range(failed):
        server.fail_next(404)
    await run(f"count -q --concurrency 1 {arguments}")
    assert [query.project_id for query in server.requests] == asked
    assert len({query.experiment_id for query in server.requests}) == 1


async def test_an_environment_is_never_good_news(server, run, monkeypatch):
    """A key, an address or a service that is wrong."""
    async with raw_server(answers(http(body="<html>"))) as console, raw_server(answers(http(503, ""))) as down:
        for name, value, status, err in (
            ("GALILEO_API_KEY", "wrong", 1, f"Error: {CHATBOT}: 401 Unauthorized..."),
            ("GALILEO_API_KEY", "", 2, "Error: no credentials..."),
            ("GALILEO_API_URL", "http://127.0.0.1:1", 1, f"{CANT}: {CHATBOT}: ..."),
            ("GALILEO_API_URL", "example", 2, "Error: ..."),
            ("GALILEO_API_URL", console.url, 1, f"{CANT}: {CHATBOT}: ..."),
            ("GALILEO_API_URL", down.url, 1, f"{CANT}: {CHATBOT}: ..."),
            ("GALILEO_PROJECT_ID", EMPTY, 1, none_in(EMPTY)),
        ):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                project = "" if name == "GALILEO_PROJECT_ID" else CHATBOT
                seconds = 0.5 if err.startswith(CANT) else 60
                assert await run(f"count -q {project} --fail-above 10 --timeout {seconds}") == leaves(status, err)


@pytest.mark.parametrize(("limit", "status"), [("1", 3), ("9999", None)], ids=["broken", "holds"])
async def test_the_verdict_comes_before_the_results(server, limit, status):
    """A full disk or a reader that is gone hides neither the line nor the status of a limit that is broken."""
    verdict = f"{CHATBOT}: 312 sessions, above 1\n" if status else ""
    read, write = os.pipe()
    os.close(read)
    for stdout, otherwise, error in (
        (os.open("/dev/full", os.O_WRONLY), 1, "Error: No space left on device\n"),
        (write, 141, ""),
    ):
        async with process("count", CHATBOT, "--fail-above", limit, stdout=stdout) as running:
            os.close(stdout)
            err = (await running.stderr.read()).decode()
            assert (await running.wait(), err) == (status or otherwise, verdict + error)


# ---- mistakes and alerts, each with each -----------------------------------------------------------------------------

ALERTS = [
    "--fail-above 50",
    "--fail-above 90%",
    "--fail-above 90% --fail-below 1",
    f"--fail-above 50 {JUNE}",
    f"--fail-above 50 {JUNE} --by created_at:day",
    "--fail-above 90% --by score:1,3",
    "--fail-above 50 --each 'Energy adviser'",
    "--fail-above 90% 'Energy adviser' --format json",
]
"""Limits that hold for what RIGHT counts: some sessions."""
RIGHT = ("'Legal guide'", "development", "score < 2")
GUIDE, STREAM, WHERE = RIGHT
TAGS, NUMBER = {"type": "collection", "column_id": "tags"}, {"type": "number", "column_id": "score"}
WRONG = {
    # the project, the log stream and the filter; the status, and words of the reason
    "id": (EMPTY, "", WHERE, 1, f"no sessions in {EMPTY}, so"),
    "name": ("'Legal giude'", STREAM, WHERE, 2, "Did you mean Legal guide?"),
    "log stream": (GUIDE, "developement", WHERE, 2, "Did you mean development?"),
    "log stream's id": (GUIDE, EMPTY, WHERE, 1, f", log stream {EMPTY}, so the limit can't be judged"),
    "column": (GUIDE, STREAM, "scor < 2", 2, "there is no column 'scor'"),
    "column of another log stream": (GUIDE, STREAM, "error_message == 'x'", 2, "there is no column 'error_message'"),
    "column without a type": (GUIDE, STREAM, "external_id == 'x'", 1, "no type of 'external_id' to check the filter"),
    "text for a number": (GUIDE, STREAM, "score == 'low'", 2, "'score' is filtered as number"),
    "text for a collection": (GUIDE, STREAM, "tags == 'rude'", 2, "'tags' is filtered as collection"),
    "no filter": (GUIDE, STREAM, "any_of([])", 2, "no session satisfies this filter"),
    "empty list": (GUIDE, STREAM, "TextFilter('input', 'one_of', [])", 2, "doesn't define an empty list"),
    "empty list as JSON": (GUIDE, STREAM, {**TAGS, "operator": "one_of", "value": []}, 2, "define an empty list"),
    "reversed bounds": (GUIDE, STREAM, {**NUMBER, "operator": "between", "value": [2, 0]}, 2, "Swap the two"),
    "annotations": (GUIDE, STREAM, "fully_annotated()", 2, "only in searches of an annotation queue"),
    "annotations as JSON": (GUIDE, STREAM, {"type": "fully_annotated"}, 2, "only in searches of an annotation queue"),
}


@pytest.fixture
def judge(server, run, monkeypatch):
    """Runs an alert; the server isn't strict, and doesn't say how `external_id` is filtered."""

    def typed(sessions) -> ColumnCatalog:
        infos = columns_of(sessions).columns
        return ColumnCatalog([evolve(info, filter_type=None) if info.id == "external_id" else info for info in infos])

    async def count(alert, project, stream, where) -> Outcome:
        option = shlex.join(["-w", where]) if isinstance(where, str) else "--where-json -"
        stream = stream and f"--log-stream {stream}"
        return await run(f"count -q {project} {stream} {option} {alert}", json.dumps({"filter": where}))

    columns_of, server.strict = local_server.columns_of, False
    monkeypatch.setattr(local_server, "columns_of", typed)
    return count


@pytest.mark.parametrize("alert", ALERTS)
async def test_without_a_mistake_they_hold(judge, alert):
    done = await judge(alert, *RIGHT)
    assert (done.status, done.err) == (0, "")
    assert [row["total_count"] for row in objects(done.out)] == ([12, 14] if "json" in alert else [])


@pytest.mark.parametrize(("mistake", "alert"), [*product(WRONG, ALERTS)])
async def test_no_mistake_passes(judge, mistake, alert):
    *given, status, words = WRONG[mistake]
    done = await judge(alert, *given)
    assert (done.status, "Traceback" in done.err) == (status, False)
    assert words in done.err
