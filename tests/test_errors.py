"""The tree of errors: its shape, and that each survives a pickle."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from types import MappingProxyType
from typing import Any

import pytest
from support.strategies import PROJECT

from galileo_sessions import Col, CountQuery, errors
from galileo_sessions.errors import Attempt, GalileoError, Issue

RESPONSE: dict[str, Any] = {"status": 418, "headers": MappingProxyType({"x-trace": "t1"}), "body": "no"}
CLASSES = [cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, GalileoError)]
ISSUE = Issue(("body", "filter_tree", 0), "Field required", "missing", node=Col("a").eq(1))

ARGUMENTS: dict[type[GalileoError], dict[str, Any]] = {
    errors.FilterDecodeError: {"path": ("and", 1)},
    errors.FilterParseError: {"text": "Col(", "offset": 4},
    errors.FilterCheckError: {"issues": (ISSUE,)},
    errors.AttemptTimeoutError: {"phase": "body"},
    errors.DeadlineExceededError: {"last": errors.DisconnectedError("gone")},
    errors.ValidationError: {"issues": (ISSUE,)},
    errors.RateLimitedError: {"retry_after": 1.5},
    errors.DecodeError: {"body": "[]"},
}


def built(cls: type[GalileoError]) -> GalileoError:
    """The error with a value in each attribute."""
    response = RESPONSE if issubclass(cls, errors.ResponseError) else {}
    error = cls("what went wrong", **response, **ARGUMENTS.get(cls, {}))
    error.query = CountQuery(PROJECT, Col("a").gt(1), tag="t")
    error.attempts = (
        Attempt(1, 503, errors.ServerError("busy", **RESPONSE), waited=0.5, elapsed=1.0),
        Attempt(2, None, errors.DisconnectedError("gone"), waited=0.0, elapsed=30.0, query=error.query),
    )
    error.elapsed = 31.5
    error.add_note("a note")
    return error


def state(error: GalileoError) -> dict[str, Any]:
    """All attributes and texts of an error."""
    names = [name for cls in type(error).__mro__ for name in vars(cls).get("__annotations__", {})]
    return {name: getattr(error, name) for name in [*names, "args", "__notes__"]} | {"text": (str(error), repr(error))}


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle 2": lambda error: pickle.loads(pickle.dumps(error, 2)),
    "pickle": lambda error: pickle.loads(pickle.dumps(error, pickle.HIGHEST_PROTOCOL)),
}


# ---- pickle ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_each_error_survives_a_pickle_and_a_copy(cls: type[GalileoError], copied: Any) -> None:
    """It comes back equal, with its text and all attributes."""
    error = built(cls)
    again = copied(error)
    assert cls is type(again)
    assert state(error) == state(again)
    assert error == again
    assert hash(error) == hash(again)
    assert again.query is again.attempts[1].query  # so a pickle has it once


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_says_what_it_was_told(cls: type[GalileoError]) -> None:
    """The text has the message, the project and the number of attempts; the attributes have what was given."""
    error = built(cls)
    assert "what went wrong" == error.message
    assert f"what went wrong (project {error.query.project_id}, 2 attempts, 0.5 s waited)" == str(error)
    assert ("what went wrong",) == error.args
    for name, value in ARGUMENTS.get(cls, {}).items():
        assert value == getattr(error, name)
    if isinstance(error, errors.ResponseError):
        assert (418, {"x-trace": "t1"}, "no") == (error.status, error.headers, error.body)


def test_a_text_tells_the_attempts_once_there_were_several() -> None:
    """After several attempts, the first line ends with their number and the time waited."""
    error = errors.ServerError("503: busy\nand\n└─ x", status=503)
    attempts = [errors.Attempt(number, 503, None, waited, 9.0) for number, waited in ((1, 0.25), (2, 0.5), (3, 1.0))]
    assert str(error) == "503: busy\nand\n└─ x"
    error.attempts = tuple(attempts[:1])
    assert str(error) == "503: busy\nand\n└─ x"
    error.attempts = tuple(attempts)
    assert str(error) == "503: busy (3 attempts, 1.8 s waited)\nand\n└─ x"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert repr(error) == "ServerError('503: busy\\nand\\n└─ x')"
    assert error.args == ("503: busy\nand\n└─ x",)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_errors_are_equal_by_what_they_say(cls: type[GalileoError]) -> None:
    """Errors are equal if their classes, texts and attributes are."""
    error, other = built(cls), built(cls)
    assert error == other
    other.elapsed = 0.0
    assert error != other
    other.elapsed, other.args = error.elapsed, ("another",)
    assert error != other
    assert error != "what went wrong"
    assert errors.FilterError("m") != errors.FilterTypeError("m")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.FilterDecodeError("m"), {"path": ()}),
        (errors.FilterCheckError("m"), {"issues": ()}),
        (errors.DeadlineExceededError("m"), {"last": None}),
        (errors.NotFoundError("m", status=404), {"status": 404, "headers": {}, "body": ""}),
        (errors.ValidationError("m", status=422), {"issues": (), "body": ""}),
        (errors.RateLimitedError("m", status=429), {"retry_after": None}),
        (errors.DecodeError("m"), {"body": ""}),
        (GalileoError("m"), {"query": None, "attempts": (), "elapsed": None, "report": None}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_known_is_empty(error: GalileoError, expected: dict[str, Any]) -> None:
    """Attributes that aren't known are empty, but always exist."""
    assert expected == {name: getattr(error, name) for name in expected}


def test_headers_are_a_copy() -> None:
    """Changing the response's headers later doesn't change the error."""
    headers = {"x-trace": "t1"}
    error = errors.ServerError("m", status=500, headers=headers)
    headers.clear()
    assert {"x-trace": "t1"} == error.headers


@pytest.mark.parametrize("value", [built(GalileoError).attempts[0], ISSUE], ids=["Attempt", "Issue"])
def test_what_errors_hold_is_frozen(value: Any) -> None:
    """Attempts and issues are frozen, and can be copied and pickled."""
    assert value == copy.deepcopy(value) == pickle.loads(pickle.dumps(value))
    with pytest.raises(AttributeError):
        value.number = value.msg = 1


# ---- the tree --------------------------------------------------------------------------------------------------------


def drawn() -> dict[str, tuple[str, list[str], list[str]]]:
    """The drawing in the module's docstring: each class with its parent, its builtin bases and its attributes."""
    tree: dict[str, tuple[str, list[str], list[str]]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        row = re.match(r"\s{4}([│├└─ ]*)(\w+Error)(.*)", line)
        if row is None:
            continue
        branch, name, rest = row.groups()
        above[len(branch) // 3 :] = [name]
        bases, attributes = re.findall(r"also an? (\w+)", rest), re.findall(r"\.(\w+)", rest)
        tree[name] = (above[-2] if len(above) > 1 else "Exception", bases, attributes)
        for child in re.findall(r"─ (\w+Error)", rest):
            tree[child] = (name, [], [])
    return tree


def test_the_tree_is_as_drawn() -> None:
    """The drawing has each class under its parent, with its builtin bases and its attributes."""
    tree = drawn()
    assert {cls.__name__ for cls in CLASSES} == set(tree)
    for cls in CLASSES:
        parent, builtins, attributes = tree[cls.__name__]
        assert [parent, *builtins] == [base.__name__ for base in cls.__bases__]
        assert [] == [name for name in attributes if not hasattr(built(cls), name)]
