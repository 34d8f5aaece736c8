"""What a client learns from each answer: the width, the rate, the door, and what it says of them."""

import math
from collections.abc import Iterator

import pytest

from galileo_sessions.client.flow.control import FlowControl, Permit


def steps(start: float = 0.0, seconds: float = 0.1) -> Iterator[float]:
    """A clock that goes on by as much at each look."""
    while True:
        yield start
        start += seconds


def send(flow: FlowControl, now: float, count: int) -> list[Permit]:
    """Sends as many, whatever the rate."""
    return [flow.sent(now) for _ in range(count)]


def succeed(flow: FlowControl, clock: Iterator[float], count: int) -> None:
    """Sends as many, one after another, each of which succeeds."""
    for _ in range(count):
        permit = flow.sent(next(clock))
        flow.succeeded(next(clock), permit)


def close(flow: FlowControl, now: float) -> None:
    """Has the first burst refused, so that the door closes."""
    for permit in send(flow, now, 8):
        flow.refused(now, permit)


def test_the_first_burst_is_sent_at_once_and_the_next_waits_for_what_comes_back() -> None:
    flow = FlowControl(256, initial=3)
    send(flow, 0.0, 3)
    assert math.inf == flow.wait(0.0)
    assert (3, 3) == (flow.in_flight, flow.width)


def test_after_the_first_burst_requests_are_spaced_by_the_rate() -> None:
    flow = FlowControl(256, initial=1, rate=10.0)
    flow.succeeded(0.0, flow.sent(0.0))
    assert pytest.approx(0.098) == flow.wait(0.0)
    assert 0.0 == flow.wait(0.098)


def test_no_more_than_the_maximum_are_sent_though_the_first_burst_is_larger() -> None:
    assert 5 == FlowControl(5, initial=10).width


def test_slow_start_widens_by_one_per_success_and_doubles_the_rate_per_round() -> None:
    flow = FlowControl(256, initial=4, rate=100.0)
    permits = send(flow, 0.0, 4)
    flow.succeeded(0.1, permits[3])
    assert (5, 100.0) == (flow.width, flow.rate)
    permit = flow.sent(0.1)
    assert 0.0 < flow.wait(0.1) < 0.01
    flow.succeeded(0.2, permit)
    assert 200.0 == pytest.approx(flow.rate)


def test_a_refusal_after_slow_start_cuts_the_rate_once_for_all_that_were_sent_before() -> None:
    said: list[str] = []
    flow = FlowControl(256, initial=1, rate=100.0, on_change=said.append)
    flow.refused(0.0, flow.sent(0.0))  # in the first burst: spared, it says nothing of a rate
    permits = send(flow, 1.0, 3)
    for permit in permits:
        flow.refused(1.0, permit)
    assert 70.0 == pytest.approx(flow.rate)
    assert ["rate 70.0 a second: refused with 2 at once"] == said


def test_one_refusal_among_many_successes_is_spared() -> None:
    flow = FlowControl(256, initial=1, rate=100.0)
    succeed(flow, steps(), 100)
    before = flow.rate
    flow.refused(30.0, flow.sent(30.0))
    assert before == flow.rate


def test_five_refusals_are_spared_after_many_successes_and_no_more() -> None:
    flow = FlowControl(256, initial=1, rate=100.0)
    succeed(flow, steps(), 400)
    before = (flow.width, flow.rate)
    for _ in range(5):
        flow.refused(90.0, flow.sent(90.0))
    assert before == (flow.width, flow.rate)
    flow.refused(90.0, flow.sent(90.0))
    assert before > (flow.width, flow.rate)


@pytest.mark.parametrize(
    ("at_once", "blamed"), [(12, "rate"), (13, "width")], ids=["within the spread", "above the spread"]
)
def test_a_refusal_is_high_from_the_mean_of_those_accepted_and_their_spread_on(at_once: int, blamed: str) -> None:
    """1 to 15 at once were accepted, again and again: 8 in the mean, and 4 more or less."""
    said: list[str] = []
    flow = FlowControl(256, initial=30, rate=1e6, on_change=said.append)
    burst = send(flow, 0.0, 32)
    for permit in burst[30:]:
        flow.refused(0.0, permit)  # one is spared, one ends slow start
    for permit in burst[:30]:
        flow.released(0.0, permit)
    for number in range(40):
        for permit in sorted(send(flow, 1.0 + number, 15), key=lambda permit: permit.number * 7 % 15):
            flow.succeeded(1.0 + number, permit)
    for _ in range(5):
        flow.refused(50.0, flow.sent(50.0))  # spared
    flow.refused(50.0, send(flow, 50.0, at_once)[-1])
    assert said[-1].startswith(blamed)
    assert said[-1].endswith(f"refused with {at_once} at once")


