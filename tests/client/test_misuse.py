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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeouts": 5}, r"timeouts must be a Timeouts, got 5. Write Timeouts\(...\)"),
        ({"retry": None}, r"retry must be a Retry, got None. Write Retry\(...\)"),
        ({"limits": 10**5000}, r"limits must be a Limits, got <an int of .* bits>. Write Limits\(...\)"),
        ({"ssl": "x"}, "ssl='x': an ssl.SSLContext"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_policy_of_another_type(arguments, message):
    """`retry=`, `limits=`, `timeouts=` and `ssl=` name the type that they take."""
    with pytest.raises(ConfigurationError, match=message):
        GalileoSessions("k", **arguments)
