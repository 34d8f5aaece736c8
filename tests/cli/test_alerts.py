"""An alert can't pass on a mistake, and a pager can show its lines; also 15 mistakes, each in 8 alerts."""

import json
import os
from collections.abc import Iterator
from itertools import product
from uuid import UUID

import pytest
from attrs import evolve
from cli.processes import WHERE, Outcome, process
from support.clients import COUNTS, IDS
from support.sockets import answers, http, raw_server

from galileo_sessions import ColumnCatalog
from galileo_sessions.local import LocalGalileo
from galileo_sessions.local import server as local_server

CHATBOT, PLANNER = IDS[:2]
EMPTY, ALSO_EMPTY = [str(UUID(int=number, version=4)) for number in (1, 2)]
QUIET = ("--since", "2020-01-01", "--until", "2020-02-01")  # no session of the sample is so old
ABOVE = ("--fail-above", "10")
TOKYO = ("--tz", "Asia/Tokyo", *ABOVE)
CANT = "the limit can't be judged"


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (["--fail-above", "180", "--fail-below", "180"], 0, ""),
        (["--fail-above", "179"], 3, f"{CHATBOT}: 180 sessions, above 179\n"),
        (["--fail-below", "181"], 3, f"{CHATBOT}: 180 sessions, below 181\n"),
        (["--fail-above", "57.6%"], 3, f"{CHATBOT}: 57.7% (180 of 312 sessions), above 57.6%\n"),
        (["--fail-above", "57.7%", "--fail-below", "50%"], 0, ""),
    ],
)
async def test_alerts(server, run, options, status, reason):
    """Beyond a limit, the status is 3. With -q, nothing but the reason is written; JSON and CSV are, if asked for."""
    given = ("count", CHATBOT, "-w", WHERE, "-q", *options)
    assert await run(*given) == Outcome(status, "", reason)
    row = f'{{"project_id": "{CHATBOT}", "total_count": 180}}\n'
    assert await run(*given, "-f", "json") == Outcome(status, row, reason)


async def test_an_alert_names_its_projects(server, run):
    """One project by its id and name, several by their number."""
    done = await run("count", "Support chatbot", "--fail-above", "1", "-q")
    assert done.err == f"{CHATBOT} Support chatbot: 312 sessions, above 1\n"
    total = sum(COUNTS.values())
    done = await run("count", EMPTY, *ABOVE)
    assert done == Outcome(1, done.out, none_in(EMPTY) + "1 project counted (2 requests), 0 sessions\n")
    status, out, err = await run("count", "--all", "--fail-above", "100", "--fail-below", "50%")
    assert (status, len(out.splitlines())) == (3, 13)
    assert err.splitlines() == [
        f"12 projects: {total:,} sessions, above 100",
        f"12 projects counted (24 requests), {total:,} sessions",
    ]


def none_in(*places: str) -> str:
    """The lines of projects that have no sessions."""
    return "".join([f"no sessions in {place}, so {CANT}\n" for place in places])