def test_what_was_accepted_of_the_first_burst_counts_though_the_rate_was_cut_since() -> None:
    said: list[str] = []
    flow = FlowControl(256, initial=10, on_change=said.append)
    burst = send(flow, 0.0, 12)
    for permit in burst[10:]:
        flow.refused(0.0, permit)  # one is spared, one ends slow start
    for permit in reversed(burst[:10]):
        flow.succeeded(0.0, permit)
    flow.refused(5.0, send(flow, 5.0, 5)[-1])
    assert said[-1].endswith("refused with 5 at once")
    assert said[-1].startswith("rate")


def test_a_refusal_high_among_those_accepted_narrows_the_width() -> None:
    said: list[str] = []
    flow = FlowControl(256, initial=10, on_change=said.append)
    for permit in send(flow, 0.0, 12)[10:]:
        flow.refused(0.0, permit)  # one is spared, one ends slow start
    flow.refused(5.0, flow.sent(5.0))
    assert ["rate 70.0 a second: refused with 12 at once", "width 9: refused with 11 at once"] == said


@pytest.mark.parametrize(
    ("latency", "said"),
    [
        pytest.param(0.28, [], id="less than the root of 8.5 times as long, it paid"),
        pytest.param(0.39, ["width 2: more at once only took longer"], id="back to what kept up the throughput"),
        pytest.param(0.50, ["width 4: more at once only took longer"], id="more than four times as long: half"),
    ],
)
def test_growth_must_pay_in_latency(latency: float, said: list[str]) -> None:
    """16 requests one by one, in 0.1 s each, and then 1 to 16 at once."""
    heard: list[str] = []
    flow = FlowControl(256, initial=64, rate=1e6, on_change=heard.append)
    succeed(flow, steps(0.0, 0.1), 16)
    for permit in send(flow, 10.0, 16):
        flow.succeeded(10.0 + latency, permit)
    assert said == heard


def test_a_busy_caller_blames_nobody_for_what_takes_longer() -> None:
    flow = FlowControl(256, initial=64, rate=1e6, is_busy=lambda: True)
    clock = steps(0.0, 0.02)
    succeed(flow, clock, 20)
    now = next(clock)
    for round_ in range(3):
        for permit in send(flow, now + round_, 32):
            flow.succeeded(now + round_ + 0.5, permit)
    assert 64 <= flow.width


def test_a_time_out_halves_the_width() -> None:
    flow = FlowControl(256, initial=10)
    permits = send(flow, 0.0, 20)
    flow.refused(0.0, permits[0])
    for permit in permits[18:]:
        flow.refused(30.0, permit)  # one is spared
    assert 5 == flow.width


def test_eight_refusals_in_a_row_close_the_door_for_one_probe_at_a_time_with_growing_pauses() -> None:
    said: list[str] = []
    flow = FlowControl(256, on_change=said.append)
    close(flow, 0.0)
    pauses, now = [], 0.0
    for _ in range(12):
        pauses.append(round(flow.wait(now), 6))
        now += pauses[-1] + 0.001
        probe = flow.sent(now)
        assert math.inf == flow.wait(now)
        flow.refused(now, probe)
    assert pauses == sorted(pauses)
    assert (0.1, True) == (pauses[0], pauses[-1] > 0.15)
    assert flow.is_closed
    assert now == pytest.approx(flow.seconds_closed(now))
    assert "the door is closed for 0.1 s: 8 refused in a row" == said[0]


def test_the_probe_that_passes_opens_the_door() -> None:
    said: list[str] = []
    flow = FlowControl(256, on_change=said.append)
    close(flow, 0.0)
    flow.succeeded(0.3, flow.sent(0.2))
    assert (False, 0.0, 0.3) == (flow.is_closed, flow.seconds_closed(0.3), flow.last_success)
    assert "the door opens: a probe has passed" == said[-1]


def test_a_success_sent_before_the_refusals_opens_no_door() -> None:
    flow = FlowControl(256)
    early = flow.sent(0.0)
    close(flow, 0.0)
    flow.succeeded(0.1, early)
    assert flow.is_closed


