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


def test_limits_that_can_be():
    """At most 256 requests at once, 10 of them in the beginning; `Limits(5)` is at most 5, always."""
    assert Limits() == Limits(maximum=256, initial=10, rate=None)
    assert Limits(5) == Limits(maximum=5) == Limits(maximum=5, initial=5)
    assert Limits(1).maximum == Limits(10_000, initial=1).initial == 1
