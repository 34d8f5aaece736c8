"""An alert can't pass on a mistake, and a pager can show its lines."""

import os
from uuid import UUID

import pytest
from cli.processes import WHERE, Outcome, process
from support.clients import COUNTS, IDS
from support.sockets import answers, http, raw_server

from galileo_sessions.local import LocalGalileo

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
    ((EMPTY, *ABOVE), 1, none_in(EMPTY)),
    ((EMPTY, "--fail-below", "10"), 1, none_in(EMPTY)),
    ((EMPTY, "--fail-above", "10%"), 1, none_in(EMPTY)),
    ((EMPTY, "-w", WHERE, *ABOVE), 1, none_in(EMPTY)),
    ((EMPTY, "-w", "scor < 2", *ABOVE), 1, none_in(EMPTY)),
    ((EMPTY, *QUIET, *ABOVE), 1, none_in(EMPTY)),
    ((EMPTY, *QUIET, "--by", "created_at:day", *ABOVE), 1, none_in(EMPTY)),
    ((EMPTY, "--by", "score:1,3", *ABOVE), 1, none_in(EMPTY)),
    ((CHATBOT, EMPTY, "--fail-above", "999"), 1, none_in(EMPTY)),
    ((EMPTY, CHATBOT, "-w", WHERE, "--fail-above", "10%"), 1, none_in(EMPTY)),
    ((EMPTY, CHATBOT, "--fail-below", "10"), 1, none_in(EMPTY)),
    ((EMPTY, ALSO_EMPTY, *ABOVE), 1, none_in(EMPTY, ALSO_EMPTY)),
    ((CHATBOT[:-1], *ABOVE), 2, f"Error: there is no project '{CHATBOT[:-1]}' among the 12 listed\n"),
    (("", *ABOVE), 2, "Error: PROJECT must not be empty.\n"),
    (ABOVE, 2, "Error: no project. Give PROJECT, or set GALILEO_PROJECT_ID.\n"),
    ((CHATBOT, "--all", *ABOVE), 2, "Error: PROJECT and --all can't be used together.\n"),
    # a name
    (("Suport chatbot", *ABOVE), 2, " among the 12 listed. Did you mean Support chatbot?\n"),
    # a scope
    ((CHATBOT, "--log-stream", EMPTY, *ABOVE), 1, none_in(f"{CHATBOT}, log stream {EMPTY}")),
    ((CHATBOT, "--experiment", PLANNER, *ABOVE), 1, none_in(f"{CHATBOT}, experiment {PLANNER}")),
    (
        ("Support chatbot", "--metrics-testing", EMPTY, "-w", WHERE, "--fail-above", "10%"),
        1,
        none_in(f"{CHATBOT} Support chatbot, metrics testing {EMPTY}"),
    ),
    ((CHATBOT, "--experiment", "mine", *ABOVE), 2, "experiment_id must be a UUID, got 'mine'\n"),
    ((CHATBOT, "--log-stream", "", *ABOVE), 2, "log_stream_id must be a UUID, got ''\n"),
    # a column, a filter
    ((CHATBOT, "-w", "scor < 2", *ABOVE), 2, f"{CANT}: {CHATBOT}: there is no column 'scor'; did you mean score?\n"),
    ((CHATBOT, "-w", "scor < 2", "--fail-above", "10%"), 2, f"{CANT}: {CHATBOT}: there is no column 'scor'; did you"),
    (
        (CHATBOT, "-w", "scor < 2", "--by", "created_at:day", "--since", "2026-06-01", *ABOVE),
        2,
        "no column 'scor'; did",
    ),
    ((CHATBOT, "-w", 'score == "a"', *ABOVE), 2, "Write Col.number('score').eq(...)\n"),
    ((CHATBOT, "--by", "craeted_at:day", *QUIET, *ABOVE), 2, "no column 'craeted_at'; did you mean created_at?\n"),
    ((CHATBOT, "-w", "score <", *ABOVE), 2, "Error: --where: "),
    ((CHATBOT, "-w", "", *ABOVE), 2, "Error: --where: "),
    ((CHATBOT, "-w", "any_of([])", *ABOVE), 2, "Error: "),
    ((CHATBOT, "-w", "fully_annotated()", *ABOVE), 2, f"{CANT}: {CHATBOT}: fully_annotated works only in searches"),
    ((CHATBOT, "-w", "(score < 9) | ~FullyAnnotatedFilter()", *ABOVE), 2, "only in searches of an annotation queue"),
    ((CHATBOT, "-w", "TextFilter('input', 'one_of', [])", *ABOVE), 2, "doesn't define an empty list. Write NEVER"),
    ((CHATBOT, "-w", "NumberFilter('score', 'between', [3, 1])", *ABOVE), 2, "comes first. Swap the two\n"),
    ((CHATBOT, "--where-json", "-", *ABOVE), 2, "Error: --where-json isn't JSON: "),
    # a time zone, a period
    ((CHATBOT, "--since", "1d", "--tz", "Mars", *ABOVE), 2, "Error: --tz: unknown time zone 'Mars'. Use, for example"),
    ((CHATBOT, "--since", "1d", "--tz", "", *ABOVE), 2, "Error: --tz: unknown time zone ''"),
    ((CHATBOT, "--since", "2999-01-01", *ABOVE), 2, "--since must be before --until and in the past, got 2999-01-01"),
    ((CHATBOT, "--since", "2999-01-01", "--until", "2999-01-02", *ABOVE), 2, "and in the past, got 2999-01-01"),
    ((CHATBOT, "--since", "2020-01-02", "--until", "2020-01-01", *ABOVE), 2, "--since must be before --until"),
    ((CHATBOT, "--since", "7 days", *ABOVE), 2, "Error: --since: '7 days' must be a day such as"),
    ((CHATBOT, "--since", "", *ABOVE), 2, "Error: --since: '' must be a day"),
    ((CHATBOT, "--until", "", *ABOVE), 2, "Error: --until: '' must be a day"),
    ((CHATBOT, "--since", "0001-01-01", *TOKYO), 2, "Error: --since: '0001-01-01 00:00:00+09:18:59' is out of range"),
    ((CHATBOT, "--by", "made:week", "--since", "0001-01-01", "--until", "0001-02-01", *TOKYO), 2, "is out of range"),
    ((CHATBOT, "--by", "made:day", "--since", "0001-01-02"), 2, "Error: --by: a partition has at most"),
    ((CHATBOT, "--by", ""), 2, "Error: --by: there is no column ''"),
    (
        (CHATBOT, "--until", "9999-12-31T23:59", "--tz", "America/New_York", *ABOVE),
        2,
        "Error: --until: '9999-12-31 23:59:00-05:00' is out of range in UTC\n",
    ),
    ((CHATBOT, *QUIET, "--fail-above", "10%"), 1, f"no sessions in this period in {CHATBOT}, so {CANT}\n"),
    # a limit
    ((CHATBOT, "--fail-above", "150%"), 2, "'150%' can't be a limit: it would apply never, or always.\n"),
    ((CHATBOT, "--fail-above", "100%"), 2, "'100%' can't be a limit: it would apply never, or always.\n"),
    ((CHATBOT, "--fail-below", "101%"), 2, "'101%' can't be a limit: it would apply never, or always.\n"),
    ((CHATBOT, "--fail-below", "0"), 2, "'0' can't be a limit: it would apply never, or always.\n"),
    ((CHATBOT, "--fail-above", "-1"), 2, "'-1' must be a number such as 100, or a share such as 10%.\n"),
    ((CHATBOT, "--fail-above", "many"), 2, "'many' must be a number such as 100, or a share such as 10%.\n"),
    ((CHATBOT, "--fail-above", ""), 2, "'' must be a number such as 100, or a share such as 10%.\n"),
    ((CHATBOT, "--each"), 2, "Error: --each needs --fail-above or --fail-below.\n"),
    ((CHATBOT, "--timeout", "nan", *ABOVE), 2, "'nan' must be seconds such as 30"),
    # a file without projects
    (("--projects-from", "-", *ABOVE), 2, "has no project\n"),
    # something twice
    (("--projects-from", "-", "--projects-from", "-", *ABOVE), 2, "Error: --projects-from is given twice.\n"),
    ((CHATBOT, "-w", "score < 2", "--where", "score < 3", *ABOVE), 2, "Error: --where is given twice.\n"),
    ((CHATBOT, *ABOVE, "--fail-above", "999"), 2, "Error: --fail-above is given twice.\n"),
    ((CHATBOT, CHATBOT.upper(), "Support chatbot", "--fail-above", "311"), 3, f"{CHATBOT} Support chatbot: 312 sess"),
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