MISTAKES = [
    # an id
    ((EMPTY, "--fail-below", "10"), 1, none_in(EMPTY)),
    ((EMPTY, "-w", WHERE, *ABOVE), 1, none_in(EMPTY)),
    ((CHATBOT, EMPTY, "--fail-above", "999"), 1, none_in(EMPTY)),
    ((EMPTY, CHATBOT, "-w", WHERE, "--fail-above", "10%"), 1, none_in(EMPTY)),
    ((EMPTY, ALSO_EMPTY, *ABOVE), 1, none_in(EMPTY, ALSO_EMPTY)),
    ((CHATBOT, CHATBOT.upper(), "Support chatbot", "--fail-above", "311"), 3, f"{CHATBOT} Support chatbot: 312 sess"),
    # a scope
    ((CHATBOT, "--log-stream", EMPTY, *ABOVE), 1, none_in(f"{CHATBOT}, log stream {EMPTY}")),
    ((CHATBOT, "--experiment", PLANNER, *ABOVE), 1, none_in(f"{CHATBOT}, experiment {PLANNER}")),
    (
        ("Support chatbot", "--metrics-testing", EMPTY, "-w", WHERE, "--fail-above", "10%"),
        1,
        none_in(f"{CHATBOT} Support chatbot, metrics testing {EMPTY}"),
    ),
    ((CHATBOT, "--log-stream", "", *ABOVE), 2, "log_stream_id must be a UUID, got ''\n"),
    # a filter, a column
    ((CHATBOT, "-w", "", *ABOVE), 2, "Error: --where: "),
    ((CHATBOT, "--by", "craeted_at:day", *QUIET, *ABOVE), 2, "no column 'craeted_at'; did you mean created_at?\n"),
    # a period
    ((CHATBOT, "--since", "2999-01-01", "--until", "2999-01-02", *ABOVE), 2, "and in the past, got 2999-01-01"),
    ((CHATBOT, "--since", "2020-01-02", "--until", "2020-01-01", *ABOVE), 2, "--since must be before --until"),
    ((CHATBOT, "--since", "", *ABOVE), 2, "Error: --since: '' must be a day"),
    ((CHATBOT, "--until", "", *ABOVE), 2, "Error: --until: '' must be a day"),
    ((CHATBOT, "--since", "1d", "--tz", "", *ABOVE), 2, "Error: --tz: unknown time zone ''"),
    ((CHATBOT, "--since", "0001-01-01", *TOKYO), 2, "Error: --since: '0001-01-01 00:00:00+09:18:59' is out of range"),
    ((CHATBOT, "--by", ""), 2, "Error: --by: there is no column ''"),
    ((CHATBOT, *QUIET, "--fail-above", "10%"), 1, f"no sessions in this period in {CHATBOT}, so {CANT}\n"),
    # a limit
    *[
        ((CHATBOT, f"--fail-{option}", wrong), 2, f"{wrong!r} can't be a limit: it would apply never, or always.\n")
        for option, wrong in (("above", "150%"), ("above", "100%"), ("below", "101%"), ("below", "0"))
    ],
    *[
        ((CHATBOT, "--fail-above", wrong), 2, f"{wrong!r} must be a number such as 100, or a share such as 10%.\n")
        for wrong in ("-1", "many", "")
    ],
    ((CHATBOT, "--each"), 2, "Error: --each needs --fail-above or --fail-below.\n"),
]


@pytest.mark.parametrize(
    ("options", "status", "line"), MISTAKES, ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else ""
)
async def test_a_mistake_is_never_good_news(server, run, options, status, line):
    """Each mistake has a status and a line; nothing else is on stdout, and nothing is a traceback."""
    server.strict = False
    done = await run("count", "-q", *options)
    assert (done.status, done.out) == (status, "")
    assert status != 2 or server.requests == []
    assert line in done.err
    assert done.err.count("\n") == max(1, line.count("\n")) or done.err.startswith(("Usage: ", "Error: --where: "))


async def test_an_environment_is_never_good_news(server, run, monkeypatch):
    """A key, an address or a service that is wrong."""
    page = http(body="<html>")
    async with raw_server(answers(page)) as console, raw_server(answers(http(503, ""))) as down:
        for name, value, status, line in (
            ("GALILEO_API_KEY", "wrong", 1, f"Error: {CHATBOT}: 401 Unauthorized"),
            ("GALILEO_API_KEY", "", 2, "Error: no credentials"),
            ("GALILEO_API_URL", "http://127.0.0.1:1", 1, f"{CANT}: {CHATBOT}: "),
            ("GALILEO_API_URL", "example", 2, "Error: "),
            ("GALILEO_API_URL", console.url, 1, f"{CANT}: {CHATBOT}: "),
            ("GALILEO_API_URL", down.url, 1, f"{CANT}: {CHATBOT}: "),
            ("GALILEO_PROJECT_ID", EMPTY, 1, none_in(EMPTY)),
        ):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                project = () if name == "GALILEO_PROJECT_ID" else (CHATBOT,)
                seconds = "0.5" if line.startswith(CANT) else "60"
                done = await run("count", "-q", *project, *ABOVE, "--timeout", seconds)
            assert (done.status, done.out, done.err.count("\n")) == (status, "", 1)
            assert done.err.startswith(line)


async def test_a_limit_that_holds_is_silent(server, run):
    """With -q, nothing is written, not even a warning: here that a text looks like a time."""
    options = ("count", CHATBOT, "-w", "external_id == '2026-05-01'", *ABOVE)
    assert (await run(*options)).err.startswith("1 project counted (2 requests), 0 sessions\nWarning: ")
    assert await run(*options, "-q") == Outcome(0, "", "")


