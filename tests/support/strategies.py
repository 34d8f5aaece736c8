"""The API's schema, and filters and JSON drawn at random."""

from __future__ import annotations

import datetime
import json
import operator
import re
from functools import reduce
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

import galileo_sessions as gs
from galileo_sessions import And, BooleanFilter, Col, CollectionFilter, Filter, Not, NumberFilter, Or, TextFilter
from support.sockets import PROJECT

SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("api_schema.json").read_text(encoding="utf-8"))
_SCHEMAS = [SCHEMA["$defs"][leaf["$ref"].rpartition("/")[2]] for leaf in SCHEMA["$defs"]["Leaf"]["oneOf"]]
LEAVES: dict[str, dict[str, Any]] = {leaf["properties"]["type"]["const"]: leaf for leaf in _SCHEMAS}
OPERATORS: dict[str, list[str]] = {
    kind: leaf["properties"]["operator"]["enum"] for kind, leaf in LEAVES.items() if kind != "fully_annotated"
}
PAIRS = [(kind, name) for kind, names in OPERATORS.items() for name in names]


# ---- values ----------------------------------------------------------------------------------------------------------

HOSTILE = list("\"'\\\0\n\r\t\x85\u2028{}[]()%&|~,.aß😀")
sendable_texts = st.text(st.sampled_from(HOSTILE) | st.characters(codec="utf-8"), max_size=6)
# JSON joins a high surrogate and a low one behind it into one character, so that such text is no other than that.
texts = st.text(st.sampled_from([*HOSTILE, "\ud800", "\udbff", "\udfff"]) | st.characters(), max_size=6).filter(
    lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text)
)
uuids = st.uuids() | st.uuids().map(lambda value: UUID(int=value.int & (1 << 64) - 1))
_floats = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.integers() | _floats | st.sampled_from([0, -0.0, 10**400, -(10**4000), 5e-324, 1.7976931348623157e308])
_bounds = st.tuples(st.integers(), st.integers()) | st.tuples(_floats, _floats)
offsets = st.integers(-1439, 1439).map(lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes)))
moments = st.datetimes(timezones=offsets) | st.datetimes(timezones=st.just(datetime.UTC))


def _or_several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, max_size=3)


# ---- filters ---------------------------------------------------------------------------------------------------------

_operators = {kind: st.sampled_from(names) for kind, names in OPERATORS.items()}

leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(TextFilter, texts, _operators["text"], _or_several(texts), st.booleans()),
    st.builds(NumberFilter, texts, _operators["number"], _or_several(numbers)),
    st.builds(gs.DateFilter, texts, _operators["date"], moments),
    st.builds(BooleanFilter, texts, _operators["boolean"], st.booleans()),
    st.builds(CollectionFilter, texts, _operators["collection"], _or_several(texts), st.booleans()),
    st.builds(gs.IdFilter, texts, _operators["id"], _or_several(uuids | texts)),
    st.builds(gs.FullyAnnotatedFilter, st.none() | st.lists(uuids, min_size=1, max_size=3)),
)
"""All leaves that the constructors hold."""


def nodes(children: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    """Constructed nodes above these."""
    several = st.lists(children, max_size=3)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, children)


constructed: st.SearchStrategy[Filter] = st.recursive(leaves, nodes, max_leaves=6)
"""All trees that the constructors hold, also those that no operator makes."""

_columns = sendable_texts.filter(bool)
_several = st.lists(sendable_texts, min_size=1, max_size=3)
_fold = st.booleans()

compared: st.SearchStrategy[Filter] = st.one_of(
    st.builds(lambda c, v, fold: Col(c).contains(v, case_sensitive=fold), _columns, _columns, _fold),
    st.builds(lambda c, v, fold: Col.text(c).one_of(v, case_sensitive=fold), _columns, _several, _fold),
    st.builds(lambda c, v, fold: Col.collection(c).not_in(v, case_sensitive=fold), _columns, _several, _fold),
    st.builds(lambda c, v: Col(c).gt(v), _columns, numbers),
    st.builds(lambda c, v: Col.number(c).between(*sorted(v)), _columns, _bounds),
    st.builds(lambda c, v: Col(c).lte(v), _columns, moments),
    st.builds(lambda c, v: Col(c).eq(v), _columns, st.booleans()),
    st.builds(lambda c, v: Col(c).one_of(v), _columns, st.lists(uuids, min_size=1, max_size=3)),
)
"""Leaves that columns make."""


