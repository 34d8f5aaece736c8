"""The tree of errors: its shape, what a text has, and that each survives a pickle."""

import copy
import inspect
import pickle
import re
from types import MappingProxyType
from typing import Any

import pytest
from support.sockets import PROJECT

from galileo_sessions import Col, CountQuery, errors
from galileo_sessions.errors import Attempt, GalileoError, Issue

CLASSES = [cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, GalileoError)]
ISSUE = Issue(("body", "filter_tree", 0), "Field required", "missing", node=Col("a").eq(1))
RESPONSE: dict[str, Any] = {"status": 418, "headers": MappingProxyType({"x-trace": "t1"}), "body": "no"}
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
each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


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


@each_class
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_each_error_survives_a_pickle_and_a_copy(cls, copied):
    error = built(cls)
    again = copied(error)
    assert cls is type(again)
    assert state(error) == state(again)
    assert (error, hash(error)) == (again, hash(again))
    assert again.query is again.attempts[1].query  # so a pickle has it once


@each_class
def test_an_error_has_its_message_the_project_the_attempts_the_drawing_and_the_hint(cls):
    error, notes = built(cls), f"(project {PROJECT}, 2 attempts, 0.5 s waited)"
    assert str(error) == f"what went wrong {notes}:\nand\n└─ x\nhint: Write y"
    given = ARGUMENTS.get(cls, {}) | (RESPONSE if isinstance(error, errors.ResponseError) else {})
    given |= {"message": "what went wrong:\nand\n└─ x", "hint": "Write y"}
    assert given == {name: getattr(error, name) for name in given}


def test_only_what_is_known_is_in_the_text():
    attempts = tuple(Attempt(number, 503, None, waited, 9.0) for number, waited in ((1, 0.25), (2, 0.5), (3, 1.0)))
    error = errors.ServerError("503: busy", status=503)
    error.attempts = attempts[:1]
    assert "503: busy" == str(error)
    error.attempts, error.hint = attempts, "Wait"
    assert "503: busy (3 attempts, 1.8 s waited)\nhint: Wait" == str(error)
    assert "ServerError('503: busy')" == repr(error)
    refused = errors.FilterTypeError("got None", hint="Leave it out")
    refused.call = "Col('a').eq(None)"
    assert "Col('a').eq(None): got None\nhint: Leave it out" == str(refused)


@pytest.mark.parametrize(("name", "value"), [("elapsed", 0.0), ("hint", ""), ("args", ("another",))])
def test_errors_are_equal_by_their_classes_texts_and_attributes(name, value):
    error, other = built(errors.FilterError), built(errors.FilterError)
    assert error == other
    setattr(other, name, value)
    assert error != other
    assert error != error.message
    assert errors.FilterError("m") != errors.FilterTypeError("m")


EMPTY: dict[str, Any] = {"query": None, "attempts": (), "elapsed": None, "report": None, "hint": "", "call": ""}


UNKNOWN: list[tuple[GalileoError, dict[str, Any]]] = [
    (errors.FilterDecodeError("m"), {"path": ()}),
    (errors.FilterCheckError("m"), {"issues": ()}),
    (errors.DeadlineExceededError("m"), {"last": None}),
    (errors.ValidationError("m", status=422), {"issues": (), "body": "", "headers": {}, "retry_after": None}),
    (errors.DecodeError("m"), {"body": ""}),
]


@pytest.mark.parametrize(("error", "more"), UNKNOWN, ids=lambda value: type(value).__name__)
def test_what_is_not_known_is_empty(error, more):
    assert {name: getattr(error, name) for name in EMPTY | more} == EMPTY | more


def test_the_tree_is_as_drawn():
    """The drawing in the module's docstring has each class under its parent, with its builtin bases and attributes."""
    above, drawn = [Exception.__name__], set()
    for line in (errors.__doc__ or "").splitlines():
        row = re.match(r"\s{4}([│├└─ ]*)(\w+Error)(.*)", line)
        if row is None:
            continue
        branch, name, rest = row.groups()
        above[len(branch) // 3 + 1 :] = [name]
        child = re.findall(r"─ (\w+Error)", rest)
        for each, parent in [(name, above[-2]), *[(only, name) for only in child]]:
            builtins = re.findall(r"also an? (\w+)", rest) if each == name else []
            assert [parent, *builtins] == [base.__name__ for base in getattr(errors, each).__bases__]
        assert [] == [each for each in re.findall(r"\.(\w+)", rest) if not hasattr(built(getattr(errors, name)), each)]
        drawn |= {name, *child}
    assert {cls.__name__ for cls in CLASSES} == drawn
