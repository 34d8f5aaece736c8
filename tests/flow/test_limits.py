"""The limits that a user may set."""

import pytest

from galileo_sessions import ConfigurationError, Limits


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"initial": 0}, "initial=0"),
        ({"initial": 257}, "initial=257) is more than maximum=256"),
        ({"maximum": 0}, "maximum=0"),
        ({"maximum": 9, "initial": 10}, "initial=10) is more than maximum=9"),
        ({"maximum": 10_001}, "maximum=10001"),
        ({"maximum": True}, "maximum=True"),
        ({"maximum": "64"}, "maximum='64'"),
        ({"rate": 200}, "rate=...) takes an async context manager, got int"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_limits_that_cannot_be_are_refused(arguments, words):
    """Limits are integers with 1 <= initial <= maximum <= 10,000; the rate is a context manager."""
    with pytest.raises(ConfigurationError) as caught:
        Limits(**arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize("arguments", [{}, {"initial": 1, "maximum": 1}, {"initial": 64}, {"maximum": 10_000}], ids=str)
def test_limits_that_can_be(arguments):
    """The bounds themselves are allowed, and equal limits compare equal."""
    assert Limits(**arguments) == Limits(**arguments)


def test_the_defaults():
    """At most 256 requests at once, 10 of them at once at the beginning."""
    assert Limits() == Limits(maximum=256, initial=10, rate=None)


def test_one_number_is_the_most_at_once():
    """`Limits(5)` means at most 5, also at the beginning."""
    assert Limits(5) == Limits(maximum=5) == Limits(maximum=5, initial=5)
