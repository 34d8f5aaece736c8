"""Weathers that nobody has thought of: nothing is lost in any."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.models import Away, Bucket, Capacity, Melt, Mixed, Queue, Service, Window
from support.network import Weather, outcome

latencies = st.floats(0.002, 0.3)
retry_after = st.sampled_from([None, 1.0, 2.0, "exact"])
steady = st.one_of(
    st.builds(Service, latencies, st.floats(0.0, 1.0)),
    st.builds(Queue, st.integers(1, 64), latencies, st.floats(0.0, 1.0)),
    st.builds(Capacity, st.integers(1, 200), latencies, st.floats(0.0, 1.0)),
    st.builds(Bucket, st.floats(5.0, 1_000.0), st.integers(1, 100), retry_after, latencies),
    st.builds(
        Window, st.integers(20, 500), st.sampled_from([1, 5]), st.sampled_from([None, "exact", "whole"]), latencies
    ),
    st.builds(Melt, st.integers(8, 64), st.floats(0.002, 0.1)),
    st.builds(Mixed, st.floats(0.0, 0.03), st.sampled_from(["refused", "ok"]), st.floats(1.0, 20.0), latencies),
)
outages = st.builds(Away, steady, st.floats(0.5, 5.0), st.floats(0.1, 30.0), st.sampled_from(["refused", "reset"]))
# Alone with an outage: a client that has never had an answer may give up after seconds.
skies = st.one_of(st.tuples(steady, st.integers(1, 3)), st.tuples(outages, st.just(1)))


@pytest.mark.thorough
@settings(max_examples=60)
@given(skies, st.integers(1, 1_000))
def test_nothing_is_lost_while_the_service_makes_progress(sky: tuple[Service, int], seed: int) -> None:
    """Up to three clients, each with its part of 600 counts."""
    service, clients = sky
    found = outcome(Weather(lambda: service, 600, 0.0, 1.0, 1.0, clients=clients, stagger=0.5), seed)
    assert 0 == found.lost
