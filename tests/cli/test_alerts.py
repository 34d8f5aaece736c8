"""An alert can't pass on a mistake, and a pager can show its lines; also 9 mistakes, each in 8 alerts."""

import os
from uuid import UUID

import pytest
from cli.processes import USAGE, leaves, objects, process
from support.clients import COUNTS, IDS

CHATBOT, PLANNER = IDS[:2]  # they have 312 and 363 sessions
EMPTY, ALSO_EMPTY = [str(UUID(int=number, version=4)) for number in (1, 2)]
ABOVE_3 = "-w 'score > 3'"  # 180 sessions of the first project
QUIET = "--since 2020-01-01 --until 2020-02-01"  # no session of the sample is so old
JUNE = "--since 2026-06-01 --until 2026-07-01"  # 96 sessions of the first project
CANT = "the limit can't be judged"
NONE_IN = f"no sessions in {{}}, so {CANT}"

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
    (f"{CHATBOT} {ABOVE_3} {JUNE} --by created_at:day --fail-above 50%", 3, f"{CHATBOT}: ... of 96 ..., above 50%"),
    # a project without any can't be judged: its id is perhaps wrong
    (f"{EMPTY} --fail-below 10", 1, NONE_IN.format(EMPTY)),
    (f"{CHATBOT} {EMPTY} --fail-above 999", 1, NONE_IN.format(EMPTY)),
    (f"{EMPTY} {CHATBOT} {ABOVE_3} --fail-above 10%", 1, NONE_IN.format(EMPTY)),
    (f"{EMPTY} {ALSO_EMPTY} --fail-above 10", 1, f"{NONE_IN.format(EMPTY)}\n{NONE_IN.format(ALSO_EMPTY)}"),
    (f"{EMPTY} {PLANNER} --fail-above 100", 3, "2 projects: 363 sessions, above 100"),
    (f"{CHATBOT} --experiment {PLANNER} --fail-above 10", 1, NONE_IN.format(f"{CHATBOT}, experiment {PLANNER}")),
    (f"'Support chatbot' --metrics-testing {EMPTY} {ABOVE_3} --fail-above 10%", 1,
     NONE_IN.format(f"{CHATBOT} Support chatbot, metrics testing {EMPTY}")),
    # a log stream has its own total
    (f"{CHATBOT} --log-stream staging {ABOVE_3} --fail-above 1%", 3, f"{CHATBOT}: ...% (... of 49 sessions), above 1%"),
    # with --each, each project is judged by itself
    (f"{CHATBOT} {PLANNER} --each --fail-above 320 --fail-below 9", 3, f"{PLANNER}: 363 sessions, above 320"),
    (f"{CHATBOT} {EMPTY} --each --fail-above 320 --fail-below 9", 1, NONE_IN.format(EMPTY)),
    (f"'Support chatbot' 'Travel planner' {ABOVE_3} --each --fail-above 57.6%", 3,
     f"{CHATBOT} Support chatbot: 57.7% (180 of 312 sessions), above 57.6%"),
    # with -q, there is no warning, here that a text looks like a time
    (f"{CHATBOT} -w \"external_id == '2026-05-01'\" --fail-above 10", 0, ""),
    # what can't be a limit, and a column that is wrong although the period has no sessions
    (f"{CHATBOT} --by craeted_at:day {QUIET} --fail-above 1", 2, "...no column 'craeted_at'; did you mean created_at?"),
    *[(f"{CHATBOT} --fail-{limit}", 2, f"{USAGE}...can't be a limit: it would apply never, or always.")
      for limit in ("above 150%", "above 100%", "below 101%", "below 0")],
    *[(f"{CHATBOT} --fail-above {limit}", 2, f"{USAGE}... must be a number such as 100, or a share such as 10%.")
      for limit in ("-1", "many", "''")],
    (f"{CHATBOT} --each", 2, f"{USAGE}--each needs --fail-above or --fail-below."),
]  # fmt: skip


