"""The tree of errors: its shape, what a text has, and that each survives a pickle."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
import re
import traceback
from types import MappingProxyType
from typing import Any

import pytest
from support.sockets import PROJECT

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
    error = cls("what went wrong:\nand\n└─ x", hint="Write y", **response, **ARGUMENTS.get(cls, {}))
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
    """The text has the message, the project and the attempts, the drawing and the hint."""
    error = built(cls)
    assert ("what went wrong:\nand\n└─ x", "Write y") == (error.message, error.hint)
    notes = f"(project {PROJECT}, 2 attempts, 0.5 s waited)"
    assert f"what went wrong {notes}:\nand\n└─ x\nhint: Write y" == str(error)
    assert (error.message,) == error.args
    for name, value in ARGUMENTS.get(cls, {}).items():
        assert value == getattr(error, name)
    if isinstance(error, errors.ResponseError):
        assert (418, {"x-trace": "t1"}, "no") == (error.status, error.headers, error.body)


def test_the_text_of_an_error() -> None:
    """Only what is known is in the text. A call begins it; the hint has a line of its own at the end."""
    attempts = tuple(Attempt(number, 503, None, waited, 9.0) for number, waited in ((1, 0.25), (2, 0.5), (3, 1.0)))
    error = errors.ServerError("503: busy", status=503)
    assert "503: busy" == str(error)
    error.attempts = attempts[:1]
    assert "503: busy" == str(error)
    error.attempts = attempts
    assert "503: busy (3 attempts, 1.8 s waited)" == str(error)
    error.hint = "Wait"
    assert "503: busy (3 attempts, 1.8 s waited)\nhint: Wait" == str(error)
    assert "ServerError('503: busy')" == repr(error)
    refused = errors.FilterTypeError("got None", hint="Leave it out")
    refused.call = "Col('a').eq(None)"
    assert "Col('a').eq(None): got None\nhint: Leave it out" == str(refused)


def test_a_hint_is_shown_wherever_an_error_is(caplog: pytest.LogCaptureFixture) -> None:
    """A traceback, a group of errors and a log line show it."""
    error = errors.NotFoundError("404 Not Found", status=404, hint="Check the id")
    shown = "404 Not Found\nhint: Check the id"
    logging.getLogger("test").error("it failed: %s", error)
    assert f"it failed: {shown}" == caplog.messages[0]
    assert f"galileo_sessions.NotFoundError: {shown}\n" == "".join(traceback.format_exception_only(error))
    group = "".join(traceback.format_exception(ExceptionGroup("2 counts failed", [error, copy.copy(error)])))
    assert 2 == group.replace("    | ", "").count(shown)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_errors_are_equal_by_what_they_say(cls: type[GalileoError]) -> None:
    """Errors are equal if their classes, texts and attributes are."""
    error, other = built(cls), built(cls)
    assert error == other
    for name, value in (("elapsed", 0.0), ("hint", ""), ("args", ("another",))):
        setattr(other, name, value)
        assert error != other
        setattr(other, name, getattr(error, name))
    assert error == other
    assert error != error.message
    assert errors.FilterError("m") != errors.FilterTypeError("m")


EMPTY: dict[str, Any] = {"query": None, "attempts": (), "elapsed": None, "report": None, "hint": "", "call": ""}
NOT_KNOWN: dict[type[GalileoError], dict[str, Any]] = {
    errors.FilterDecodeError: {"path": ()},
    errors.FilterCheckError: {"issues": ()},
    errors.DeadlineExceededError: {"last": None},
    errors.ValidationError: {"issues": (), "body": "", "headers": {}, "retry_after": None},
    errors.DecodeError: {"body": ""},
}


@pytest.mark.parametrize(("cls", "expected"), NOT_KNOWN.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_not_known_is_empty(cls: type[GalileoError], expected: dict[str, Any]) -> None:
    """Attributes that aren't known are empty, but always exist."""
    error = cls("m", **({"status": 422} if issubclass(cls, errors.ResponseError) else {}))
    assert EMPTY | expected == {name: getattr(error, name) for name in EMPTY | expected}


def test_headers_are_a_copy() -> None:
    """Changing the response's headers later doesn't change the error."""
    headers = {"x-trace": "t1"}
    error = errors.ServerError("m", status=500, headers=headers)
    headers.clear()
    assert {"x-trace": "t1"} == error.headers


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
