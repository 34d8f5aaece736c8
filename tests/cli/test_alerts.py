"""An alert can't pass on a mistake, also in random filters, and a pager can show its lines."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from shlex import quote
from uuid import UUID

import pytest
from cli.processes import USAGE, leaves, process
from hypothesis import given
from hypothesis import strategies as st
from support.clients import COUNTS, IDS
from support.sockets import http

from galileo_sessions.local import LocalGalileo

CHATBOT, PLANNER = IDS[:2]  # they have 312 and 363 sessions
EMPTY, ALSO_EMPTY = [str(UUID(int=number, version=4)) for number in (1, 2)]
ABOVE_3 = "-w 'score > 3'"  # 180 sessions of the first project
QUIET = "--since 2020-01-01 --until 2020-02-01"  # no session of the sample is so old
JUNE = "--since 2026-06-01 --until 2026-07-01"  # 96 sessions of the first project
CANT = "the limit can't be judged"
NONE_IN = f"{CANT}: {{}}: there are no sessions at all, so an id may be wrong"
NONE_NOW = f"{CANT}: no sessions in this period in {{}}"

VERDICTS = [
    # a limit is broken by what is beyond it
    (f"{CHATBOT} {ABOVE_3} --fail-above 180 --fail-below 180", 0, ""),
    (f"{CHATBOT} {ABOVE_3} --fail-above 179", 3, f"{CHATBOT}: 180 sessions, above 179"),
    (f"{CHATBOT} {ABOVE_3} --fail-below 181", 3, f"{CHATBOT}: 180 sessions, below 181"),
    (f"{CHATBOT} {ABOVE_3} --fail-above 57.6%", 3, f"{CHATBOT}: 57.7% (180 of 312 sessions), above 57.6%"),
    (f"{CHATBOT} {ABOVE_3} --fail-above 57.7% --fail-below 50%", 0, ""),
    # a project is named by its id and its name, if that was given; several, by their number
    (f"{CHATBOT} {CHATBOT.upper()} 'Support chatbot' --fail-above 311", 3, f"{CHATBOT} Support chatbot: 312 sess..."),
    ("--all --fail-above 100 --fail-below 50", 3, f"12 projects: {sum(COUNTS.values()):,} sessions, above 100"),
    # a project that has sessions can have none in a period, or none for a filter
    (f"{CHATBOT} {QUIET} --fail-above 10", 0, ""),
    (f"{CHATBOT} {QUIET} {ABOVE_3} --fail-above 10", 0, ""),
    (f"{CHATBOT} {QUIET} --fail-below 10", 3, f"{CHATBOT}: 0 sessions, below 10"),
    (f"{CHATBOT} {QUIET} {ABOVE_3} --fail-above 10% --fail-below 10", 1, NONE_NOW.format(CHATBOT)),
    (f"{CHATBOT} {QUIET} {ABOVE_3} --fail-above 10%", 1, NONE_NOW.format(CHATBOT)),
    (f"{CHATBOT} {ABOVE_3} {JUNE} --fail-above 50%", 3, f"{CHATBOT}: ... of 96 ..., above 50%"),
    # a project without any can't be judged: its id is perhaps wrong
    (f"{EMPTY} --fail-below 10", 1, NONE_IN.format(EMPTY)),
    (f"{CHATBOT} {EMPTY} --fail-above 999", 1, NONE_IN.format(EMPTY)),
    (f"{EMPTY} {ALSO_EMPTY} --fail-above 10", 1, f"{NONE_IN.format(EMPTY)}\n{NONE_IN.format(ALSO_EMPTY)}"),
    (f"{EMPTY} {PLANNER} --fail-above 100", 3, "2 projects: 363 sessions, above 100"),
    (f"'Support chatbot' --metrics-testing {EMPTY} {ABOVE_3} --fail-above 10%", 1,
     f"{CANT}: {CHATBOT} Support chatbot: there are no sessions in metrics testing {EMPTY}, so an id may be wrong"),
    # a log stream has its own total
    (f"{CHATBOT} --log-stream staging {ABOVE_3} --fail-above 1%", 3,
     f"{CHATBOT} staging: ...% (... of 49 sessions), above 1%"),
    # with --each, each project is judged by itself
    (f"{CHATBOT} {PLANNER} --each --fail-above 320 --fail-below 9", 3, f"{PLANNER}: 363 sessions, above 320"),
    (f"{CHATBOT} {EMPTY} --each --fail-above 320 --fail-below 9", 1, NONE_IN.format(EMPTY)),
    (f"'Support chatbot' 'Travel planner' {ABOVE_3} --each --fail-above 57.6%", 3,
     f"{CHATBOT} Support chatbot: 57.7% (180 of 312 sessions), above 57.6%"),
    # the columns tell that it is text, so no warning says that it looks like a time
    (f"{CHATBOT} -w \"external_id == '2026-05-01'\" --fail-above 10", 0, ""),
    # a column that is wrong although the period has no sessions, or another log stream has it
    (f"{CHATBOT} -w 'scroe > 3' {QUIET} --fail-above 1", 2, f"{CANT}: {CHATBOT}: ...'scroe'; did you mean score?"),
    ("'Legal guide' --log-stream development -w 'error_message == \"x\"' --fail-above 50", 2,
     f"{CANT}: ...: there is no column 'error_message'..."),
    # what can't be a limit
    *[(f"{CHATBOT} --fail-{limit}", 2, f"{USAGE}...can't be a limit: every count would break it, or none would.")
      for limit in ("above 100%", "below 101%", "below 0")],
    *[(f"{CHATBOT} --fail-above {limit}", 2, f"{USAGE}... must be a whole number such as 100, or a share such as 10%.")
      for limit in ("-1", "many", "''")],
    *[(f"{CHATBOT} --fail-{limit}", 2, f"{USAGE}... must be a whole number such as 100, or a share such as {share}.")
      for limit, share in (("below 0.9", "90%"), ("above .05", "5%"), ("above 0.125", "12.5%"))],
    *[(f"{CHATBOT} {option}", 2, f"{USAGE}--each and --allow-empty need --fail-above or --fail-below.")
      for option in ("--each", "--allow-empty")],
    # limits are for the whole, and not for each day
    (f"{CHATBOT} --by created_at:day {JUNE} --fail-below 5", 2, f"{USAGE}a limit judges the whole, so --by ..."),
    # a filter that holds for all sessions is perhaps lost
    (f"{CHATBOT} -w ALWAYS --fail-below 50", 2, "Error: the filter holds for all sessions. Leave it out to ..."),
    # conditions that no session satisfies together
    *[(f"{CHATBOT} -w \"{where}\" {JUNE} --fail-above 5", 2, "Error: no session can satisfy ...; join by | if ...")
      for where in ("(score > 5) & (score < 3)", "created_at.on('2026-05-31', tz='UTC')")],
    (f"{CHATBOT} -w \"Col.date('created_at').gte('2026-06-30T00:00Z')\" {JUNE} --fail-above 312", 0, ""),
    # an empty text, as of a variable that isn't set
    *[(f"{CHATBOT} -w \"{where}\" --fail-above 5", 2, "Error: ... has an empty text. Perhaps a variable isn't set")
      for where in ("~(input == ' ')", "Col.collection('tags').one_of(['', 'x'])")],
]  # fmt: skip


SCORE, UNTYPED = [{"columns": [{"id": "score", "filter_type": each}]} for each in ("number", None)]
STATUS = {"columns": [{"id": "status", "filter_type": "text", "allowed_values": ["ok", "error"]}]}
NONE: dict[str, list] = {"columns": []}
NOT_FOUND = f"{CANT}: {CHATBOT}: 404..."
LISTS_NONE = f"{CANT}: {CHATBOT}: no columns to check the filter with"
BOTH = f"{CHATBOT} {PLANNER}"
SHARED = f"{PLANNER}: 27.5% (100 of 363 sessions), above 1%"


def total(*counts: int) -> list[dict]:
    """Scripts answers to counts."""
    return [{"total_count": count} for count in counts]


def scores(*counts: int) -> list[dict]:
    """Scripts answers to counts of projects, each of which is first asked for its columns."""
    return [answer for count in total(*counts) for answer in (SCORE, count)]


SCRIPTED = [
    # the total without a failed count can be enough, since that can only make it larger; but not for a share
    ([404], f"{BOTH} --fail-above 100", 3, "2 projects: 363 sessions, above 100"),
    ([404, 404], f"{BOTH} --fail-above 99999", 1, NOT_FOUND),
    ([404], f"{BOTH} {ABOVE_3} --fail-above 1% --fail-below 9", 1, NOT_FOUND),
    ([*scores(5), SCORE, 404], f"{BOTH} {ABOVE_3} --fail-above 1% --fail-below 9", 1, f"{CANT}: {PLANNER}: 404..."),
    # the count without the filter fails
    ([SCORE, *total(100), 404], f"{CHATBOT} {ABOVE_3} --fail-above 1%", 1, NOT_FOUND),
    ([SCORE, *total(100), 404], f"{CHATBOT} {ABOVE_3} --fail-above 100", 0, ""),
    # a project that lists no columns hides no typo; without a filter, they aren't asked for
    ([NONE, *total(0, 5)], f"{CHATBOT} -w 'scor < 2' --fail-above 10", 1, LISTS_NONE),
    ([NONE, *total(0, 5), 404], f"{CHATBOT} {QUIET} --fail-above 10", 0, ""),
    *[([NONE, *total(312)], f"{CHATBOT} -w '{where}' --fail-below 10", 1, LISTS_NONE)
      for where in ("~(scor < 2)", "score > 1")],
    ([NONE, *total(0, 0)], f"{CHATBOT} -w 'score < 2' --fail-above 10", 1, NONE_IN.format(CHATBOT)),
    # nor does a column without a type
    ([UNTYPED, *total(100)], f"{CHATBOT} {ABOVE_3} --fail-below 10", 1,
     f"{CANT}: {CHATBOT}: no type of 'score' to check the filter with"),
    # a text that the column never has, also where another one or a negation makes up for it
    *[([STATUS], f"{CHATBOT} -w \"{where}\" --fail-below 5", 2,
       f"{CANT}: {CHATBOT}: 'status' is never '{word}'; its values ...") for where, word in (
        ("status.one_of(['ok', 'eror'])", "eror"), ("~(status == 'eror')", "eror"),
        ("status.not_in(['Ok', 'error'])", "Ok"), ("(status == 'ok') | (status != 'x')", "x"))],
    ([STATUS, *total(10)], f"{CHATBOT} -w \"status.one_of(['ok']) | status.contains('er')\" --fail-below 5", 0, ""),
    ([STATUS, STATUS | SCORE, *total(10, 10)], f"{BOTH} -w 'score > 3' --fail-below 5", 1, f"{CANT}: {CHATBOT}: ..."),
    # an answer that is no count; and a key that is wrong
    ([{}], f"{CHATBOT} --fail-above 10", 1, f"{CANT}: {CHATBOT}: ..."),
    ([401], f"{CHATBOT} --fail-above 10", 1, f"{CANT}: {CHATBOT}: 401 Unauthorized..."),
    # one that is refused in the middle hides no verdict that stands, but nothing else is one
    *[([*total(100), 401], f"{BOTH} {each} --fail-above 99", 3,
       f"{CANT}: {PLANNER}: 401 Unauthorized...\n{CHATBOT}: 100 sessions, above 99") for each in ("", "--each")],
    *[([*total(*counts), 401], f"{BOTH} {limits}", 1, f"{CANT}: ...: 401 Unauthorized...") for counts, limits in (
        ((100,), "--fail-above 100"), ((100,), "--fail-below 9999"))],
    *[([*scores(*counts), 401], f"{BOTH} {ABOVE_3} {limits}", 1, f"{CANT}: ...: 401 Unauthorized...")
      for counts, limits in (((100, 100), "--fail-above 9%"), ((100, 100), "--fail-above 9% --each"),
                             ((0, 100), "--fail-below 10"), ((0, 100), "--fail-below 10 --each"))],
    ([*scores(0), SCORE, 401], f"{BOTH} {ABOVE_3} --fail-below 10 --each", 1, f"{CANT}: ...: 401 Unauthorized..."),
    ([*total(5), 401], f"{BOTH} --each --fail-below 10", 3,
     f"{CANT}: {PLANNER}: 401 ...\n{CHATBOT}: 5 sessions, below 10"),
    # with --each, one project hides no verdict of others: it fails, or has no sessions, or its 0 can't be explained
    ([404], f"{CHATBOT} {EMPTY} {IDS[2]} {PLANNER} --each --fail-above 362 --fail-below 10", 3,
     f"{NOT_FOUND}\n{NONE_IN.format(EMPTY)}\n{PLANNER}: 363 sessions, above 362"),
    ([*scores(100, 100), 404], f"{BOTH} {ABOVE_3} --each --fail-above 1%", 3, f"{NOT_FOUND}\n{SHARED}"),
    ([*scores(100, 100), *total(0)], f"{BOTH} {ABOVE_3} --each --fail-above 1%", 3,
     f"{NONE_IN.format(CHATBOT)}\n{SHARED}"),
    ([*scores(0, 500), 404], f"{BOTH} {ABOVE_3} --each --fail-above 10", 3,
     f"{NOT_FOUND}\n{PLANNER}: 500 sessions, above 10"),
    ([404, SCORE, *total(500)], f"{CHATBOT} {ABOVE_3} --fail-below 10", 1, NOT_FOUND),
    # a share is on the right side of its limit, and has as many digits as that takes
    *[([SCORE, *total(*counts)], f"{CHATBOT} {ABOVE_3} --fail-{limit}", 3, f"{CHATBOT}: {shown}, {limit}")
      for *counts, limit, shown in (
        (1001, 10_000, "above 10%", "10.01% (1,001 of 10,000 sessions)"),
        (999, 10_000, "below 10%", "9.99% (999 of 10,000 sessions)"),
        (500, 10_000, "above 4.99%", "5.0% (500 of 10,000 sessions)"),
    )],
]  # fmt: skip


@pytest.mark.parametrize("row", [*[([], *row) for row in VERDICTS], *SCRIPTED], ids=lambda row: row[1][-80:])
async def test_the_verdict_is_all_that_a_quiet_alert_writes(server, script, run, row):
    """The status is 3 if a limit is broken; 2 for a mistake, before anything is counted; 1 if it can't be judged."""
    responses, arguments, status, err = row
    server.strict = False
    script(*responses)
    assert await run(f"count {arguments} -q --concurrency 1") == leaves(status, err)
    assert status != 2 or server.requests == []