async def test_a_scope_is_judged_by_its_own_columns(run, monkeypatch):
    """A column that only other log streams of the project have doesn't let an alert pass."""
    sessions = [{"project_id": CHATBOT, "log_stream_id": EMPTY, "input": "x"}, {"project_id": CHATBOT, "score": 1}]
    async with LocalGalileo(sessions) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
        options = ("count", CHATBOT, "-q", "-w", "score > 3", *ABOVE)
        assert await run(*options) == Outcome(0, "", "")
        done = await run(*options, "--log-stream", EMPTY)
    assert done == Outcome(2, "", f"{CANT}: {CHATBOT}: there is no column 'score'\n")


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


async def test_what_is_counted_can_exceed_a_limit_although_a_count_failed(server, run):
    """A project that failed or has no sessions can only make the total larger. Both limits are judged."""
    for options, status, reason in (
        (["--fail-above", "100", "--fail-below", "99999"], 3, f"2 projects: {COUNTS[PLANNER]} sessions, above 100\n"),
        (["--fail-above", "99999"], 1, f"{CANT}: {CHATBOT}: 404"),
        (["--fail-above", "1%", "--fail-below", "9"], 1, f"{CANT}: {CHATBOT}: 404"),
    ):
        server.fail_next(404)
        done = await run("count", *IDS[:2], *options, "-q", "--concurrency", "1")
        assert (done.status, done.err.count("\n")) == (status, 1)
        assert done.err.startswith(reason)
    done = await run("count", EMPTY, PLANNER, "--fail-above", "100", "-q")
    assert done == Outcome(3, "", f"2 projects: {COUNTS[PLANNER]} sessions, above 100\n")


async def test_columns_that_cannot_be_requested_are_no_judgement(serving, run):
    """If a filter can't be checked, the status is 1."""
    async with serving(answers(http(404, ""))):
        status, out, err = await run("count", CHATBOT, "-w", WHERE, *ABOVE, "-q")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"{CANT}: {CHATBOT}: 404 Not Found")


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


async def test_a_column_without_a_type_is_no_judgement(server, run):
    """A count of 0 says nothing if the service doesn't say how the column is filtered: a text may never match."""
    for total, status, err in (
        (0, 1, f"no type of 'mood' to check the filter with in {CHATBOT}, so {CANT}\n"),
        (5, 0, ""),
    ):
        for body in (
            {"columns": [{"id": "mood"}]},
            {"total_count": total},
            {"total_count": 312},
            {"columns": [{"id": "mood"}]},
        ):
            server.fail_next(200, body=body)
        assert await run("count", CHATBOT, "-q", "-w", "mood == 'low'", *ABOVE) == Outcome(status, "", err)
        server.recover()


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
