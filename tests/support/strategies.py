"""The API's schema, and filters and JSON drawn at random."""

from __future__ import annotations

import datetime
import json
import operator
import re
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

import galileo_sessions as gs
from galileo_sessions import And, BooleanFilter, Col, CollectionFilter, Filter, Not, NumberFilter, Or, TextFilter
from galileo_sessions.filters.nodes import Comparison
from support.programs import USER
from support.sockets import PROJECT

SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("api_schema.json").read_text(encoding="utf-8"))
LEAVES: dict[str, dict[str, Any]] = {
    SCHEMA["$defs"][name]["properties"]["type"]["const"]: SCHEMA["$defs"][name]
    for name in (ref["$ref"].rpartition("/")[2] for ref in SCHEMA["$defs"]["Leaf"]["oneOf"])
}
OPERATORS: dict[str, list[str]] = {
    kind: leaf["properties"]["operator"]["enum"] for kind, leaf in LEAVES.items() if kind != "fully_annotated"
}
PAIRS = [(kind, name) for kind, names in OPERATORS.items() for name in names]


# ---- values ----------------------------------------------------------------------------------------------------------

HOSTILE = list("\"'\\\0\n\r\t\x85\u2028{}[]()%&|~,.aß😀")
SURROGATES = ["\ud800", "\udbff", "\udfff"]

sendable_texts = st.text(st.sampled_from(HOSTILE) | st.characters(codec="utf-8"), max_size=6)
# JSON joins a high surrogate and a low one behind it into one character, so that such text is no other than that.
texts = st.text(st.sampled_from(HOSTILE + SURROGATES) | st.characters(), max_size=6).filter(
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


def _operator(kind: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(OPERATORS[kind])


# ---- filters ---------------------------------------------------------------------------------------------------------

leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(TextFilter, texts, _operator("text"), _or_several(texts), st.booleans()),
    st.builds(NumberFilter, texts, _operator("number"), _or_several(numbers)),
    st.builds(gs.DateFilter, texts, _operator("date"), moments),
    st.builds(BooleanFilter, texts, _operator("boolean"), st.booleans()),
    st.builds(CollectionFilter, texts, _operator("collection"), _or_several(texts), st.booleans()),
    st.builds(gs.IdFilter, texts, _operator("id"), _or_several(uuids | texts)),
    st.builds(gs.FullyAnnotatedFilter, st.none() | st.lists(uuids, min_size=1, max_size=3)),
)
"""All leaves that the constructors hold."""


def _nodes(children: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(children, max_size=3)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, children)


constructed: st.SearchStrategy[Filter] = st.recursive(leaves, _nodes, max_leaves=6)
"""All trees that the constructors hold, also those that no operator makes."""

_columns = sendable_texts.filter(bool)
_several = st.lists(sendable_texts, min_size=1, max_size=3)
_fold = st.booleans()

compared: st.SearchStrategy[Filter] = st.one_of(
    st.builds(lambda c, v, fold: Col(c).contains(v, case_sensitive=fold), _columns, sendable_texts, _fold),
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
    pairs = st.tuples(children, children)
    return (
        pairs.map(lambda pair: pair[0] & pair[1])
        | pairs.map(lambda pair: pair[0] | pair[1])
        | children.map(operator.invert)
    )


combined: st.SearchStrategy[Filter] = st.recursive(
    compared | st.sampled_from([gs.ALWAYS, gs.NEVER]), _combined, max_leaves=10
)
"""Trees that columns and operators make."""

filters = constructed | combined

_STEPS: list[Any] = [
    Not,
    operator.invert,
    lambda tree: And([tree]),
    lambda tree: Or([tree]),
    lambda tree: And([NumberFilter("n", "gt", 1), tree]),
    lambda tree: Or([tree, TextFilter("t", "one_of", ["x", "'"])]),
    lambda tree: And([tree, *[BooleanFilter("b", "eq", value=True)] * 9]),
]


def _grown(tree: Filter, steps: list[Any]) -> Filter:
    for step in steps:
        taller = step(tree)
        tree = taller if taller.depth > tree.depth else Not(tree)
    return tree


deepest: st.SearchStrategy[Filter] = st.builds(
    _grown, leaves, st.lists(st.sampled_from(_STEPS), min_size=99, max_size=99)
)
"""Trees of exactly 100 levels."""


# ---- filters over few columns with few values, so that records often meet them ---------------------------------------

_SMALL: list[Filter] = [
    *[NumberFilter("n", name, 1) for name in OPERATORS["number"] if name != "between"],
    NumberFilter("n", "between", [0, 1]),
    *[TextFilter("t", name, "a") for name in OPERATORS["text"]],
    TextFilter("t", "eq", "A", case_sensitive=False),
    *[CollectionFilter("c", name, ["a", "b"]) for name in OPERATORS["collection"]],
    *[gs.DateFilter("d", name, "2026-01-31T00:00:00Z") for name in OPERATORS["date"]],
    *[BooleanFilter("b", name, value=True) for name in OPERATORS["boolean"]],
    *[gs.IdFilter("i", name, PROJECT) for name in OPERATORS["id"]],
    gs.FullyAnnotatedFilter(),
]
small: st.SearchStrategy[Filter] = st.recursive(st.sampled_from(_SMALL), _nodes, max_leaves=8)

records = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from([0, 1, 2, 1.0, float("nan"), None, "1", True]),
        "t": st.sampled_from(["a", "A", "ab", "", None, 1, ["a"]]),
        "c": st.sampled_from([["a"], ["a", "b"], [], ("b",), {"A"}, None, "a"]),
        "d": st.sampled_from(["2026-01-30T23:00:00-01:00", "2026-02-01T00:00:00Z", "2026-01-01", None, 1]),
        "b": st.sampled_from([True, False, None, 1, "true"]),
        "i": st.sampled_from([PROJECT, PROJECT.upper(), USER, UUID(PROJECT), None, 1]),
    },
)


