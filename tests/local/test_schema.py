"""What the local server reads in a request: a question about sessions, or the entries of a 422."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from galileo_sessions import (
    ALWAYS,
    BooleanFilter,
    Col,
    DateFilter,
    Filter,
    FullyAnnotatedFilter,
    IdFilter,
    TextFilter,
)
from galileo_sessions.filters.kinds import FILTER_TYPES
from galileo_sessions.local.schema import RequestError, SessionsRequest, read_sessions_request

UUID4 = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
MISSING = "Field required"
NUMBER_OPERATORS = "Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'"
TAGS = "'id', 'date', 'number', 'boolean', 'collection', 'text', 'fully_annotated'"
NO_OBJECT = "Input should be a valid dictionary or object to extract fields from"

TEXT = {"column_id": "input", "operator": "contains", "value": "x", "case_sensitive": True, "type": "text"}
SCORE = {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}


def read(body: bytes, content_type: str = "application/json") -> SessionsRequest:
    return read_sessions_request("count", UUID4, body, content_type)


def asked(body: object) -> SessionsRequest:
    return read(json.dumps(body).encode())


def where(leaf: dict[str, Any]) -> Filter:
    return asked({"filter_tree": {"filter": leaf}}).where


def refusal(body: bytes, content_type: str = "application/json") -> Any:
    """The detail of the answer to a body that is refused."""
    with pytest.raises(RequestError) as caught:
        read(body, content_type)
    assert caught.value.status == (400 if isinstance(caught.value.detail, str) else 422)
    return json.loads(json.dumps(caught.value.detail))


def complaints(body: object) -> list[tuple[str, str, str]]:
    """Type, loc below "body" and msg of each entry; of a broken UUID, each release of pydantic has its own reason."""
    entries = refusal(json.dumps(body).encode())
    assert {"body"} == {entry["loc"][0] for entry in entries}
    for entry in entries:
        if entry["type"] == "uuid_parsing":
            entry["msg"], _, reason = entry["msg"].partition(", ")
            assert reason
    return [(entry["type"], " ".join(map(str, entry["loc"][1:])), entry["msg"]) for entry in entries]


def leaf_complaints(leaf: dict[str, Any]) -> list[tuple[str, str, str]]:
    return complaints({"filters": [leaf]})


def nested(*below: dict[str, Any]) -> dict[str, Any]:
    return {"filter_tree": {"and": [{"filter": TEXT}, *below]}}


def missing(*locs: str) -> list[tuple[str, str, str]]:
    return [("missing", loc, MISSING) for loc in locs]


# ---- the noise of a real FastAPI server, entry by entry --------------------------------------------------------------

TREE = "filter_tree"
SECOND = "filter_tree AndNode and 1"
INNER = f"{SECOND} NotNode not"
THIRD = f"{SECOND} OrNode or 1"
VALUE = f"{THIRD} FilterLeaf filter number value"

BROKEN: dict[str, tuple[dict[str, Any], list[tuple[str, str, str]]]] = {
    "bad operator under not": (
        nested({"not": {"filter": SCORE | {"operator": "contains"}}}),
        [
            *missing(f"{TREE} FilterLeaf filter", f"{SECOND} FilterLeaf filter"),
            *missing(f"{SECOND} AndNode and", f"{SECOND} OrNode or"),
            ("enum", f"{INNER} FilterLeaf filter number operator", NUMBER_OPERATORS),
            *missing(f"{INNER} AndNode and", f"{INNER} OrNode or", f"{INNER} NotNode not"),
            *missing(f"{TREE} OrNode or", f"{TREE} NotNode not"),
        ],
    ),
    "bad value in a nested or": (
        nested({"or": [{"filter": SCORE}, {"filter": SCORE | {"value": "high"}}]}),
        [
            *missing(f"{TREE} FilterLeaf filter", f"{SECOND} FilterLeaf filter", f"{SECOND} AndNode and"),
            ("int_parsing", f"{VALUE} int", "Input should be a valid integer, unable to parse string as an integer"),
            ("float_parsing", f"{VALUE} float", "Input should be a valid number, unable to parse string as a number"),
            ("list_type", f"{VALUE} list[int]", "Input should be a valid list"),
            ("list_type", f"{VALUE} list[float]", "Input should be a valid list"),
            *missing(f"{THIRD} AndNode and", f"{THIRD} OrNode or", f"{THIRD} NotNode not"),
            *missing(f"{SECOND} NotNode not", f"{TREE} OrNode or", f"{TREE} NotNode not"),
        ],
    ),
    "unknown type": (
        nested({"filter": SCORE | {"type": "numeric"}}),
        [
            *missing(f"{TREE} FilterLeaf filter"),
            (
                "union_tag_invalid",
                f"{SECOND} FilterLeaf filter",
                f"Input tag 'numeric' found using 'type' does not match any of the expected tags: {TAGS}",
            ),
            *missing(f"{SECOND} AndNode and", f"{SECOND} OrNode or", f"{SECOND} NotNode not"),
            *missing(f"{TREE} OrNode or", f"{TREE} NotNode not"),
        ],
    ),
    "missing column_id": (
        nested({"filter": {"name": "input", "operator": "eq", "value": "x", "type": "text"}}),
        [
            *missing(f"{TREE} FilterLeaf filter", f"{SECOND} FilterLeaf filter text column_id"),
            *missing(f"{SECOND} AndNode and", f"{SECOND} OrNode or", f"{SECOND} NotNode not"),
            *missing(f"{TREE} OrNode or", f"{TREE} NotNode not"),
        ],
    ),
    "bad log_stream_id": (
        {"log_stream_id": "not-a-uuid", "filter_tree": {"filter": TEXT}},
        [("uuid_parsing", "log_stream_id", "Input should be a valid UUID")],
    ),
    "bad flat filter": (
        {"filters": [TEXT, SCORE | {"operator": "one_of"}]},
        [("enum", "filters 1 number operator", NUMBER_OPERATORS)],
    ),
}


@pytest.mark.parametrize(("body", "expected"), BROKEN.values(), ids=BROKEN)
def test_broken_filters_make_the_noise_of_fastapi(body: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    """Types, places, texts and order are those that a real FastAPI server answered."""
    assert expected == complaints(body)


def test_an_entry_has_the_fields_of_fastapi() -> None:
    """An entry holds the faulty input and, as pydantic does, what its text was made of."""
    expected = {
        "type": "enum",
        "loc": ["body", "filters", 0, "number", "operator"],
        "msg": NUMBER_OPERATORS,
        "input": "one_of",
        "ctx": {"expected": NUMBER_OPERATORS.removeprefix("Input should be ")},
    }
    assert [expected] == refusal(json.dumps({"filters": [SCORE | {"operator": "one_of"}]}).encode())


# ---- what is valid ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"filter_tree": None, "filters": [], "log_stream_id": None}], ids=["no", "null"])
def test_no_filter_asks_for_all(body: dict[str, Any]) -> None:
    """Whatever is left out or null narrows nothing down."""
    question = asked(body)
    assert (ALWAYS, (), {}) == (question.where, question.flat, question.scope)


def test_scope_ids_are_written_one_way() -> None:
    """A UUID in capitals or without hyphens is the same UUID."""
    body = {"log_stream_id": UUID4.upper(), "experiment_id": UUID4.replace("-", ""), "metrics_testing_id": UUID4}
    assert dict.fromkeys(["log_stream_id", "experiment_id", "metrics_testing_id"], UUID4) == asked(body).scope


def test_flat_filters_hold_together() -> None:
    """Flat filters are ANDed, with one another and with a tree."""
    tree = {"or": [{"filter": TEXT}, {"filter": SCORE}]}
    x, high = Col("input").contains("x"), Col("score").gt(3)
    flat = asked({"filters": [TEXT, SCORE]})
    both = asked({"filters": [TEXT, SCORE], "filter_tree": tree})
    assert (x & high, (x, high)) == (flat.where, flat.flat)
    assert (x & high & (x | high), (x, high)) == (both.where, both.flat)


def test_defaults_are_the_schemas() -> None:
    """An id and a boolean compare with eq, text minds its case, fully_annotated has its own column."""
    assert IdFilter("id", "eq", "a") == where({"type": "id", "column_id": "id", "value": "a"})
    assert BooleanFilter("b", "eq", True) == where({"type": "boolean", "column_id": "b", "value": True})
    assert TextFilter("t", "eq", "a") == where({"type": "text", "column_id": "t", "operator": "eq", "value": "a"})
    assert FullyAnnotatedFilter() == where({"type": "fully_annotated"})
    assert FullyAnnotatedFilter([UUID4]) == where({"type": "fully_annotated", "user_ids": [UUID4]})


def test_unknown_keys_are_ignored() -> None:
    """A key that the schema doesn't have changes nothing, at any level."""
    leaf = SCORE | {"case_sensitive": "maybe", "name": 3}
    question = asked({"sort": 1, "filter_tree": {"filter": leaf, "nand": []}})
    assert Col("score").gt(3) == question.where