async def test_a_quiet_period_passes(server, run):
    """A project that has sessions counts 0 in a period without any, and for a filter that none satisfies."""
    for options in (QUIET, ("-w", "score < 0"), (*QUIET, "-w", WHERE), (*QUIET, "--by", "created_at:day")):
        assert await run("count", CHATBOT, *options, "-q", *ABOVE) == Outcome(0, "", "")
    assert (await run("count", CHATBOT, *QUIET, "-q", "--fail-below", "10")).status == 3
    done = await run("count", CHATBOT, *QUIET, "-q", "--fail-above", "10%", "--fail-below", "10")
    assert done == Outcome(3, "", f"{CHATBOT}: 0 sessions, below 10\n")


async def test_only_zeros_are_counted_again(server, run):
    """Whether there are sessions at all is asked in the scope, for projects that count 0."""
    assert (await run("count", CHATBOT, EMPTY, "-q", *ABOVE, "--experiment", PLANNER)).status == 1
    assert [query.project_id for query in server.requests] == [CHATBOT, EMPTY] * 2
    assert {query.experiment_id for query in server.requests} == {PLANNER}
    assert (await run("count", CHATBOT, PLANNER, "-q", "--fail-above", "999")).status == 0
    assert sorted(query.project_id for query in server.requests[4:]) == [CHATBOT, PLANNER]


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [(("-w", "scor < 2"), 1, f"no columns to check the filter with in {CHATBOT}, so {CANT}\n"), (QUIET, 0, "")],
)
async def test_an_empty_list_of_columns_hides_no_typo(server, run, options, status, line):
    """A project can have sessions and list no columns; then a filter that counts 0 can't be checked."""
    for body in ({"columns": []}, {"total_count": 0}, {"total_count": 312}, {"columns": []}):
        server.fail_next(200, body=body)
    assert await run("count", CHATBOT, "-q", *options, *ABOVE) == Outcome(status, "", line)


async def test_each_project_can_be_judged_by_itself(server, run):
    """With --each, there is a line for each project that breaks the limit, and for each that can't be judged."""
    each = ("-q", "--each", "--concurrency", "1")
    limits = ("--fail-above", "320", "--fail-below", "10")
    above = f"{PLANNER}: {COUNTS[PLANNER]} sessions, above 320\n"
    assert await run("count", CHATBOT, PLANNER, *each, *limits) == Outcome(3, "", above)
    assert await run("count", CHATBOT, EMPTY, *each, *limits) == Outcome(1, "", none_in(EMPTY))
    server.fail_next(404)
    done = await run("count", IDS[2], EMPTY, CHATBOT, PLANNER, *each, *limits)
    failed, empty, broken = done.err.splitlines(keepends=True)
    assert (done.status, empty, broken) == (3, none_in(EMPTY), above)
    assert failed.startswith(f"{CANT}: {IDS[2]}: 404")
    shares = ("count", "Support chatbot", "Travel planner", "-w", WHERE, *each, "--fail-above")
    assert await run(*shares, "57.6%") == Outcome(
        3, "", f"{CHATBOT} Support chatbot: 57.7% (180 of 312 sessions), above 57.6%\n"
    )
    before = len(server.requests)
    server.fail_next(404)
    assert (await run("count", CHATBOT, PLANNER, *each, "--fail-above", "99%")).status == 3
    assert [query.project_id for query in server.requests[before:]] == [CHATBOT, PLANNER, PLANNER]


async def test_what_is_counted_can_exceed_a_limit_although_a_count_failed(server, run):
    """A project that failed or has no sessions can only make the total larger. Both limits are judged."""
    for options, failed, status, reason in (
        (["--fail-above", "100", "--fail-below", "9999"], 1, 3, f"2 projects: {COUNTS[PLANNER]} sessions, above 100\n"),
        (["--fail-above", "99999"], 2, 1, f"{CANT}: {CHATBOT}: 404"),
        (["--fail-above", "1%", "--fail-below", "9"], 1, 1, f"{CANT}: {CHATBOT}: 404"),
    ):
        server.fail_next(404, times=failed)
        done = await run("count", *IDS[:2], *options, "-q", "--concurrency", "1")
        assert (done.status, done.err.count("\n")) == (status, 1)
        assert done.err.startswith(reason)
    done = await run("count", EMPTY, PLANNER, "--fail-above", "100", "-q")
    assert done == Outcome(3, "", f"2 projects: {COUNTS[PLANNER]} sessions, above 100\n")