def _combined(children: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    joined = st.builds(operator.and_, children, children) | st.builds(operator.or_, children, children)
    return joined | children.map(operator.invert)


combined: st.SearchStrategy[Filter] = st.recursive(
    compared | st.sampled_from([gs.ALWAYS, gs.NEVER]), _combined, max_leaves=10
)
"""Trees that columns and operators make."""

filters = constructed | combined

_STEPS: list[Any] = [
    Not,
    lambda tree: And([tree]),
    lambda tree: Or([tree, TextFilter("t", "one_of", ["x", "'"])]),
    lambda tree: And([*[BooleanFilter("b", "eq", value=True)] * 9, tree]),
]


def _grown(leaf: Filter, steps: list[Any]) -> Filter:
    return reduce(lambda tree, step: step(tree), steps, leaf)


deepest = st.builds(_grown, leaves, st.lists(st.sampled_from(_STEPS), min_size=99, max_size=99))
"""Trees of exactly 100 levels."""


# ---- JSON, with no help from the package -----------------------------------------------------------------------------


@st.composite
def _date_times(draw: st.DrawFn) -> str:
    """RFC 3339 in its variety: either case, any offset, up to six digits and more zeros after the second."""
    day, _, time = draw(st.datetimes()).isoformat(timespec="microseconds").partition("T")
    time = draw(st.sampled_from([time[:8], time[:10], time, f"{time}000"]))
    offset = offsets.map(lambda zone: datetime.datetime(2026, 1, 1, tzinfo=zone).isoformat()[-6:])
    return f"{day}{draw(st.sampled_from('Tt'))}{time}{draw(st.sampled_from(['Z', 'z', '-00:00']) | offset)}"


_uuid_texts = uuids.map(str) | uuids.map(lambda value: str(value).upper())
_JSON_VALUES = {
    "id": _or_several(_uuid_texts | texts),
    "date": _date_times(),
    "number": _or_several(numbers),
    "boolean": st.booleans(),
    "collection": _or_several(texts),
    "text": _or_several(texts),
}


def _json_leaf(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    required, case = LEAVES[kind]["required"], {"case_sensitive": st.booleans()}
    entries = {"type": st.just(kind), "column_id": texts, "operator": _operators[kind], "value": _JSON_VALUES[kind]}
    entries |= case if "case_sensitive" in LEAVES[kind]["properties"] else {}
    optional = {name: entries.pop(name) for name in [*entries] if name not in required}
    return st.fixed_dictionaries(entries, optional=optional)


_users = st.none() | st.lists(_uuid_texts, min_size=1, max_size=3)
_annotated = {"column_id": st.just("fully_annotated"), "user_ids": _users}
json_leaves = st.one_of(
    *map(_json_leaf, OPERATORS), st.fixed_dictionaries({"type": st.just("fully_annotated")}, optional=_annotated)
)
"""Leaves that fit the API's schema, each optional key there or not."""


def _json_nodes(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(children, min_size=1, max_size=3)
    below = {"and": several, "or": several, "not": children}
    return st.one_of([st.fixed_dictionaries({key: values}) for key, values in below.items()])


json_trees = st.recursive(st.fixed_dictionaries({"filter": json_leaves}), _json_nodes, max_leaves=6)
"""Trees that fit the API's schema."""

_KEYS = ["filter", "and", "or", "not", "type", "column_id", "name", "operator", "value", "case_sensitive", "user_ids"]
_WORDS = [*OPERATORS, *{name for _, name in PAIRS}, "fully_annotated", "2026-01-31T00:00:00Z", PROJECT]

anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | texts | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS) | texts, inner, max_size=4),
    max_leaves=12,
)
"""Whatever JSON can say, and NaN; it often looks like a filter."""


def with_defaults(tree: Any) -> Any:
    """A tree as the schema understands it: the defaults of absent keys filled in, null user_ids left out."""
    ((key, below),) = tree.items()
    if key == "filter":
        rules = LEAVES[below["type"]]["properties"]
        defaults = {name: rule["default"] for name, rule in rules.items() if "default" in rule}
        return {key: defaults | {name: value for name, value in below.items() if value is not None}}
    return {key: with_defaults(below) if key == "not" else [*map(with_defaults, below)]}


# ---- about filters ---------------------------------------------------------------------------------------------------


def leaves_drawn(drawing: str) -> int:
    """The number of leaves in a drawing over number columns, including those that are only counted."""
    cut = [int(number.replace(",", "")) for number in re.findall("… ([0-9,]+) more", drawing)]
    return sum(cut) + sum(line.endswith(" number") for line in drawing.splitlines())


def truth(where: Filter, record: dict[str, Any]) -> bool | None:
    """What `matches` says of a filter and of its negation, taken together; None means unknown."""
    yes, no = gs.matches(where, record), gs.matches(Not(where), record)
    assert not (yes and no)
    return True if yes else False if no else None