def test_of_several_kinds_in_a_node_the_valid_one_counts() -> None:
    """The rest is dropped, as a pydantic server does in silence."""
    node = {"filter": {"type": "text"}, "and": 3, "not": {"filter": SCORE}}
    assert ~Col("score").gt(3) == asked({"filter_tree": node}).where


# ---- values ----------------------------------------------------------------------------------------------------------

INT, FLOAT = "Input should be a valid integer", "Input should be a valid number"
STRING, LIST = "Input should be a valid string", "Input should be a valid list"
VALUES: list[tuple[str, object, list[tuple[str, str, str]]]] = [
    (
        "number",
        None,
        [
            *(("int_type", " int", INT), ("float_type", " float", FLOAT)),
            *(("list_type", f" list[{kind}]", LIST) for kind in ("int", "float")),
        ],
    ),
    (
        "number",
        [1, None],
        [
            *(("int_type", " int", INT), ("float_type", " float", FLOAT)),
            *(("int_type", " list[int] 1", INT), ("float_type", " list[float] 1", FLOAT)),
        ],
    ),
    ("text", 3, [("string_type", " str", STRING), ("list_type", " list[str]", LIST)]),
    ("collection", ["a", None], [("string_type", " str", STRING), ("string_type", " list[str] 1", STRING)]),
    (
        "id",
        [3],
        [
            ("uuid_type", " uuid", "UUID input should be a string, bytes or UUID object"),
            (
                "uuid_type",
                " list[union[uuid,str]] 0 uuid",
                "UUID input should be a string, bytes or UUID object",
            ),
            ("string_type", " list[union[uuid,str]] 0 str", STRING),
            ("string_type", " str", STRING),
        ],
    ),
    ("boolean", [1], [("bool_type", "", "Input should be a valid boolean")]),
    ("boolean", "maybe", [("bool_parsing", "", "Input should be a valid boolean, unable to interpret input")]),
    ("date", [1_767_225_600], [("datetime_type", "", "Input should be a valid datetime")]),
]