@pytest.mark.parametrize(("retry_after", "pause"), [(30.0, 30.0), (0.4, 0.4), (1.0, 0.1), (0.0, 0.1), (None, 0.1)])
def test_a_refused_probes_retry_after_holds_for_all_but_a_second_that_may_mean_milliseconds(
    retry_after: float | None, pause: float
) -> None:
    flow = FlowControl(256)
    close(flow, 0.0)
    flow.refused(0.1, flow.sent(0.1), retry_after, told=True)
    assert pause == pytest.approx(flow.wait(0.1))


def test_a_late_retry_after_at_a_closed_door_prolongs_the_pause_and_frees_no_second_probe() -> None:
    flow = FlowControl(256)
    early = flow.sent(0.0)
    close(flow, 0.0)
    flow.sent(0.1)
    flow.refused(0.1, early, 5.0, told=True)
    assert pytest.approx(5.0) == flow.wait(0.1)
    assert math.inf == flow.wait(5.2)


def test_a_cancelled_probe_frees_the_next() -> None:
    flow = FlowControl(256)
    early = flow.sent(0.0)
    close(flow, 0.0)
    probe = flow.sent(0.2)
    flow.released(0.2, early)
    assert math.inf == flow.wait(0.3)
    flow.released(0.3, probe)
    assert flow.wait(0.3) < 0.1


@pytest.mark.parametrize(("answered", "patience"), [(True, 20.0), (False, 6.0)])
def test_a_closed_door_is_hopeless_after_patience_or_after_seconds_if_there_never_was_an_answer(
    answered: bool, patience: float
) -> None:
    flow = FlowControl(256, patience=20.0)
    if answered:
        flow.refused(0.0, flow.sent(0.0), told=True)
    close(flow, 0.0)
    now = 0.0
    while not flow.is_hopeless(now):
        now += flow.wait(now)
        flow.refused(now, flow.sent(now))
    assert patience <= now <= patience + 2.0


def test_who_comes_after_hope_was_given_up_begins_anew_with_a_probe() -> None:
    flow = FlowControl(256)
    close(flow, 0.0)
    flow.shut(0.0, 100.0)
    assert flow.is_hopeless(50.0)
    assert (0.0, False) == (flow.wait(1000.0), flow.is_hopeless(1000.0))
    flow.refused(1000.0, flow.sent(1000.0))
    assert not flow.is_hopeless(1000.0)


def test_a_shut_door_sends_nothing_and_then_one_probe() -> None:
    said: list[str] = []
    flow = FlowControl(256, on_change=said.append)
    flow.shut(0.0, 60.0)
    assert (60.0, 0.0) == (flow.wait(0.0), flow.wait(60.0))
    flow.refused(60.0, flow.sent(60.0))
    assert "the door is closed for 60.0 s: the service asked for it" == said[0]
    assert 0.0 < flow.wait(60.0) < math.inf


def test_an_allowance_holds_until_the_reset_for_all_but_those_under_way() -> None:
    flow = FlowControl(256)
    permits = send(flow, 0.0, 3)
    flow.succeeded(0.0, permits[0])
    flow.allowance(0.0, 3, 10.0)
    assert 0.0 == flow.wait(0.0)
    last = flow.sent(0.0)
    assert 10.0 == flow.wait(0.0)
    flow.released(0.1, last)
    assert pytest.approx(9.9) == flow.wait(0.1)
    assert 0.0 == flow.wait(10.0)


def test_an_allowance_that_was_overtaken_raises_nothing_and_a_later_one_does() -> None:
    flow = FlowControl(256)
    first, second = send(flow, 0.0, 2)
    flow.succeeded(0.1, second)
    flow.allowance(0.1, 1, 10.0)
    flow.succeeded(0.2, first)
    flow.allowance(0.2, 2, 9.9)
    third = flow.sent(0.2)
    assert pytest.approx(9.9) == flow.wait(0.2)
    flow.succeeded(0.3, third)
    flow.allowance(0.3, 5, 9.8)
    assert 0.0 == flow.wait(0.3)


def test_after_slow_start_the_width_grows_while_all_its_places_are_taken() -> None:
    flow = after_slow_start()
    before, out = flow.rate, list[Permit]()
    for now in (10.0 + 0.1 * look for look in range(30)):
        while flow.wait(now) < math.inf:
            out.append(flow.sent(now))
        flow.succeeded(now, out.pop(0))
    assert (before, True) == (flow.rate, flow.width > 2)