OLD = "2020-01-01T00:00:00Z"  # of four sessions of a project; the service lists another one, which has none
LISTED = [
    # what the service lists is empty, and no id is wrong: it adds 0 sessions, and 0 to the whole
    ("--all -w 'score > 3' --fail-below 100%", 0, ""),
    ("--all -w 'score > 3' --fail-above 100 --fail-below 99%", 0, ""),
    ("--all --each --fail-above 9 --fail-below 1", 3, f"{EMPTY} empty: 0 sessions, below 1"),
    ("--all --each -w 'score > 3' --fail-below 1%", 1, NONE_NOW.format(f"{EMPTY} empty")),
    ("--all -w 'score > 3' --until 2020-01-01 --fail-above 10%", 1, NONE_NOW.format("2 projects")),
    (f"{CHATBOT} empty --fail-above 10", 1, NONE_IN.format(f"{EMPTY} empty")),
    (f"--all --experiment {PLANNER} --each --fail-above 10", 1,
     "\n".join([f"{CANT}: {each}: there are no sessions in experiment {PLANNER}, so an id may be wrong"
                for each in (f"{CHATBOT} full", f"{EMPTY} empty")])),
    # a project or a period that may be empty counts 0; a mistake in the filter is one still
    (f"{EMPTY} --allow-empty --fail-below 10", 3, f"{EMPTY}: 0 sessions, below 10"),
    (f"{EMPTY} -w 'score > 3' --allow-empty --fail-above 10%", 0, ""),
    (f"{EMPTY} -w 'score > 3' --allow-empty --fail-below 10%", 3, f"{EMPTY}: 0.0% (0 of 0 sessions), below 10%"),
    (f"{EMPTY} {CHATBOT} -w 'scroe > 3' --allow-empty --fail-above 10", 1, "...'scroe'; did you mean score?"),
]  # fmt: skip