@pytest.mark.parametrize(("leaf_type", "value", "expected"), VALUES, ids=[f"{t} {v!r}" for t, v, _ in VALUES])
def test_values_of_the_wrong_kind(leaf_type: str, value: object, expected: list[tuple[str, str, str]]) -> None:
    """Each alternative of the schema complains by its own name."""
    operator = FILTER_TYPES[leaf_type].operators[0]
    found = leaf_complaints({"type": leaf_type, "column_id": "c", "operator": operator, "value": value})
    assert [(code, f"filters 0 {leaf_type} value{loc}", msg) for code, loc, msg in expected] == found


@pytest.mark.parametrize(
    ("leaf_type", "value", "expected"),
    [
        *(("number", value, 3) for value in (3, 3.0, "3", " 3 ", "3.0")),
        *(("number", value, (1, 2)) for value in ([1, "2"], [True, 2])),
        *(("boolean", value, True) for value in (True, 1, "yes", "on", "T", "1")),
        *(("boolean", value, False) for value in (False, 0, "no", "off", "f")),
    ],
    ids=repr,
)
def test_values_are_converted_as_pydantic_does(leaf_type: str, value: object, expected: object) -> None:
    """The service's lax mode takes numbers and booleans as text, and one for the other."""
    leaf = where({"type": leaf_type, "column_id": "c", "operator": "eq", "value": value})
    assert expected == getattr(leaf, "value", None)


NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, NINE) for value in ("2026-01-31T09:00:00Z", "2026-01-31 10:00:00.000+01:00", "2026-01-31t09:00:00z")),
        *(
            (value, NINE)
            for value in ("2026-01-31T09:00:00", "2026-01-31 09:00", 1769850000, "1769850000", 1769850000e3)
        ),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T09:00:00.0000009Z", NINE),
    ],
    ids=repr,
)
def test_dates_are_those_of_pydantic(value: object, expected: datetime) -> None:
    """RFC 3339, a day, or seconds or milliseconds since 1970; without an offset, a time is UTC."""
    leaf = {"type": "date", "column_id": "c", "operator": "lt", "value": value}
    assert DateFilter("c", "lt", expected) == where(leaf)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2026-13-31T09:00:00Z", "month value is outside expected range of 1-12"),
        ("20260131T090000Z", "invalid date separator, expected `-`"),
        ("yesterday", "input is too short"),
    ],
)
def test_other_dates_are_refused(value: str, reason: str) -> None:
    """The text says why it names no instant."""
    [(code, loc, msg)] = leaf_complaints({"type": "date", "column_id": "c", "operator": "lt", "value": value})
    assert ("datetime_from_date_parsing", "filters 0 date value") == (code, loc)
    assert reason in msg


@pytest.mark.parametrize(
    ("value", "code", "msg"),
    [
        (3, "uuid_type", "UUID input should be a string, bytes or UUID object"),
        ("", "uuid_parsing", "Input should be a valid UUID"),
        (UUID4 + "0", "uuid_parsing", "Input should be a valid UUID"),
        (UUID4.replace("b", "g"), "uuid_parsing", "Input should be a valid UUID"),
        (UUID4.replace("-4", "-1"), "uuid_version", "UUID version 4 expected"),
    ],
    ids=["number", "empty", "too long", "letter", "version"],
)
def test_ids_are_version_4_uuids(value: object, code: str, msg: str) -> None:
    """The schema says uuid4, of the scope and of the members of a queue."""
    queue = {"type": "fully_annotated", "user_ids": [UUID4, value]}
    assert [(code, "experiment_id", msg)] == complaints({"experiment_id": value})
    assert [(code, "filters 0 fully_annotated user_ids 1", msg)] == leaf_complaints(queue)


def test_a_queue_has_members() -> None:
    """An empty list of users and another column are both refused."""
    expected = [
        ("literal_error", "filters 0 fully_annotated column_id", "Input should be 'fully_annotated'"),
        ("too_short", "filters 0 fully_annotated user_ids", "List should have at least 1 item after validation, not 0"),
    ]
    assert expected == leaf_complaints({"type": "fully_annotated", "column_id": "x", "user_ids": []})


def test_all_faults_of_a_leaf_are_listed() -> None:
    """Not only the first: what is missing and what is wrong."""
    expected = [
        ("string_type", "filters 0 text column_id", STRING),
        *missing("filters 0 text operator", "filters 0 text value"),
        ("bool_type", "filters 0 text case_sensitive", "Input should be a valid boolean"),
    ]
    assert expected == leaf_complaints({"type": "text", "column_id": 3, "case_sensitive": None})


@pytest.mark.parametrize("tag", [3, None, [], "Text"])
def test_a_type_is_one_of_seven(tag: object) -> None:
    """Anything else is no tag, text or not."""
    msg = f"Input tag '{tag}' found using 'type' does not match any of the expected tags: {TAGS}"
    assert [("union_tag_invalid", "filters 0", msg)] == leaf_complaints({"type": tag})


def test_the_type_is_always_needed() -> None:
    """It has a default in each leaf, but without it nobody knows which leaf."""
    msg = "Unable to extract tag using discriminator 'type'"
    assert [("union_tag_not_found", "filters 0", msg)] == leaf_complaints({"column_id": "input"})


@pytest.mark.parametrize("odd", [None, 3, "x", []], ids=repr)
def test_what_is_no_object(odd: object) -> None:
    """A body, a leaf and a node are objects; a node complains once for each kind it could have been."""
    error = "model_attributes_type"
    kinds = ("FilterLeaf", "AndNode", "OrNode", "NotNode")
    outer = missing("filter_tree FilterLeaf filter", "filter_tree AndNode and", "filter_tree OrNode or")
    assert [(error, "", NO_OBJECT)] == complaints(odd)
    assert [(error, "filters 0", NO_OBJECT)] == complaints({"filters": [odd]})
    assert [*outer, *((error, f"filter_tree NotNode not {kind}", NO_OBJECT) for kind in kinds)] == complaints(
        {"filter_tree": {"not": odd}}
    )


