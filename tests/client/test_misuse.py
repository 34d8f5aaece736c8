"""Calls that can't work say what to write instead, before a request."""

import copy
import pickle

import pytest
from support.servers import PROJECT

from galileo_sessions import ConfigurationError, GalileoSessions


@pytest.mark.parametrize("call", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_a_client_is_neither_copied_nor_pickled(call):
    """A copy would share connections, and a pickle would carry the key: both are refused with what to do."""
    with pytest.raises(ConfigurationError, match="Make one in each worker, and send CountQuery objects"):
        call(GalileoSessions("k"))


def test_coroutine_functions_as_callbacks_are_refused():
    """Nothing would await what a coroutine function returns."""

    async def later(_: object) -> None:
        """Never called."""

    with pytest.raises(ConfigurationError, match="on_attempt must be a plain function, got the coroutine function"):
        GalileoSessions("k", on_attempt=later)
    with pytest.raises(ConfigurationError, match="on_progress must be a plain function, got the coroutine function"):
        GalileoSessions("k").count_many([PROJECT], on_progress=later)


@pytest.mark.parametrize("timeout", [10**400, "3", True, 0, -1, float("nan")], ids=str)
async def test_a_timeout_that_no_clock_can_tell(timeout):
    """A number beyond those of floats is refused like other values that are no seconds."""
    galileo = GalileoSessions("k")
    with pytest.raises(ConfigurationError, match="timeout=.*: seconds, more than 0"):
        await galileo.count(PROJECT, timeout=timeout)
    with pytest.raises(ConfigurationError, match="timeout=.*: seconds, more than 0"):
        galileo.count_many([PROJECT], timeout=timeout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeouts": 5}, r"timeouts must be a Timeouts, got 5. Write Timeouts\(attempt=...\)"),
        ({"retry": None}, r"retry must be a Retry, got None. Write Retry\(attempts=...\)"),
        ({"limits": 10**5000}, r"limits must be a Limits, got <an int of .* bits>. Write Limits\(maximum=...\)"),
        ({"ssl": "x"}, "ssl='x': an ssl.SSLContext"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_policy_of_another_type(arguments, message):
    """`retry=`, `limits=`, `timeouts=` and `ssl=` name the type that they take."""
    with pytest.raises(ConfigurationError, match=message):
        GalileoSessions("k", **arguments)
