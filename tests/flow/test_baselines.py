"""What the benchmarks compare this client with."""

from bench.baselines import aimd

from galileo_sessions import Limits, Retry
from galileo_sessions.flow.control import FlowControl


def test_aimd_begins_with_as_many_requests_as_this_client() -> None:
    """Also after the first wait, at which a client forgets what it has learned before."""
    for made in (FlowControl, aimd):
        flow = made(Limits(), Retry())
        assert (flow.wait(0.0), flow.width) == (0.0, 10)