@pytest.fixture
def _two_projects(running):
    sessions = [{"project_id": CHATBOT, "score": 4, "created_at": OLD}] * 4
    running(LocalGalileo(sessions, names={CHATBOT: "full", EMPTY: "empty"}))


@pytest.mark.usefixtures("_two_projects")
@pytest.mark.parametrize(("arguments", "status", "err"), LISTED)
async def test_a_project_can_be_empty_if_its_id_is_right(run, arguments, status, err):
    assert await run(f"count {arguments} -q") == leaves(status, err)


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (f"{EMPTY} {ABOVE_3} --fail-above 10 --experiment {PLANNER}", [EMPTY] * 2),
        (f"{CHATBOT} {PLANNER} --fail-above 999", [CHATBOT, PLANNER]),
        (f"{CHATBOT} {ABOVE_3} --fail-above 99%", [CHATBOT] * 2),
        (f"{CHATBOT} {ABOVE_3} {QUIET} --fail-above 99%", [CHATBOT] * 3),
        (f"{CHATBOT} -w 'scroe > 3' --fail-above 99%", []),
    ],
)
async def test_only_what_a_verdict_needs_is_counted(server, run, arguments, asked):
    """A share needs its whole; and a 0 needs all that there ever was, in the same scope."""
    await run(f"count {arguments} -q")
    assert [query.project_id for query in server.requests] == asked
    assert len({query.experiment_id for query in server.requests}) <= 1