@pytest.mark.parametrize("odd", [None, 3, "x", {}], ids=repr)
def test_what_is_no_list(odd: object) -> None:
    """`filters` may be left out but not null; and, or need their lists."""
    assert [("list_type", "filters", LIST)] == complaints({"filters": odd})
    assert ("list_type", "filter_tree OrNode or", LIST) in complaints({"filter_tree": {"or": odd}})


# ---- limits ----------------------------------------------------------------------------------------------------------


def chain(levels: int, leaf: dict[str, Any] = TEXT) -> dict[str, Any]:
    """A tree of that many levels, and and not by turns."""
    tree: dict[str, Any] = {"filter": leaf}
    for level in range(levels - 1):
        tree = {"and": [tree]} if level % 2 else {"not": tree}
    return {"filter_tree": tree}


def ands(levels: int, leaf: dict[str, Any] = TEXT) -> dict[str, Any]:
    tree: dict[str, Any] = {"filter": leaf}
    for _ in range(levels - 1):
        tree = {"and": [tree]}
    return {"filter_tree": tree}


def test_a_hundred_levels_are_taken() -> None:
    """That is as deep as a filter of this package can be, in any shape; also its faults are found."""
    assert 100 == asked(chain(100)).where.depth
    assert 100 == asked(ands(100, TEXT | {"operator": "one_of", "value": ["x"]})).where.depth
    assert 300 < len(complaints(ands(100, {"type": "text"})))


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (chain(101), "deeper than 100 levels"),
        ({"filter_tree": {"or": [{"filter": SCORE}] * 10_001}}, "10,000 is the most"),
        ({"filters": [SCORE] * 10_001}, "10,000 is the most"),
    ],
    ids=["depth", "leaves", "flat"],
)
def test_larger_trees_get_one_entry(body: dict[str, Any], limit: str) -> None:
    """A tree that is too deep or too large is refused in one sentence that names the limit."""
    [(code, loc, msg)] = complaints(body)
    assert ("value_error", "") == (code, loc)
    assert limit in msg


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 300 + b"]" * 300, json.dumps(ands(120)).encode()])
def test_bodies_too_deep_to_be_judged_get_one_entry(body: bytes) -> None:
    """JSON deeper than any valid request is refused before anything recurses over it."""
    expected = {
        "type": "value_error",
        "loc": ["body"],
        "msg": "Value error, deeper than 210 levels of JSON",
        "input": None,
        "ctx": {"error": "deeper than 210 levels of JSON"},
    }
    assert [expected] == refusal(body)


# ---- bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "position"), [(b"{", 1), (b'{"filters": [}', 13), (b"{} x", 3)])
def test_what_is_no_json(body: bytes, position: int) -> None:
    """The entry says where in the body the fault is."""
    [entry] = refusal(body)
    assert ("json_invalid", "JSON decode error", {}) == (entry["type"], entry["msg"], entry["input"])
    assert ["body", position] == entry["loc"]
    assert entry["ctx"]["error"]


@pytest.mark.parametrize("body", [b"\xff\xfe\xfd", b"1" * 5_000], ids=["latin", "digits"])
def test_what_python_cannot_read(body: bytes) -> None:
    """As in FastAPI, it is a 400 and not a 422."""
    assert "There was an error parsing the body" == refusal(body)


def test_no_body_is_a_missing_one() -> None:
    """An empty body isn't read as JSON."""
    assert [{"type": "missing", "loc": ["body"], "msg": MISSING, "input": None}] == refusal(b"")


def test_json_by_another_name_is_text() -> None:
    """Without its content type, JSON isn't read: `json=` sets it, `data=` doesn't."""
    entries = refusal(b"{}", "text/plain")
    assert [{"type": "model_attributes_type", "loc": ["body"], "msg": NO_OBJECT, "input": "{}"}] == entries
    assert {} == read(b"{}", "application/problem+json").scope


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999", b"[1, NaN]"])
def test_numbers_beyond_json_are_refused(number: bytes) -> None:
    """Python reads them, but they are no numbers that JSON can carry."""
    leaf = b'{"type": "number", "column_id": "score", "operator": "gt", "value": ' + number + b"}"
    [entry] = refusal(b'{"filters": [' + leaf + b"]}")
    assert "value_error" == entry["type"]
    assert "JSON can carry" in entry["msg"]
