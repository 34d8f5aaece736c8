"""Calls that can't work say what to write instead, before a request."""

import copy
import pickle

import pytest
from support.projects import ids
from support.servers import PROJECT, http, raw_server

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


@pytest.mark.parametrize("check", [1, "yes"])
async def test_a_check_is_true_or_false(check):
    """`check=` is a bool."""
    with pytest.raises(ConfigurationError, match="check=.*: True or False"):
        GalileoSessions("k", check=check)
    with pytest.raises(ConfigurationError, match="check=.*: True or False"):
        await GalileoSessions("k").count(PROJECT, check=check)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"retry": "3"}, r"retry='3': Retry\(...\), or the attempts of a count, the first included"),
        ({"retry": True}, "retry=True: Retry"),
        ({"retry": 0}, r"Retry\(attempts=0\): a whole number from 1 to 20"),
        ({"limits": 2.5}, r"limits=2.5: Limits\(...\), or the requests that may be under way at once"),
        ({"limits": False}, "limits=False: Limits"),
        ({"limits": 10**5000}, "Limits.maximum=<an int of 16,610 bits>.: a whole number from 1 to 10,000"),
        ({"timeouts": "5"}, "timeouts='5': Timeouts"),
        ({"ssl": "x"}, "ssl='x': an ssl.SSLContext"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_policy_that_is_none(arguments, message):
    """`retry=`, `limits=` and `timeouts=` take their class or a number, and say so of anything else."""
    with pytest.raises(ConfigurationError, match=message):
        GalileoSessions("k", **arguments)


async def test_numbers_for_policies_are_what_they_say():
    """`retry=2` is two attempts, `limits=1` one request at once."""
    async with raw_server(http(500, "")) as server:
        async with GalileoSessions("k", base_url=server.url, retry=2, limits=1) as galileo:
            report = await galileo.count_all(ids(3))
            assert report.progress.width == 1
    assert [len(error.attempts) for error in report.errors] == [2, 2, 2]