def test_after_slow_start_the_rate_grows_while_it_is_what_is_waited_for() -> None:
    """A quiet second, or twenty successes, and it passes what was refused: 0.95 of 100."""
    flow = after_slow_start()
    width = flow.width
    for now in (10.0 + 0.1 * look for look in range(8)):
        permit = flow.sent(now)
        assert 0.0 < flow.wait(now) < 1.0
        flow.succeeded(now + 0.05, permit)
    assert (width, True) == (flow.width, flow.rate > 100.0)


def after_slow_start() -> FlowControl:
    """A client two of whose first requests were refused: one is spared, one cuts the rate."""
    flow = FlowControl(256, initial=2, rate=100.0)
    first = send(flow, 0.0, 2)
    for permit in send(flow, 0.0, 2):
        flow.refused(0.0, permit)
    for permit in first:
        flow.released(0.0, permit)
    return flow


def test_what_was_sent_before_a_cut_raises_nothing_afterwards() -> None:
    """An answer that comes when nothing was waited for grows no limit, and one of before the cut proves nothing."""
    flow = FlowControl(256, initial=1, rate=100.0)
    flow.released(0.0, flow.sent(0.0))
    early, spared, blamed = send(flow, 0.0, 3)
    flow.refused(0.0, spared)
    flow.refused(0.0, blamed)
    before = flow.width, flow.rate
    flow.succeeded(5.0, early)
    assert before == (flow.width, flow.rate)


def test_a_success_opens_the_door_at_once_though_its_pause_is_not_over() -> None:
    flow = FlowControl(256, initial=10)
    early = send(flow, 0.0, 10)
    for permit in early[:8]:
        flow.refused(0.1, permit, 30.0, told=True)
    assert flow.is_closed
    flow.succeeded(0.2, early[9])
    assert (False, 0.0) == (flow.is_closed, flow.wait(10.0))


def test_a_late_success_does_not_shorten_the_time_for_which_the_service_asked_to_be_left_alone() -> None:
    flow = FlowControl(256, initial=10)
    first, second = send(flow, 0.0, 2)
    flow.refused(0.1, first, 3600.0, told=True)
    flow.shut(0.1, 3600.0)
    flow.succeeded(0.2, second)
    assert flow.is_closed
    assert pytest.approx(3599.0) == flow.wait(1.1)


def test_time_in_which_nobody_asks_is_not_time_in_which_nothing_passes() -> None:
    flow = FlowControl(256, initial=10, patience=90.0)
    close(flow, 0.1)
    assert flow.is_closed
    flow.sent(1_000.0)
    assert 0.0 == flow.seconds_closed(1_000.0)
    assert not flow.is_hopeless(1_000.0)


def test_where_cuts_do_not_help_more_is_tried_and_taken_back_if_that_did_not_pay() -> None:
    said: list[str] = []
    flow = FlowControl(256, initial=1, rate=100.0, on_change=said.append)
    clock = steps(seconds=0.01)
    while not any("is tried" in reason for reason in said):
        succeed(flow, clock, 9)
        flow.refused(next(clock), flow.sent(next(clock)))
    width, rate = flow.width, flow.rate
    for permit in send(flow, next(clock), 20):
        flow.succeeded(next(clock), permit)
    assert width < flow.width
    for _ in range(20):
        succeed(flow, clock, 1)
        flow.refused(next(clock), flow.sent(next(clock)))
    assert 1 == len([reason for reason in said if "more only brought more refusals" in reason])
    assert (True, True) == (flow.width <= width, flow.rate <= rate)
    assert 1 == len([reason for reason in said if "is tried" in reason])


def test_a_probe_that_passes_while_the_service_asks_for_time_is_not_waited_for_for_ever() -> None:
    flow = FlowControl(256, initial=10)
    close(flow, 0.0)
    probe = flow.sent(1.0)
    flow.shut(1.5, 61.0)
    flow.succeeded(2.0, probe)
    assert flow.is_closed
    assert 60.5 == flow.wait(2.0)
    assert 0.0 == flow.wait(62.5)


def test_a_row_of_refusals_goes_on_over_what_says_nothing() -> None:
    flow = FlowControl(256, initial=20)
    for number, permit in enumerate(send(flow, 0.0, 15)):
        if number % 2:
            flow.released(0.0, permit)
        else:
            flow.refused(0.0, permit)
    assert flow.is_closed


def test_an_answer_without_a_count_grows_the_limits_and_tells_no_latency() -> None:
    flow = FlowControl(256, initial=4)
    for permit in send(flow, 0.0, 4):
        flow.answered(5.0, permit)
    assert (7, None) == (flow.width, flow.last_success)
