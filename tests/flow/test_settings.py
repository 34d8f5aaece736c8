"""What a user can set, and what is refused."""

import math
from datetime import timedelta

import pytest
from attrs import fields

from galileo_sessions import ConfigurationError, Limits, Retry, Timeouts
from galileo_sessions.arguments import as_concurrency, as_seconds
from galileo_sessions.counting.limits import Limit


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


@pytest.mark.parametrize(
    ("kind", "name", "values", "words"),
    [
        (Limits, "initial", (0, True), "a whole number from 1 to 10,000"),
        (Limits, "maximum", (0, 10_001, 2.5, True), "a whole number from 1 to 10,000"),
        (Limits, "rate", (0, -1, math.nan, 10_001, True, "50"), "requests a second from 0.001 to 10,000"),
        (Retry, "attempts", (0, 21, 3.0, None), "a whole number from 1 to 20"),
        (Retry, "backoff", (-0.1, math.nan, "1", False), "seconds from 0 to 86,400"),
        (Retry, "max_backoff", (math.inf,), "seconds from 0 to 86,400"),
        (Retry, "max_retry_after", (86_401, None), "seconds from 0 to 86,400"),
        (Retry, "patience", (-1, math.nan), "seconds from 0 to 86,400"),
        (Timeouts, "connect", (0, 86_401), "seconds from 0.001 to 86,400"),
        (Timeouts, "attempt", (math.nan, "5"), "seconds from 0.001 to 86,400"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(kind, name, values, words):
    for value in values:
        with pytest.raises(ConfigurationError) as caught:
            kind(**{name: value})
        assert str(caught.value) == f"{kind.__name__}({name}={value!r}): expected {words}"


class Whole:
    """A whole number that isn't an `int`, such as numpy's int64."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


class Array(Whole):
    """It has the method, but isn't one number; numpy's `bool` has it, too."""

    def __index__(self) -> int:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")


@pytest.mark.parametrize("kind", [Limits, Retry, Timeouts])
def test_a_whole_number_of_another_class_is_kept_as_an_int(kind):
    """Where a number is expected, and within its bounds."""
    for name in [each.name for each in fields(kind)]:
        value = getattr(kind(**{name: Whole(5)}), name)
        assert (type(value), value) == (int, 5)
        for wrong in (Whole(-1), Array(5)):
            with pytest.raises(ConfigurationError, match=f"{name}="):
                kind(**{name: wrong})


def test_a_whole_number_of_another_class_is_a_concurrency_a_timeout_and_a_limit():
    for value in (as_concurrency(Whole(5), 256), Limits(Whole(5)).initial):
        assert (type(value), value) == (int, 5)
    assert (type(as_seconds(Whole(5))), as_seconds(Whole(5))) == (float, 5.0)
    assert Limit.of(Whole(5), is_upper=True) == Limit.of(5, is_upper=True)
    for wrong in (Whole(0), Array(5)):
        with pytest.raises(ConfigurationError, match="must be a whole number"):
            as_concurrency(wrong, 256)
        with pytest.raises(ConfigurationError, match="must be seconds"):
            as_seconds(wrong)


@pytest.mark.parametrize(("arguments", "maximum"), [({}, 256), ({"maximum": 9}, 9)])
def test_no_more_can_be_sent_at_the_beginning_than_ever(arguments, maximum):
    with pytest.raises(ConfigurationError, match=rf"^Limits\(initial={maximum + 1}\) is more than maximum={maximum}$"):
        Limits(**arguments, initial=maximum + 1)


def test_the_concurrency_of_a_call_is_a_whole_number():
    """None is the client's. With NaN, a fan-out would never start."""
    assert (as_concurrency(None, 256), as_concurrency(1, 256), as_concurrency(10**9, 256)) == (256, 1, 10**9)
    for given in (0, -1, math.nan, math.inf, 2.5, 2.0, True, "5"):
        with pytest.raises(ConfigurationError, match=f"^concurrency must be a whole number, 1 or more, got {given!r}$"):
            as_concurrency(given, 256)