async def test_a_whole_that_fails_is_no_judgement(server, run):
    """A count without the filter that fails leaves a share unjudged, in one line; an upper number is judged."""
    for limit, status, line in (
        ("1%", 1, f"{CANT}: {CHATBOT}: 404"),
        ("99", 3, f"{CHATBOT}: 100 sessions, above 99\n"),
        ("100", 0, ""),
    ):
        server.fail_next(200, body={"columns": [{"id": "score", "filter_type": "number"}]})
        server.fail_next(200, body={"total_count": 100})
        server.fail_next(404)
        done = await run("count", CHATBOT, "-w", WHERE, "--fail-above", limit, "-q")
        assert (done.status, done.out, done.err.count("\n")) == (status, "", bool(status))
        assert done.err.startswith(line)
        server.recover()


@pytest.mark.parametrize("status", [404, 200], ids=["fails", "vanishes"])
async def test_one_project_hides_no_verdict_of_others(server, run, status):
    """With --each, eleven projects break their limit although the second request of another fails, or counts 0."""
    for _ in range(12):
        server.fail_next(200, body={"total_count": 100})
    server.fail_next(status, body={"total_count": 0})
    done = await run("count", "--all", "--each", "--fail-above", "1%", "-q", "--concurrency", "1")
    first, *lines = done.err.splitlines()
    unknown = {404: f"{CANT}: {CHATBOT} Support chatbot: 404", 200: "no sessions in this period in "}[status]
    assert (done.status, len(lines), first.startswith(unknown)) == (3, 11, True)
    assert all(line.endswith(", above 1%") for line in lines)


async def test_a_zero_that_cannot_be_explained_hides_no_verdict_of_others(server, run):
    """The same for a 0 that can't be counted without its filter, or whose columns can't be requested again."""
    columns = {"columns": [{"id": "score", "filter_type": "number"}]}
    for last in ((404,), (200, 404)):
        for body in (columns, {"total_count": 0}, columns, {"total_count": 500}):
            server.fail_next(200, body=body)
        for status in last:
            server.fail_next(status, body={"total_count": 1})
        done = await run("count", CHATBOT, PLANNER, "-w", WHERE, "--each", *ABOVE, "-q", "--concurrency", "1")
        unknown, above = done.err.splitlines()
        assert unknown.startswith(f"{CANT}: {CHATBOT}: 404")
        assert (done.status, above) == (3, f"{PLANNER}: 500 sessions, above 10")


@pytest.mark.parametrize(
    ("counts", "limit", "shown"),
    [
        ((1001, 10_000), ("--fail-above", "10%"), "10.01% (1,001 of 10,000 sessions), above 10%"),
        ((100_001, 1_000_000), ("--fail-above", "10.0%"), "10.0001% (100,001 of 1,000,000 sessions), above 10.0%"),
        ((999, 10_000), ("--fail-below", "10%"), "9.99% (999 of 10,000 sessions), below 10%"),
        ((1, 3), ("--fail-above", "33.333%"), "33.3333% (1 of 3 sessions), above 33.333%"),
        ((180, 312), ("--fail-above", "57.6%"), "57.7% (180 of 312 sessions), above 57.6%"),
        ((500, 10_000), ("--fail-above", "4.99%"), "5.0% (500 of 10,000 sessions), above 4.99%"),
    ],
)
async def test_a_share_is_on_the_right_side_of_its_limit(server, run, counts, limit, shown):
    """In words, it has as many digits as that takes."""
    for total in counts:
        server.fail_next(200, body={"total_count": total})
    assert await run("count", CHATBOT, "-q", *limit) == Outcome(3, "", f"{CHATBOT}: {shown}\n")


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

BOT, OTHER, PRODUCTION, STAGING, NOWHERE = [str(UUID(int=number, version=4)) for number in range(11, 16)]
SESSIONS = [
    {
        "project_id": project,
        "log_stream_id": PRODUCTION,
        "created_at": f"2026-06-{day:02}T09:00Z",
        "input": "a question",
        "score": day % 5,
        "tags": ["vip"],
        "mood": "good",
    }
    for project in (BOT, OTHER)
    for day in range(1, 29)
] + [{"project_id": BOT, "log_stream_id": STAGING, "created_at": "2026-06-01T09:00Z", "metrics/rude": 0.1}]

