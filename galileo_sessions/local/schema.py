"""
A request body judged as the API's schema judges it, with complaints in FastAPI's words.

FastAPI tries all four kinds of node on each node and complains about each: one wrong leaf makes 7 to 13 entries.
Clients have to live with that, and so this server makes the same noise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast
from uuid import UUID

from attrs import fields, frozen

from galileo_sessions.client.query import SCOPE
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.kinds import FILTER_TYPES, DateOperator
from galileo_sessions.filters.nodes import (
    LEAVES,
    MAX_DEPTH,
    And,
    DateFilter,
    Filter,
    LeafFilter,
    Not,
    Or,
    all_of,
)
from galileo_sessions.filters.values import instant

_TIMES: tuple[tuple[str, DateOperator], ...] = (("start_time", "gte"), ("end_time", "lte"))  # of created_at

Loc: TypeAlias = tuple[str | int, ...]
Entry: TypeAlias = dict[str, Any]
Judge: TypeAlias = Callable[[object, Loc], list[Entry]]
"""Says what is wrong with a value: nothing, if the schema allows it."""

_MAX_LEVELS = 2 * MAX_DEPTH + 10  # of JSON: one of the tree takes an object and a list
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_MESSAGES = {
    "missing": "Field required",
    "json_invalid": "JSON decode error",
    "model_attributes_type": "Input should be a valid dictionary or object to extract fields from",
    "union_tag_not_found": "Unable to extract tag using discriminator {discriminator}",
    "union_tag_invalid": "Input tag '{tag}' found using {discriminator} does not match any of the expected tags: "
    "{expected_tags}",
    "enum": "Input should be {expected}",
    "literal_error": "Input should be {expected}",
    "list_type": "Input should be a valid list",
    "too_short": "{field_type} should have at least {min_length} item after validation, not {actual_length}",
    "string_type": "Input should be a valid string",
    "bool_type": "Input should be a valid boolean",
    "bool_parsing": "Input should be a valid boolean, unable to interpret input",
    "int_type": "Input should be a valid integer",
    "int_parsing": "Input should be a valid integer, unable to parse string as an integer",
    "float_type": "Input should be a valid number",
    "float_parsing": "Input should be a valid number, unable to parse string as a number",
    "datetime_type": "Input should be a valid datetime",
    "datetime_from_date_parsing": "Input should be a valid datetime or date, {error}",
    "uuid_type": "UUID input should be a string, bytes or UUID object",
    "uuid_parsing": "Input should be a valid UUID, {error}",
    "uuid_version": "UUID version {expected_version} expected",
    "value_error": "Value error, {error}",
}


@frozen(eq=False)
class Question:
    """What a valid body asks."""

    where: Filter
    """Tree, flat filters and times together; that all must hold is this server's choice, the service's is unknown."""
    filters: tuple[Filter, ...]
    """The flat filters, where no tree stands beside them."""
    scope: dict[str, Any]
    """The ids that narrow the project down, by their names."""


def read(body: bytes, content_type: str = "application/json", asked: str = "count") -> Question | list[Entry]:
    """What the body of a request asks, for one of `ASKED`, or the entries of the 422 that answers it."""
    data, faults = _decoded(body, content_type)
    return faults or validate(data, asked)


def read_api_key(body: bytes, content_type: str) -> str | list[Entry]:
    """The key that the body of a login brings, or the entries of the 422 that answers it."""
    data, faults = _decoded(body, content_type)
    faults = faults or judge_texts(("api_key",), data, ("body",))
    return faults or str(cast("dict[str, Any]", data)["api_key"])


def _decoded(body: bytes, content_type: str) -> tuple[object, list[Entry]]:
    if content_type != "application/json":
        return None, _fault("model_attributes_type", ("body",), body.decode(errors="replace"))
    try:
        data = json.loads(body)
        _check_levels(data)
    except RecursionError:
        return None, _fault("value_error", ("body",), None, error=f"deeper than {_MAX_LEVELS} levels of JSON")
    except ValueError as error:  # broken JSON, broken UTF-8, a number of more than 4,300 digits
        return None, _fault("json_invalid", ("body", getattr(error, "pos", 0)), {}, error=str(error))
    return data, []


def validate(body: object, asked: str = "count") -> Question | list[Entry]:
    """
    What a decoded body asks, for one of `ASKED`, or the entries of FastAPI's `detail`.

    Keys that the schema doesn't have are ignored, as pydantic does.
    Of a node with several of filter, and, or, not, the first that is valid counts.
    A tree of more than 100 levels or 10,000 leaves gets one entry; the service's own limits are unknown.
    """
    faults = _model(ASKED[asked], tuple(ASKED[asked]), body, ("body",))
    if faults:
        return faults
    given = cast("dict[str, Any]", body)
    data = {name: given[name] for name in ASKED[asked] if given.get(name) is not None}
    try:
        flat = tuple([_load_leaf(leaf) for leaf in data.get("filters", ())])
        tree = [_load_node(data["filter_tree"])] if "filter_tree" in data else []
        times = [DateFilter("created_at", operator, data[name]) for name, operator in _TIMES if name in data]
        where = all_of([*flat, *tree, *times])
    except FilterError as error:  # too large, or NaN or an infinity, which Python's JSON knows
        return _fault("value_error", ("body",), body, error=str(error))
    return Question(where, () if tree else flat, {name: str(UUID(data[name])) for name in SCOPE if name in data})


def _check_levels(data: object) -> None:
    """Without recursion, and before all that recurses: judging, evaluating, echoing."""
    level = [data]
    for _ in range(_MAX_LEVELS):
        level = [item for outer in level for item in ((_object(outer) or {}).values() or _list(outer) or ())]
    if level:
        raise RecursionError


def _load_node(data: dict[str, Any]) -> Filter:
    keys = [key for key in ("filter", "and", "or", "not") if key in data]
    key = next(key for key in keys if len(keys) == 1 or not _NODES[key](data, ()))
    if key == "filter":
        return _load_leaf(data[key])
    if key == "not":
        return Not(_load_node(data[key]))
    return (And if key == "and" else Or)([_load_node(child) for child in data[key]])


def _load_leaf(data: dict[str, Any]) -> LeafFilter:
    leaf = LEAVES[data["type"]]
    defaults: dict[str, Any] = {"operator": "eq"} if leaf.type in ("id", "boolean") else {}
    return leaf(**defaults | {field.name: data[field.name] for field in fields(leaf) if field.name in data})


# ---- judges ----------------------------------------------------------------------------------------------------------


def _fault(code: str, loc: Loc, given: object, **ctx: object) -> list[Entry]:
    entry = {"type": code, "loc": list(loc), "msg": _MESSAGES[code].format(**ctx), "input": given}
    return [entry | {"ctx": ctx} if ctx else entry]


def _scalar(code: str, kinds: tuple[type, ...], value: object, loc: Loc) -> list[Entry]:
    if isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)):
        return []
    return _fault(f"{code}_{'parsing' if isinstance(value, str) else 'type'}", loc, value)


def judge_date(value: object, loc: Loc) -> list[Entry]:
    """What is wrong with a value that must be an instant as RFC 3339 text; nothing if it is one."""
    if not isinstance(value, str):
        return _fault("datetime_type", loc, value)
    try:
        _ = instant(value)
    except FilterError as error:
        return _fault("datetime_from_date_parsing", loc, value, error=str(error))
    return [] if _RFC_3339.fullmatch(value) else _fault("datetime_from_date_parsing", loc, value, error="not RFC 3339")


def judge_uuid(value: object, loc: Loc) -> list[Entry]:
    """What is wrong with a value that must be a version 4 UUID as text; nothing if it is one."""
    if not isinstance(value, str):
        return _fault("uuid_type", loc, value)
    if not _UUID.fullmatch(value):
        stray = re.search(r"[^0-9a-fA-F-]", value)
        length = f"invalid length: found {len(value)}"
        reason = f"invalid character: found `{stray[0]}` at {stray.start()}" if stray else length
        return _fault("uuid_parsing", loc, value, error=reason)
    return [] if UUID(value).version == 4 else _fault("uuid_version", loc, value, expected_version=4)


def judge_texts(names: tuple[str, ...], value: object, loc: Loc) -> list[Entry]:
    """What is wrong with a value that must be an object with text under these names; nothing if it is one."""
    return _model(dict.fromkeys(names, _text), (), value, loc)


def _one_of(code: str, allowed: tuple[str, ...], value: object, loc: Loc) -> list[Entry]:
    expected = " or ".join(", ".join(map(repr, allowed)).rsplit(", ", 1))
    return [] if value in allowed else _fault(code, loc, value, expected=expected)


def _items(each: Judge, minimum: int, value: object, loc: Loc) -> list[Entry]:
    items = _list(value)
    if items is None:
        return _fault("list_type", loc, value)
    if len(items) < minimum:
        return _fault("too_short", loc, value, field_type="List", min_length=minimum, actual_length=len(items))
    return [fault for i, item in enumerate(items) for fault in each(item, (*loc, i))]


def _nullable(judge: Judge, value: object, loc: Loc) -> list[Entry]:
    return [] if value is None else judge(value, loc)


def _any_of(judges: dict[str, Judge], value: object, loc: Loc) -> list[Entry]:
    faults: list[Entry] = []
    for name, judge in judges.items():
        found = judge(value, (*loc, name))
        if not found:
            return []
        faults += found
    return faults


def _model(judges: dict[str, Judge], optional: tuple[str, ...], value: object, loc: Loc) -> list[Entry]:
    data = _object(value)
    if data is None:
        return _fault("model_attributes_type", loc, value)
    faults: list[Entry] = []
    for name, judge in judges.items():
        if name in data:
            faults += judge(data[name], (*loc, name))
        elif name not in optional:
            faults += _fault("missing", (*loc, name), value)
    return faults


def _leaf(value: object, loc: Loc) -> list[Entry]:
    data = _object(value)
    if data is None:
        return _fault("model_attributes_type", loc, value)
    if "type" not in data:
        return _fault("union_tag_not_found", loc, value, discriminator="'type'")
    tag = data["type"]
    if isinstance(tag, str) and tag in _LEAF:
        return _LEAF[tag](value, (*loc, tag))
    tags = ", ".join(map(repr, _LEAF))
    return _fault("union_tag_invalid", loc, value, discriminator="'type'", tag=str(tag), expected_tags=tags)


def _object(data: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def _list(data: object) -> list[Any] | None:
    return cast("list[Any]", data) if isinstance(data, list) else None  # type: ignore[redundant-cast]  # pyright knows less


# ---- the schema ------------------------------------------------------------------------------------------------------


def _column(filter_type: str, value: Judge, *optional: str) -> Judge:
    operator = partial(_one_of, "enum", FILTER_TYPES[filter_type].operators)
    case_sensitive = {"case_sensitive": _boolean} if "case_sensitive" in optional else {}
    return partial(_model, {"column_id": _text, "operator": operator, "value": value, **case_sensitive}, optional)


_text = partial(_scalar, "string", (str,))
_boolean = partial(_scalar, "bool", (bool,))
_number: dict[str, Judge] = {"int": partial(_scalar, "int", (int,)), "float": partial(_scalar, "float", (int, float))}
_numbers = partial(_any_of, _number | {f"list[{name}]": partial(_items, judge, 0) for name, judge in _number.items()})
_texts = partial(_any_of, {"str": _text, "list[str]": partial(_items, _text, 0)})
_id = partial(_any_of, {"uuid": judge_uuid, "str": _text})
_ids = partial(_any_of, {"uuid": judge_uuid, "list[union[uuid,str]]": partial(_items, _id, 0), "str": _text})
_queue: dict[str, Judge] = {
    "column_id": partial(_one_of, "literal_error", ("fully_annotated",)),
    "user_ids": partial(_nullable, partial(_items, judge_uuid, 1)),
}
_LEAF: dict[str, Judge] = {
    "id": _column("id", _ids, "operator"),
    "date": _column("date", judge_date),
    "number": _column("number", _numbers),
    "boolean": _column("boolean", _boolean, "operator"),
    "collection": _column("collection", _texts, "case_sensitive"),
    "text": _column("text", _texts, "case_sensitive"),
    "fully_annotated": partial(_model, _queue, tuple(_queue)),
}
_NODE: dict[str, Judge] = {"FilterLeaf": partial(_model, {"filter": _leaf}, ())}
_node = partial(_any_of, _NODE)
_NODE["AndNode"] = partial(_model, {"and": partial(_items, _node, 0)}, ())
_NODE["OrNode"] = partial(_model, {"or": partial(_items, _node, 0)}, ())
_NODE["NotNode"] = partial(_model, {"not": _node}, ())
_NODES: dict[str, Judge] = dict(zip(("filter", "and", "or", "not"), _NODE.values(), strict=True))
_scoped: dict[str, Judge] = dict.fromkeys(SCOPE, partial(_nullable, judge_uuid))
ASKED: dict[str, dict[str, Judge]] = {
    "count": _scoped | {"filters": partial(_items, _leaf, 0), "filter_tree": partial(_nullable, _node)},
    "available_columns": _scoped | {name: partial(_nullable, judge_date) for name, _ in _TIMES},
}
"""What can be asked of a project's sessions, each with the fields of its body."""