@pytest.mark.parametrize(("limit", "status"), [("1", 3), ("9999", None)], ids=["broken", "holds"])
async def test_the_verdict_comes_last_whatever_happens_to_the_results(server, limit, status):
    """A full disk or a reader that is gone hides neither the line nor the status of a limit that is broken."""
    verdict = f"{CHATBOT}: 312 sessions, above 1\n" if status else "holds: 312 sessions, limit 9999\n"
    verdict = f"1 project counted (1 request), 312 sessions\n{verdict}"
    read, write = os.pipe()
    os.close(read)
    full = os.open("/dev/full", os.O_WRONLY)
    for stdout, otherwise, error in ((full, 1, "Error: No space left on device\n"), (write, 141, "")):
        async with process("count", "--fail-above", limit, CHATBOT, stdout=stdout) as running:
            err = (await running.stderr.read()).decode()
            assert (await running.wait(), err) == (status or otherwise, error + verdict)
    for stderr in (full, write):
        async with process("count", "--fail-above", limit, CHATBOT, stderr=stderr) as running:
            assert "312" in (await running.stdout.read()).decode()
            assert await running.wait() == (status or 0)
    os.close(full)
    os.close(write)


async def test_a_full_disk_hides_no_limit_that_is_broken(server, show):
    with open("/dev/full", "w") as full:
        status, err = await show(f"count --fail-above 1 {CHATBOT} -q -f csv", stdout=full)
    assert (status, err.splitlines()) == (3, ["Error: No space left on device", f"{CHATBOT}: 312 sessions, above 1"])


