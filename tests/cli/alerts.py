"""Alerts that have to fire: commands drawn at random, whose limit the sessions of a local server break."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import cache
from random import Random
from uuid import UUID

from aiohttp import web
from attrs import evolve, frozen

from galileo_sessions import ALWAYS, Col, matches, parse_filter
from galileo_sessions.local import LocalGalileo, sample_names, sample_sessions

LAST_DAY = date(2025, 6, 30)  # every machine's clock is later
LISTED = {"status": ["success", "error"], "agent_type": ["judge", "planner", "react", "router"]}
"""The columns whose values the service lists."""
MODELS = ("large-2", "small-1", "tiny-1")
OWN = "user_metadata/plan"
"""A column of the last project alone."""
STREAMS = ("production", "staging", "development")


# ---- the server ------------------------------------------------------------------------------------------------------


def _session(session: Mapping[str, object]) -> dict[str, object]:
    """A session of the sample, with a column in nanoseconds, two whose values are listed, and an id."""
    number, project = int(str(session["name"])[-5:]), str(session["project_id"])
    return {
        **session,
        "created_at": datetime.fromisoformat(str(session["created_at"])),  # read once, not by each count
        "status": "error" if "error_message" in session else "success",
        "agent_type": LISTED["agent_type"][number % 4],
        "duration_ns": (1 + number % 97) * 100_000_000,
        "model": MODELS[number % 3],
        "run_id": str(UUID(int=UUID(project).int + number % 3)),
    }


SESSIONS = [_session(session) for session in sample_sessions(LAST_DAY)]
NAMES = sample_names()
OF = {project: [session for session in SESSIONS if session["project_id"] == project] for project in NAMES}


class ListingGalileo(LocalGalileo):
    """A server that lists the values of some columns, as the service does. It finds the columns of a project once."""

    def __init__(self) -> None:
        super().__init__(SESSIONS, names=NAMES)
        self.listings: dict[tuple[str, bytes], str] = {}

    async def _count_or_columns(self, request: web.Request) -> web.Response:
        key = request.path, await request.read()
        if key not in self.listings:
            response = await super()._count_or_columns(request)
            if request.match_info["endpoint"] == "count" or response.status != 200:
                return response
            columns = json.loads(response.text or "")["columns"]
            columns = [each | {"allowed_values": LISTED.get(each["id"], [])} for each in columns]
            self.listings[key] = json.dumps({"columns": columns})
        return web.json_response(text=self.listings[key])


# ---- filters ---------------------------------------------------------------------------------------------------------

SYMBOLS = {"eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@frozen
class Leaf:
    """A condition. Its column is a bare name where its type can be inferred, as people write it."""

    column: str
    type: str
    operator: str
    value: object = None

    @property
    def head(self) -> str:
        is_inferred = self.type in ("text", "number", "boolean")
        if is_inferred and self.column.isidentifier():
            return self.column
        return f"Col({self.column!r})" if is_inferred else f"Col.{self.type}({self.column!r})"

    def __str__(self) -> str:
        if self.operator in SYMBOLS and self.type in ("text", "number", "boolean"):
            return f"({self.head} {SYMBOLS[self.operator]} {self.value!r})"
        values = () if self.value is None else self.value if isinstance(self.value, tuple) else (self.value,)
        return f"{self.head}.{self.operator}({', '.join(map(repr, values))})"

    @property
    def is_listed(self) -> bool:
        return self.column in LISTED

    @property
    def texts(self) -> list[str]:
        """The texts with which it compares."""
        return [each for each in (self.value if isinstance(self.value, list) else [self.value]) if type(each) is str]


@frozen
class Join:
    """Parts that are joined by & or |."""

    symbol: str
    parts: tuple["Node", ...]

    def __str__(self) -> str:
        return f" {self.symbol} ".join(f"({each})" if isinstance(each, Join) else str(each) for each in self.parts)


@frozen
class Not:
    """A part that is negated."""

    part: "Node"

    def __str__(self) -> str:
        return f"~({self.part})" if isinstance(self.part, Join) else f"~{self.part}"


Node = Leaf | Join | Not | str
"""A filter; text stands for itself."""


def parts_of(node: Node | None) -> Iterator[Node]:
    """A filter and all its parts."""
    if node is not None:
        yield node
    for part in node.parts if isinstance(node, Join) else [node.part] if isinstance(node, Not) else []:
        yield from parts_of(part)


def replaced(node: Node, old: Node, new: Node) -> Node:
    """A filter with another part in place of one of its own."""
    if node is old:
        return new
    if isinstance(node, Join):
        return Join(node.symbol, tuple([replaced(part, old, new) for part in node.parts]))
    return Not(replaced(node.part, old, new)) if isinstance(node, Not) else node


def _free_text(rng: Random) -> Leaf:
    words = {"input": "refund,What,example,problem,note,Who,choice", "output": "sorry,overview,steps,expert,case"}
    column = rng.choice([*words, "model", "model"])
    if column == "model":
        operator = rng.choice(["eq", "ne", "one_of", "not_in"])
        values = rng.sample(MODELS, 2)
        return Leaf(column, "text", operator, values if operator in ("one_of", "not_in") else values[0])
    return Leaf(column, "text", "contains", rng.choice(words[column].split(",")))


def _listed_text(rng: Random) -> Leaf:
    column = rng.choice([*LISTED])
    operator = rng.choice(["eq", "ne", "one_of", "not_in", "contains"])
    values = rng.sample(LISTED[column], 2 if column == "agent_type" else 1)
    value = values[0][: 3 + rng.randrange(2)] if operator == "contains" else values[0]
    return Leaf(column, "text", operator, values if operator in ("one_of", "not_in") else value)


def _number(rng: Random) -> Leaf:
    column, values = rng.choice(
        [("score", (1, 1.5, 2, 2.5, 3, 3.5, 4)), ("num_traces", (2, 4, 6, 8)),
         ("metrics/toxicity", (0.1, 0.2, 0.3, 0.5)), ("duration_ns", (2_000_000_000, 5_000_000_000, 8_000_000_000))]
    )  # fmt: skip
    if rng.random() < 0.15:
        low, high = sorted(rng.sample(values, 2))
        return Leaf(column, "number", "between", (low, high))
    return Leaf(column, "number", rng.choice(["gt", "gte", "lt", "lte"]), rng.choice(values))


def _boolean(rng: Random) -> Leaf:
    if rng.random() < 0.5:
        return Leaf("is_complete", "boolean", rng.choice(["is_true", "is_false"]))
    return Leaf("is_complete", "boolean", rng.choice(["eq", "ne"]), rng.random() < 0.5)


def _collection(rng: Random) -> Leaf:
    operator = rng.choice(["contains", "one_of", "not_in"])
    tags = rng.sample(["vip", "beta", "regression", "needs-review", "mobile"], 2)
    return Leaf("tags", "collection", operator, tags[0] if operator == "contains" else tags)


DRAWS: list[Callable[[Random], Leaf]] = [
    _free_text,
    _listed_text,
    _listed_text,
    _number,
    _number,
    _boolean,
    _collection,
]


def draw_leaf(rng: Random) -> Leaf:
    """A condition that fits the columns of each project."""
    return rng.choice(DRAWS)(rng)


def draw_pair(rng: Random) -> Join:
    """Two conditions on one column, as for values that it may or mustn't have, or for a range."""
    column = rng.choice(["agent_type", "score"])  # two of the values of status are all
    is_within = rng.random() < 0.5
    if column == "score":
        low, high = sorted(rng.sample([1, 1.5, 2, 3, 3.5, 4], 2))
        return Join("&|"[not is_within], tuple([
            Leaf(column, "number", ("gt", "lt")[is_low is not is_within], low if is_low else high)
            for is_low in (True, False)
        ]))  # fmt: skip
    operator = "ne" if is_within else "eq"
    pair = [Leaf(column, "text", operator, each) for each in rng.sample(LISTED[column], 2)]
    return Join("&|"[not is_within], tuple(pair))