SCORE, UNTYPED = [{"columns": [{"id": "score", "filter_type": each}]} for each in ("number", None)]
NONE: dict[str, list] = {"columns": []}
NOT_FOUND = f"{CANT}: {CHATBOT}: 404..."
LISTS_NONE = f"no columns to check the filter with in {CHATBOT}, so {CANT}"
BOTH = f"{CHATBOT} {PLANNER}"
SHARED = f"{PLANNER}: 27.5% (100 of 363 sessions), above 1%"


def total(*counts: int) -> list[dict]:
    """Scripts answers to counts."""
    return [{"total_count": count} for count in counts]


SCRIPTED = [
    # the total without a failed count can be enough, since that can only make it larger; but not for a share
    ([404], f"{BOTH} --fail-above 100 --fail-below 9999", 3, "2 projects: 363 sessions, above 100"),
    ([404, 404], f"{BOTH} --fail-above 99999", 1, NOT_FOUND),
    ([404], f"{BOTH} --fail-above 1% --fail-below 9", 1, NOT_FOUND),
    # the count without the filter fails
    ([SCORE, *total(100), 404], f"{CHATBOT} {ABOVE_3} --fail-above 1%", 1, NOT_FOUND),
    ([SCORE, *total(100), 404], f"{CHATBOT} {ABOVE_3} --fail-above 99", 3, f"{CHATBOT}: 100 sessions, above 99"),
    ([SCORE, *total(100), 404], f"{CHATBOT} {ABOVE_3} --fail-above 100", 0, ""),
    # a project that lists no columns hides no typo; without a filter, they aren't asked for
    ([NONE, *total(0, 5), NONE], f"{CHATBOT} -w 'scor < 2' --fail-above 10", 1, LISTS_NONE),
    ([NONE, *total(0, 5), 404], f"{CHATBOT} {QUIET} --fail-above 10", 0, ""),
    ([NONE, *total(0, 5), NONE], f"{CHATBOT} {QUIET} --by created_at:day --fail-above 10", 1, LISTS_NONE),
    # nor does a column without a type
    ([UNTYPED, *total(0, 5), UNTYPED], f"{CHATBOT} {ABOVE_3} --fail-above 10", 1,
     f"no type of 'score' to check the filter with in {CHATBOT}, so {CANT}"),
    # an answer that is no count; and a key that is wrong
    ([{}], f"{CHATBOT} --fail-above 10", 1, f"{CANT}: {CHATBOT}: ..."),
    ([401], f"{CHATBOT} --fail-above 10", 1, f"Error: {CHATBOT}: 401 Unauthorized..."),
    # with --each, one project hides no verdict of others: it fails, or has no sessions, or its 0 can't be explained
    ([404], f"{CHATBOT} {EMPTY} {IDS[2]} {PLANNER} --each --fail-above 362 --fail-below 10", 3,
     f"{NOT_FOUND}\n{NONE_IN.format(EMPTY)}\n{PLANNER}: 363 sessions, above 362"),
    ([*total(100, 100), 404], f"{BOTH} --each --fail-above 1%", 3, f"{NOT_FOUND}\n{SHARED}"),
    (total(100, 100, 0), f"{BOTH} --each --fail-above 1%", 3,
     f"no sessions in this period in {CHATBOT}, so {CANT}\n{SHARED}"),
    *[([SCORE, *total(0), SCORE, *total(500), *last], f"{BOTH} {ABOVE_3} --each --fail-above 10", 3,
       f"{NOT_FOUND}\n{PLANNER}: 500 sessions, above 10") for last in ([404], [*total(1), 404])],
    # a share is on the right side of its limit, and has as many digits as that takes
    *[(total(*counts), f"{CHATBOT} --fail-{limit}", 3, f"{CHATBOT}: {shown}, {limit}") for counts, limit, shown in (
        ((1001, 10_000), "above 10%", "10.01% (1,001 of 10,000 sessions)"),
        ((100_001, 1_000_000), "above 10.0%", "10.0001% (100,001 of 1,000,000 sessions)"),
        ((999, 10_000), "below 10%", "9.99% (999 of 10,000 sessions)"),
        ((1, 3), "above 33.333%", "33.3333% (1 of 3 sessions)"),
        ((500, 10_000), "above 4.99%", "5.0% (500 of 10,000 sessions)"),
    )],
]  # fmt: skip