COLUMNS = {"score": "number", "input": "text", "is_complete": "boolean", "tags": "collection", "status": "text"}
LISTING = [{"id": name, "filter_type": kind, "data_type": "x"} for name, kind in COLUMNS.items()]
LISTING[-1]["allowed_values"] = ["ok", "error"]
RIGHT = ["score > 3", "input.contains('refund')", "~is_complete.is_true()", "status == 'ok'", "status != 'error'"]
RIGHT += ["Col.collection('tags').one_of(['vip', 'beta'])", "status.one_of(['Ok'], case_sensitive=False)"]
HOLD = ["--fail-above 50", "--fail-below 50", "--fail-below 100%", "--each --fail-above 60"]
HOLD += ["--allow-empty --fail-above 50"]
WRONG = ["scor < 3", "score == 'low'", "tags == 'vip'", "fully_annotated()", "input == ''", "input.not_in(['', 'x'])"]
WRONG += ["status == 'eror'", "status.not_in(['eror'])", "status.one_of(['ok', 'OK'])"]
WRONG += ["(score > 5) & (score <= 5)", "(input == 'a') & (input == 'b')", "(score > 3) & ~(score > 3)"]
STEPS = ["~({})", "({}) & ({})", "({1}) & ({0})", "({}) | ({})", "({1}) | ({0})"]


@pytest.fixture
def fifty(serving):
    """Each count is 50, with any filter."""

    @asynccontextmanager
    async def start(listing: list) -> AsyncIterator[None]:
        async def behave(index, writer):
            is_count = b"/sessions/count " in server.requests[-1]
            writer.write(http(body=json.dumps({"total_count": 50} if is_count else {"columns": listing})))

        async with serving(behave) as server:
            yield

    return start


@pytest.mark.parametrize("where", RIGHT)
async def test_an_alert_holds_for_each_condition_that_is_right(fifty, run, where):
    async with fifty(LISTING):
        assert await run(f"count {CHATBOT} -w {quote(where)} --fail-above 50 -q") == leaves()


@given(
    where=st.sampled_from(WRONG),
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(RIGHT)), max_size=5),
    limit=st.sampled_from(HOLD),
    lists_columns=st.booleans(),
)
async def test_no_alert_holds_with_a_mistake_anywhere_in_its_filter(fifty, run, where, steps, limit, lists_columns):  # noqa: PLR0917
    """Whatever the count; nor if the service lists no columns, so that nobody can say whether it is right."""
    for step, right in steps:
        where = step.format(where, right)
    async with fifty(LISTING if lists_columns else []):
        done = await run(f"count {CHATBOT} -w {quote(where)} {limit} -q")
    assert (where, limit, done.status) == (where, limit, 2 if lists_columns else done.status or 1)
