"""What a user can set, and what is refused."""

import math
from datetime import timedelta

import pytest

from galileo_sessions import ConfigurationError, Limits, Retry, Timeouts
from galileo_sessions.flow.settings import as_concurrency


@pytest.mark.parametrize(
    ("made", "equal"),
    [
        (Limits(), Limits(maximum=256, initial=10, rate=None)),
        (Limits(5), Limits(maximum=5, initial=5)),
        (Limits(10_000, initial=1), Limits(maximum=10_000, initial=1)),
        (Retry(), Retry(attempts=4, backoff=0.25, max_backoff=8.0, max_retry_after=60.0, patience=90.0)),
        (Retry(1, 0, 0, 0, 0), Retry(1, timedelta(), timedelta(), timedelta(), timedelta())),
        (Retry(20, *[86_400] * 4), Retry(20, *[timedelta(days=1)] * 4)),
        (Timeouts(), Timeouts(connect=10.0, attempt=30.0)),
        (Timeouts(86_400, 0.001), Timeouts(timedelta(days=1), timedelta(milliseconds=1))),
    ],
    ids=repr,
)
def test_settings_have_defaults_and_bounds(made, equal):
    """The bounds themselves are allowed, seconds can be a timedelta, and one number is the most at once."""
    assert made == equal


REFUSED = {
    Limits: {
        "a whole number from 1 to 10,000": {"initial": (0, True), "maximum": (0, 10_001, 2.5, True)},
        "requests a second from 0.001 to 10,000": {"rate": (0, -1, math.nan, 10_001, True, "50")},
    },
    Retry: {
        "a whole number from 1 to 20": {"attempts": (0, 21, 3.0, None)},
        "seconds from 0 to 86,400": {
            "backoff": (-0.1, math.nan, "1", False),
            "max_backoff": (math.inf,),
            "max_retry_after": (86_401, None),
            "patience": (-1, math.nan),
        },
    },
    Timeouts: {"seconds from 0.001 to 86,400": {"connect": (0, 86_401), "attempt": (math.nan, "5")}},
}


@pytest.mark.parametrize(
    ("kind", "words", "name", "value"),
    [
        pytest.param(kind, words, name, value, id=f"{name}={value!r}")
        for kind, rules in REFUSED.items()
        for words, names in rules.items()
        for name, values in names.items()
        for value in values
    ],
)
def test_a_setting_out_of_its_range_is_refused(kind, words, name, value):
    """The error quotes the setting, and names its range."""
    with pytest.raises(ConfigurationError) as caught:
        kind(**{name: value})
    assert str(caught.value) == f"{kind.__name__}({name}={value!r}): expected {words}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"initial": 257}, "Limits(initial=257) is more than maximum=256"),
        ({"maximum": 9, "initial": 10}, "Limits(initial=10) is more than maximum=9"),
    ],
    ids=["default", "both"],
)
def test_limits_that_cannot_be_are_refused(arguments, words):
    """No more can be sent at the beginning than ever."""
    with pytest.raises(ConfigurationError) as caught:
        Limits(**arguments)
    assert str(caught.value) == words


def test_the_concurrency_of_a_call_is_a_whole_number():
    """None is the client's. With NaN, a fan-out would never start."""
    assert (as_concurrency(None, 256), as_concurrency(1, 256), as_concurrency(10**9, 256)) == (256, 1, 10**9)
    for given in (0, -1, math.nan, math.inf, 2.5, 2.0, True, "5"):
        with pytest.raises(ConfigurationError, match=f"^concurrency must be a whole number, 1 or more, got {given!r}$"):
            as_concurrency(given, 256)