def draw_filter(rng: Random, projects: list[str]) -> Node:
    """One to three conditions; some are about what only these projects have."""
    leaves = {leaf.column: leaf for leaf in [draw_leaf(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]}
    parts: list[Node] = [*leaves.values()]
    chance = rng.random()
    if chance < 0.15:
        pair = draw_pair(rng)
        parts = [pair, *[leaf for leaf in leaves.values() if leaf.column != pair.parts[0].column][1:]]
    elif chance < 0.22:
        run = str(UUID(int=UUID(projects[0]).int + rng.randrange(3)))
        parts[0] = Leaf("run_id", "id", rng.choice(["eq", "ne"]), run)
    elif chance < 0.26 and len(projects) == 1:
        return Join("&", (Leaf("project_id", "id", "eq", projects[0]), parts[0]))
    elif chance < 0.4 and projects == [[*NAMES][-1]]:
        parts[0] = Leaf(OWN, "text", "eq", rng.choice(["free", "pro", "team"]))
    parts = [Not(part) if rng.random() < 0.15 else part for part in parts]
    if len(parts) == 3 and rng.random() < 0.5:
        inner, outer = rng.choice(["&|", "|&"])
        return Join(outer, (Join(inner, tuple(parts[:2])), parts[2]))
    return parts[0] if len(parts) == 1 else Join(rng.choice("&|"), tuple(parts))


# ---- alerts ----------------------------------------------------------------------------------------------------------


@frozen
class Alert:
    """What somebody writes after `galileo-sessions count`; text that is None isn't written."""

    ids: tuple[str, ...]
    """The projects that are meant."""
    projects: tuple[str, ...]
    """The same, by id or by name."""
    where: Node | None
    since: str | None = None
    until: str | None = None
    tz: str | None = None
    stream: str | None = None
    above: str | None = None
    below: str | None = None
    each: bool = False
    allow_empty: bool = False
    limit_first: bool = False
    more: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        limits = [*_option("--fail-above", self.above), *_option("--fail-below", self.below)]
        flags = ["--each"] * self.each + ["--allow-empty"] * self.allow_empty
        where = None if self.where is None else str(self.where)
        options = [*_option("-w", where), *_option("--since", self.since), *_option("--until", self.until)]
        options += [*_option("--tz", self.tz), *_option("--log-stream", self.stream), *self.more, *flags]
        arguments = [*self.projects, *options]
        return [*limits, *arguments] if self.limit_first else [*arguments, *limits]

    @property
    def limit(self) -> str:
        """The limit that is broken."""
        return self.above or self.below or ""

    @property
    def is_share(self) -> bool:
        return "%" in self.limit


def _option(name: str, text: str | None) -> list[str]:
    return [] if text is None else [name, text]


def _draw_projects(rng: Random) -> tuple[list[str], list[str]]:
    chance = rng.random()
    if chance < 0.02:
        return [*NAMES], ["--all"]
    last = [*NAMES][-1]
    ids = [last] if chance < 0.12 else rng.sample([*NAMES], rng.choice([1, 1, 1, 2, 3]))
    return ids, [NAMES[each] if rng.random() < 0.6 else each for each in ids]


def _draw_period(rng: Random) -> dict[str, str]:
    """A period, or none. A time ago begins long before the sample, so that the clock doesn't matter."""
    since = str(date(2025, rng.choice([4, 5, 6]), 1 + rng.randrange(20)))
    until = str(date(2025, 6, 25 + rng.randrange(6)))
    tz = {"tz": rng.choice(["Europe/Berlin", "America/New_York", "Asia/Tokyo"])} if rng.random() < 0.3 else {}
    draws: list[dict[str, str]] = [{}, {}, {"since": since}, {"since": since, "until": until}, {"since": "5000d"}]
    period = rng.choice(draws)
    return period | tz if period.get("since", "").startswith("2025") else period


@frozen
class Tally:
    """The sessions of one project that an alert is about, and how many of them satisfy its filter."""

    sessions: int
    whole: int


def tally(alert: Alert) -> list[Tally]:
    """What each project of an alert has, as the package's own `matches` sees it."""
    where = ALWAYS if alert.where is None else parse_filter(str(alert.where))
    period = ALWAYS
    for edge, operator in ((alert.since, "gte"), (alert.until, "lt")):
        if edge is not None and edge.startswith("2025"):
            day = Col.date("created_at").on(edge, tz=alert.tz or "UTC")
            begin = next(iter(day.children)).value  # type: ignore[attr-defined]  # a day is joined by &
            period &= getattr(Col.date("created_at"), operator)(begin)
    found = []
    for project in alert.ids:
        sessions = OF[project]
        if alert.stream is not None:
            stream = streams(project)[alert.stream]
            sessions = [session for session in sessions if session.get("log_stream_id") == stream]
        sessions = [session for session in sessions if matches(period, session)]
        found.append(Tally(sum(matches(where, session) for session in sessions), len(sessions)))
    return found


@cache
def streams(project: str) -> dict[str, str]:
    """The ids of a project's log streams by their names, in the order in which the server names them."""
    ids = dict.fromkeys(str(session["log_stream_id"]) for session in OF[project] if "log_stream_id" in session)
    return dict(zip(STREAMS, ids, strict=True))


def draw_draft(rng: Random) -> Alert:
    """An alert whose limits say no more than their kind, and which of two limits is to be broken: the first."""
    ids, projects = _draw_projects(rng)
    unit = rng.choice(["", "%"])
    is_upper = rng.random() < 0.6
    return Alert(
        ids=tuple(ids),
        projects=tuple(projects),
        where=draw_filter(rng, ids),
        **_draw_period(rng),
        stream=rng.choice(STREAMS) if rng.random() < 0.15 else None,
        above=f"50{unit}" if is_upper else None,
        below=None if is_upper and rng.random() < 0.7 else f"2{unit}",
        each=rng.random() < (0.5 if len(ids) > 1 else 0.05),
        allow_empty=rng.random() < 0.15,
        limit_first=rng.random() < 0.4,
    )


def with_limit(draft: Alert, rng: Random) -> Alert | None:
    """The alert with a limit that is broken by not much; None if what was drawn can't break one."""
    found = tally(draft)
    broken = rng.choice(found) if draft.each else Tally(sum(e.sessions for e in found), sum(e.whole for e in found))
    slack = rng.uniform(0.03, 0.5)
    if not broken.whole:
        return None
    value = 100 * broken.sessions / broken.whole if draft.is_share else broken.sessions
    if draft.above:
        limit = round(value * (1 - slack), 1)
        is_broken = limit < min(value, 100)
    else:
        limit = round(value * (1 + slack) + (0.1 if draft.is_share else 1), 1)
        is_broken = value < limit <= (100 if draft.is_share else limit)
    if rng.random() < 0.5 or not draft.is_share:
        limit = int(limit)
        is_broken = is_broken and (limit < value if draft.above else limit > value)
    text = f"{limit:g}{'%' * draft.is_share}"
    if not is_broken or (draft.above and draft.below and limit < 3):
        return None
    return evolve(draft, above=text) if draft.above else evolve(draft, below=text)
