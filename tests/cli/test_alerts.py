"""An alert can't pass on a mistake, and a pager can show its one line."""

from uuid import UUID

import pytest
from cli.processes import WHERE, Outcome, objects
from support.clients import COUNTS, IDS
from support.sockets import answers, http, raw_server

EMPTY, ALSO_EMPTY = [str(UUID(int=number, version=4)) for number in (1, 2)]
CANT_TELL = "can't tell whether the total is above 10%: "


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (["--fail-above", "180", "--fail-below", "180"], 0, ""),
        (["--fail-above", "179"], 3, f"{IDS[0]}: 180 sessions, above 179\n"),
        (["--fail-below", "181"], 3, f"{IDS[0]}: 180 sessions, below 181\n"),
        (["--fail-above", "57.6%"], 3, f"{IDS[0]}: 57.7% (180 of 312 sessions), above 57.6%\n"),
        (["--fail-above", "57.7%", "--fail-below", "50%"], 0, ""),
    ],
)
async def test_alerts(server, run, options, status, reason):
    """Beyond a limit, the status is 3. With -q, nothing but the reason is written; JSON and CSV are, if asked for."""
    given = ("count", IDS[0], "-w", WHERE, "-q", *options)
    assert await run(*given) == Outcome(status, "", reason)
    row = f'{{"project_id": "{IDS[0]}", "total_count": 180}}\n'
    assert await run(*given, "-f", "json") == Outcome(status, row, reason)


async def test_an_alert_names_its_projects(server, run):
    """One project by its id and name, several by their number."""
    done = await run("count", "Support chatbot", "--fail-above", "1", "-q")
    assert done.err == f"{IDS[0]} Support chatbot: 312 sessions, above 1\n"
    total = sum(COUNTS.values())
    status, out, err = await run("count", "--all", "--fail-above", "100", "--fail-below", "50%")
    assert (status, len(out.splitlines())) == (3, 13)
    assert err.splitlines() == [
        f"12 projects counted (24 requests), {total:,} sessions",
        f"12 projects: {total:,} sessions, above 100",
    ]


@pytest.mark.parametrize("more", [(), ("--by", "created_at:day", "--since", "2026-06-01")])
async def test_a_typo_never_passes(server, run, more):
    """The filter is checked before it is counted, as with --check: the status is 2, also with -q."""
    server.strict = False
    alert = ("count", IDS[0], "-w", 'Col("scor") < 2', "--fail-above", "10%", *more)
    reason = f"{CANT_TELL}{IDS[0]}: there is no column 'scor'; did you mean score?\n"
    assert await run(*alert, "-q") == Outcome(2, "", reason)
    status, out, err = await run(*alert)
    assert (status, "FilterCheckError" in out) == (2, True)
    assert err.endswith(reason)
    assert not any(query.where.depth for query in server.requests if "scor" in repr(query.where))


async def test_a_share_of_nothing_is_no_share(server, run):
    """Without sessions in the period, a share can't be judged, and a number can."""
    period = ("--since", "2027-01-01", "--until", "2027-02-01", "-q")
    done = await run("count", IDS[0], *period, "--fail-below", "10%")
    reason = f"{IDS[0]}: no sessions in this period\n"
    assert done == Outcome(1, "", f"can't tell whether the total is below 10%: {reason}")
    assert (await run("count", IDS[0], *period, "--fail-below", "10")).status == 3
    done = await run("count", IDS[0], *period, "--fail-above", "10%", "--fail-below", "10")
    assert done == Outcome(3, "", f"{IDS[0]}: 0 sessions, below 10\n")
    done = await run("count", EMPTY, "-q", "--fail-above", "10")
    assert done == Outcome(0, "", "")  # without a filter, there is nothing to check


async def test_what_is_counted_can_exceed_a_limit_although_a_count_failed(server, run):
    """A project that failed can only make the total larger. Both limits are judged."""
    for options, status, reason in (
        (["--fail-above", "100", "--fail-below", "99999"], 3, f"2 projects: {COUNTS[IDS[1]]} sessions, above 100\n"),
        (["--fail-above", "99999"], 1, "can't tell whether the total is above 99999: "),
        (["--fail-above", "1%", "--fail-below", "9"], 1, "can't tell whether the total is above 1% or below 9: "),
    ):
        server.fail_next(404)
        done = await run("count", *IDS[:2], *options, "-q", "--concurrency", "1")
        assert (done.status, done.err.count("\n")) == (status, 1)
        assert done.err.startswith(reason)


async def test_columns_that_cannot_be_known_are_no_judgement(server, run, monkeypatch):
    """If no project has columns, or if they can't be requested, the status is 1: the alert can't tell."""
    server.strict = False
    alert = ("-w", WHERE, "--fail-above", "10%", "-q")
    reason = "no sessions, so no columns to check the filter with; or an id is wrong\n"
    for limit in ("10%", "10"):
        empty = ("count", EMPTY, "-w", "scor < 2", "-q", "--fail-above", limit)
        assert await run(*empty) == Outcome(1, "", f"can't tell whether the total is above {limit}: {EMPTY}: {reason}")
    assert (await run("count", EMPTY, ALSO_EMPTY, *alert)) == Outcome(1, "", f"{CANT_TELL}2 projects: {reason}")
    assert (await run("count", EMPTY, IDS[0], "-w", "score < 0", "-q", "--fail-above", "10")).status == 0
    async with raw_server(answers(http(404, ""))) as refusing:
        monkeypatch.setenv("GALILEO_API_URL", refusing.url)
        status, out, err = await run("count", IDS[0], *alert)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"{CANT_TELL}{IDS[0]}: 404 Not Found")


async def test_a_project_without_sessions_does_not_hinder_an_alert(server, run):
    """It counts 0 of 0, in any order."""
    for projects in ([EMPTY, IDS[0]], [IDS[0], EMPTY]):
        done = await run("count", *projects, "-w", WHERE, "-q", "--fail-above", "10%")
        assert done == Outcome(3, "", "2 projects: 57.7% (180 of 312 sessions), above 10%\n")
        assert (await run("count", *projects, "-w", "scor < 2", "-q", "--fail-above", "10%")).status == 1


async def test_an_alert_that_ends_early_is_one_line(server, run, monkeypatch):
    """Refused credentials, and a count without the filter that fails, end an alert with one line, too."""
    server.fail_next(200, body={"total_count": 1})
    server.fail_next(404)
    done = await run("count", IDS[0], "--fail-above", "1%", "-q")
    assert (done.status, done.out, done.err.startswith(f"Error: {IDS[0]}: 404"), done.err.count("\n")) == (1, "", 1, 1)
    monkeypatch.setenv("GALILEO_API_KEY", "wrong")
    done = await run("count", IDS[0], "--fail-above", "1", "-q")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert objects(done.out) == []
