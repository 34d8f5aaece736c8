"""Alerts with a mistake in them, made from fifteen mistakes and eight alerts: none of these 120 exits with 0."""

import json
from collections.abc import Iterator
from itertools import product
from uuid import UUID

import pytest
from attrs import evolve

from galileo_sessions import ColumnCatalog
from galileo_sessions.local import LocalGalileo, server

BOT, PLANNER, PRODUCTION, STAGING, NOWHERE = [str(UUID(int=number, version=4)) for number in range(1, 6)]
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
    for project in (BOT, PLANNER)
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
    "each": {"--fail-above": "25", "--each": None, PLANNER: None},
    "total": {"--fail-above": "90%", PLANNER: None, "--format": "json"},
}
"""Alerts that hold. Each has also a project, a log stream and a filter that counts some sessions."""
RIGHT = {"Support bot": None, "--log-stream": "production", "-w": "score < 2"}


def leaf(kind: str, column_id: str, operator: str, value: object) -> str:
    """The JSON of a filter, to be read from stdin."""
    return json.dumps({"filter": {"type": kind, "column_id": column_id, "operator": operator, "value": value}})


IN_FILE = {"-w": "", "--where-json": "-"}
MISTAKES: dict[str, tuple[dict[str, str | None], str, int, str]] = {
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

    columns_of = server.columns_of
    monkeypatch.setattr(server, "columns_of", typed)
    async with LocalGalileo(
        SESSIONS, names={BOT: "Support bot", PLANNER: "Planner", PRODUCTION: "production"}
    ) as local:
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


@pytest.mark.parametrize(("mistake", "alert"), [*product(MISTAKES, ALERTS)])
async def test_no_mistake_passes(sessions, run, mistake, alert):
    """The status is 1 or 2, and stderr says why."""
    changes, stdin, status, words = MISTAKES[mistake]
    done = await run("count", "-q", *command(RIGHT | ALERTS[alert] | changes), stdin=stdin)
    assert done.status == status
    assert words in done.err
    assert "Traceback" not in done.err


def test_there_are_a_hundred_and_twenty():
    """Of each mistake, one in each alert."""
    assert len(MISTAKES) * len(ALERTS) == 120