# ---- JSON, with no help from the package -----------------------------------------------------------------------------


@st.composite
def _date_times(draw: st.DrawFn) -> str:
    """RFC 3339 in its variety: either case, any offset, up to six digits and more zeros after the second."""
    day, _, time = draw(st.datetimes()).isoformat(timespec="microseconds").partition("T")
    time = draw(st.sampled_from([time[:8], time[:10], time, f"{time}000"]))
    zone = draw(st.sampled_from(["Z", "z", "-00:00"]) | offsets.map(_written))
    return f"{day}{draw(st.sampled_from('Tt'))}{time}{zone}"


def _written(zone: datetime.timezone) -> str:
    return datetime.datetime(2026, 1, 1, tzinfo=zone).isoformat()[-6:]


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
    required = set(LEAVES[kind]["required"])
    entries = {"type": st.just(kind), "column_id": texts, "operator": _operator(kind), "value": _JSON_VALUES[kind]}
    optional = {name: values for name, values in entries.items() if name not in required}
    if "case_sensitive" in LEAVES[kind]["properties"]:
        optional["case_sensitive"] = st.booleans()
    return st.fixed_dictionaries({name: entries[name] for name in entries if name in required}, optional=optional)


json_leaves = st.one_of(
    *[_json_leaf(kind) for kind in OPERATORS],
    st.fixed_dictionaries(
        {"type": st.just("fully_annotated")},
        optional={
            "column_id": st.just("fully_annotated"),
            "user_ids": st.none() | st.lists(_uuid_texts, min_size=1, max_size=3),
        },
    ),
)
"""Leaves that fit the API's schema, each optional key there or not."""


def _json_nodes(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(children, max_size=3)
    return (
        st.fixed_dictionaries({"and": several})
        | st.fixed_dictionaries({"or": several})
        | st.fixed_dictionaries({"not": children})
    )


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
    if "filter" in tree:
        properties = LEAVES[tree["filter"]["type"]]["properties"]
        defaults = {name: rule["default"] for name, rule in properties.items() if "default" in rule}
        return {"filter": defaults | {name: value for name, value in tree["filter"].items() if value is not None}}
    return {
        name: with_defaults(below) if name == "not" else [with_defaults(child) for child in below]
        for name, below in tree.items()
    }


# ---- about filters ---------------------------------------------------------------------------------------------------


def is_undefined(where: Filter) -> bool:
    """Whether a tree contains what no query can send: an empty `And` or `Or`, an empty list, bounds without order."""
    match where:
        case NumberFilter(_, "between", value):
            return not (isinstance(value, tuple) and len(value) == 2 and value[0] <= value[1])
        case Comparison(value=value):
            return value == ()
        case And(children) | Or(children):
            return not children or any(map(is_undefined, children))
        case Not(child):
            return is_undefined(child)
        case _:
            return False


def leaves_drawn(drawing: str) -> int:
    """The number of leaves in a drawing over number columns, including those that are only counted."""
    cut = [int(number.replace(",", "")) for number in re.findall("… ([0-9,]+) more", drawing)]
    return sum(cut) + sum(line.endswith(" number") for line in drawing.splitlines())


def truth(where: Filter, record: dict[str, Any]) -> bool | None:
    """What `matches` says of a filter and of its negation, taken together; None means unknown."""
    yes, no = gs.matches(where, record), gs.matches(Not(where), record)
    assert not (yes and no)
    return True if yes else False if no else None
