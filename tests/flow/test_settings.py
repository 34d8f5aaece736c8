"""What a user can set, and what is refused; test_limits.py has the limits."""

import math

import pytest

from galileo_sessions import ConfigurationError, Retry, Timeouts


def test_the_defaults():
    """Four attempts, waits from 0.25 s to 8 s, at most 60 s of Retry-After, and 90 s of patience; 10 s and 30 s."""
    assert Retry() == Retry(attempts=4, backoff=0.25, max_backoff=8.0, max_retry_after=60.0, patience=90.0)
    assert Timeouts() == Timeouts(connect=10.0, attempt=30.0)


REFUSED = {
    Retry: {
        "a whole number from 1 to 20": {"attempts": (0, 21, 3.0, True, None)},
        "seconds from 0 to 86400": {
            "backoff": (-0.1, math.nan, "1"),
            "max_backoff": (math.inf, True),
            "max_retry_after": (86_401, None),
            "patience": (-1, math.nan),
        },
    },
    Timeouts: {"seconds, more than 0 and at most 86400": {"connect": (0, 86_401, True), "attempt": (math.nan, "5")}},
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
    assert str(caught.value) == f"{kind.__name__}({name}={value!r}): {words}"


def test_the_bounds_are_taken():
    """The bounds themselves are allowed."""
    for attempts, seconds in ((1, 0), (20, 86_400)):
        assert Retry(attempts, seconds, seconds, seconds, seconds).patience == seconds
    assert Timeouts(86_400, 0.001).attempt == 0.001