@pytest.mark.parametrize("row", [*[([], *row) for row in VERDICTS], *SCRIPTED], ids=lambda row: row[1][-80:])
async def test_the_verdict_is_all_that_a_quiet_alert_writes(server, script, run, row):
    """The status is 3 if a limit is broken; 2 for a mistake, before anything is counted; 1 if it can't be judged."""
    responses, arguments, status, err = row
    server.strict = False
    script(*responses)
    assert await run(f"count -q --concurrency 1 {arguments}") == leaves(status, err)
    assert status != 2 or server.requests == []


@pytest.mark.parametrize(
    ("failed", "arguments", "asked"),
    [
        (0, f"{CHATBOT} {EMPTY} --fail-above 10 --experiment {PLANNER}", [CHATBOT, EMPTY] * 2),
        (0, f"{CHATBOT} {PLANNER} --fail-above 999", [CHATBOT, PLANNER]),
        (1, f"{CHATBOT} {PLANNER} --fail-above 99%", [CHATBOT, PLANNER]),
        (1, f"{CHATBOT} {PLANNER} --fail-above 99% --each", [CHATBOT, PLANNER, PLANNER]),
    ],
)
async def test_only_what_a_verdict_needs_is_counted_again(server, script, run, failed, arguments, asked):  # noqa: PLR0917
    """A 0 is counted without its filter, in the same scope; a share, where the count succeeded and can be judged."""
    script(*[404] * failed)
    await run(f"count -q --concurrency 1 {arguments}")
    assert [query.project_id for query in server.requests] == asked
    assert len({query.experiment_id for query in server.requests}) == 1


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


# Limits that hold for some sessions of two projects.
ALERTS = ["--fail-above 50", "--fail-above 90%", "--fail-above 90% --fail-below 1", "--fail-above 90% --by score:1,3"]
ALERTS += [f"--fail-above 50 {JUNE}", f"--fail-above 50 {JUNE} --by created_at:day"]
ALERTS += ["--fail-above 50 --each 'Energy adviser'", "--fail-above 90% 'Energy adviser' --format json"]
STREAM = "'Legal guide' --log-stream development"
MISTAKES = {
    # what is counted, and words of the reason
    f"{EMPTY} -w 'score < 2'": f"no sessions in {EMPTY}, so",
    "'Legal giude' --log-stream development -w 'score < 2'": "Did you mean Legal guide?",
    "'Legal guide' --log-stream developement -w 'score < 2'": "Did you mean development?",
    f"'Legal guide' --log-stream {EMPTY} -w 'score < 2'": f", log stream {EMPTY}, so the limit can't be judged",
    f"{STREAM} -w 'scor < 2'": "there is no column 'scor'",
    f"{STREAM} -w 'error_message == \"x\"'": "there is no column 'error_message'",  # another log stream has it
    f"{STREAM} -w 'score == \"low\"'": "'score' is filtered as number",
    f"{STREAM} -w 'tags == \"rude\"'": "'tags' is filtered as collection",
    f"{STREAM} -w 'fully_annotated()'": "only in searches of an annotation queue",
}


@pytest.mark.parametrize("alert", ALERTS)
async def test_an_alert_holds_but_never_with_a_mistake(server, run, alert):
    """The status is 1 for an id that leads to no session, and 2 for a name or a filter that fits nothing."""
    done = await run(f"count -q {STREAM} -w 'score < 2' {alert}")
    assert (done.status, done.err) == (0, "")
    assert [row["total_count"] for row in objects(done.out)] == ([12, 14] if "json" in alert else [])
    server.strict = False
    for mistake, reason in MISTAKES.items():
        done = await run(f"count -q {mistake} {alert}")
        assert (mistake, done.status, reason in done.err) == (mistake, 1 if EMPTY in mistake else 2, True)