JUNE = {"--since": "2026-06-01", "--until": "2026-07-01"}
ALERTS: dict[str, dict[str, str | None]] = {
    "number": {"--fail-above": "50"},
    "share": {"--fail-above": "90%"},
    "both": {"--fail-above": "90%", "--fail-below": "1"},
    "period": {"--fail-above": "50", **JUNE},
    "days": {"--fail-above": "50", "--by": "created_at:day", **JUNE},
    "bins": {"--fail-above": "90%", "--by": "score:1,3"},
    "each": {"--fail-above": "25", "--each": None, OTHER: None},
    "total": {"--fail-above": "90%", OTHER: None, "--format": "json"},
}
"""Alerts that hold. Each has also a project, a log stream and a filter that counts some sessions."""
RIGHT = {"Support bot": None, "--log-stream": "production", "-w": "score < 2"}


def leaf(kind: str, column_id: str, operator: str, value: object) -> str:
    """The JSON of a filter, to be read from stdin."""
    return json.dumps({"filter": {"type": kind, "column_id": column_id, "operator": operator, "value": value}})


IN_FILE = {"-w": "", "--where-json": "-"}
WRONG: dict[str, tuple[dict[str, str | None], str, int, str]] = {
    # what is given instead, stdin, the status, and words of the reason
    "id": ({"Support bot": "", NOWHERE: None, "--log-stream": ""}, "", 1, f"no sessions in {NOWHERE}, so"),
    "name": ({"Support bot": "", "Suport bot": None}, "", 2, "Did you mean Support bot?"),
    "log stream": ({"--log-stream": "prodution"}, "", 2, "Did you mean production?"),
    "log stream's id": ({"--log-stream": NOWHERE}, "", 1, f", log stream {NOWHERE}, so the limit can't be judged"),
    "column": ({"-w": "scor < 2"}, "", 2, "there is no column 'scor'"),
    "column of another log stream": ({"-w": 'Col("metrics/rude") > 0.5'}, "", 2, "there is no column 'metrics/rude'"),
    "column without a type": ({"-w": "mood == 'bad'"}, "", 1, "no type of 'mood' to check the filter with"),
    "text for a number": ({"-w": "score == 'low'"}, "", 2, "'score' is filtered as number"),
    "text for a collection": ({"-w": "tags == 'rude'"}, "", 2, "'tags' is filtered as collection"),
    "no filter": ({"-w": "any_of([])"}, "", 2, "no session satisfies this filter"),
    "empty list": ({"-w": "TextFilter('input', 'one_of', [])"}, "", 2, "doesn't define an empty list"),
    "empty list as JSON": (IN_FILE, leaf("collection", "tags", "one_of", []), 2, "doesn't define an empty list"),
    "reversed bounds": (IN_FILE, leaf("number", "score", "between", [2, 0]), 2, "Swap the two"),
    "annotations": ({"-w": "fully_annotated()"}, "", 2, "only in searches of an annotation queue"),
    "annotations as JSON": (IN_FILE, '{"filter": {"type": "fully_annotated"}}', 2, "of an annotation queue"),
}


def command(options: dict[str, str | None]) -> Iterator[str]:
    """The arguments for options with values; an empty value leaves an option out, None has none."""
    for name, value in options.items():
        if value != "":
            yield from [name] if value is None else [name, value]


@pytest.fixture
async def sessions(monkeypatch):
    """A server that isn't strict, and doesn't say how `mood` is filtered."""

    def typed(sessions) -> ColumnCatalog:
        infos = columns_of(sessions).columns
        return ColumnCatalog([evolve(info, filter_type=None) if info.id == "mood" else info for info in infos])

    columns_of = local_server.columns_of
    monkeypatch.setattr(local_server, "columns_of", typed)
    async with LocalGalileo(SESSIONS, names={BOT: "Support bot", OTHER: "Other", PRODUCTION: "production"}) as local:
        monkeypatch.setenv("GALILEO_API_URL", local.url)
        monkeypatch.setenv("GALILEO_API_KEY", local.api_key)
        yield local


@pytest.mark.parametrize("alert", ALERTS)
async def test_without_a_mistake_they_hold(sessions, run, alert):
    """With the right filter, they count some sessions, and write nothing else."""
    done = await run("count", "-q", *command(RIGHT | ALERTS[alert]))
    assert (done.status, done.err) == (0, "")
    if alert == "total":
        assert '"total_count": 11' in done.out


@pytest.mark.parametrize(("mistake", "alert"), [*product(WRONG, ALERTS)])
async def test_no_mistake_passes(sessions, run, mistake, alert):
    """The status is 1 or 2, and stderr says why."""
    changes, stdin, status, words = WRONG[mistake]
    done = await run("count", "-q", *command(RIGHT | ALERTS[alert] | changes), stdin=stdin)
    assert done.status == status
    assert words in done.err
    assert "Traceback" not in done.err
