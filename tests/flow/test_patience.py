"""No wait is longer than its caller's patience, and each error says what was waited for, and what to do."""

import asyncio
import re

import pytest
from support.clients import ids
from support.models import Away, Bucket, Service
from support.network import Scripted, Sky, ask, cost_of, cost_of_new, during, outcome_of, refusal, under
from support.sockets import PROJECT

from galileo_sessions import DeadlineExceededError, GalileoError

PATIENCE = 10.0  # seconds, of a single count without timeout=
SLACK = 0.3  # seconds: of an attempt, and between counts with the same Retry-After

REFUSALS = [(503, None), (429, None), (429, 1), (503, 9), (503, 30), (429, 60), (503, 3600)]

# ---- a single count --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 1, 30])
@pytest.mark.parametrize(("status", "retry_after"), REFUSALS)
@pytest.mark.parametrize("first", [True, False], ids=["first request", "after successes"])
def test_a_single_count_waits_no_longer_than_its_patience(first, retry_after, status, timeout):
    """Whatever a service refuses it with, a count ends within 10 s, or within its timeout."""
    sky = Scripted(lambda _, number: refusal(status, retry_after) if first or number > 3 else None)

    async def main() -> None:
        async with sky.client() as galileo:
            if not first:
                assert await ask(galileo, 0.1, 3) == [7] * 3
            for gap in (0, 0.1, 5, 61):  # the later ones meet an open circuit breaker
                await asyncio.sleep(gap)
                outcomes = await asyncio.gather(*(outcome_of(galileo, timeout=timeout) for _ in range(3)))
                assert max(seconds for _, seconds in outcomes) <= (timeout or PATIENCE) + SLACK
                assert {isinstance(error, GalileoError) for error, _ in outcomes} == {True}

    under(sky, main)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("retry_after", "timeout"), [(1, None), (9, None), (30, 40), (60, 90)])
def test_a_shorter_retry_after_is_waited_for(retry_after, timeout, status):
    """A Retry-After within the patience is kept: with `timeout=`, within that."""
    sky = Scripted(during([(0, retry_after)], refusal(status, retry_after)))

    async def main() -> None:
        async with sky.client() as galileo:
            total, seconds = await outcome_of(galileo, timeout=timeout)
        assert total == 7
        assert retry_after <= seconds < retry_after + SLACK
        assert sky.requests == 2

    under(sky, main)


@pytest.mark.parametrize(
    ("away", "timeout", "succeeds", "least"),
    [(3, None, True, 3), (7.5, None, True, 7.5), (60, None, False, 8), (60, 20, False, 17.5), (60, 80, True, 60)],
    ids=["3 s", "7.5 s", "a minute", "a minute, timeout=20", "a minute, timeout=80"],
)
def test_the_patience_of_a_single_count(away, timeout, succeeds, least):
    """A single count waits 10 s, or its `timeout=`, for a service that answered before, if a probe is due by then."""
    sky = Sky(Away(Service(0.05), 1.0, away))

    async def main() -> tuple[bool, float]:
        clock = asyncio.get_running_loop().time
        async with sky.client() as galileo:
            assert await galileo.count(PROJECT) == 7
            await asyncio.sleep(1.01 - clock() + sky.began)
            began = clock()
            outcome = (await asyncio.gather(galileo.count(PROJECT, timeout=timeout), return_exceptions=True))[0]
            assert outcome == 7 or "503" in str(getattr(outcome, "last", outcome))
            assert outcome == 7 or outcome.hint in ("Try again later, or raise timeout=", "Raise timeout=")
            return outcome == 7, clock() - began

    succeeded, took = under(sky, main)
    assert succeeded is succeeds
    assert least - 0.15 <= took < least + 3.1  # the shortest wait of a retry
    assert sky.requests <= 30 + took


# ---- a fan-out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "retry_after"), [(429, 5), (503, 30), (429, 60)])
def test_a_fan_out_waits_as_long_as_the_service_asks(retry_after, status):
    """Up to `max_retry_after`, nothing is lost, and nothing is sent before."""
    sky = Scripted(during([(0, retry_after - 0.5)], refusal(status, retry_after)))

    async def main() -> None:
        cost = await cost_of_new(sky, 100)
        assert cost.lost == 0
        assert sky.longest_silence(0, cost.seconds) >= retry_after - 0.1
        assert cost.seconds < retry_after + 3

    under(sky, main)


# ---- the circuit breaker's pause -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "retry_after"), [*REFUSALS, (429, 61), (429, 86_400)])
@pytest.mark.parametrize("how", ["fan-out", "counts", "counts in a hurry", "first requests"])
def test_a_minute_after_an_outage_all_is_well(how, retry_after, status):
    """After ten seconds of refusals, whatever time they asked for, a count takes seconds, and a fan-out loses none."""
    sky = Scripted(during([(0 if how == "first requests" else 5, 15)], refusal(status, retry_after)))

    async def main() -> None:
        async with sky.client() as galileo:
            if how != "first requests":
                assert (await cost_of(sky, galileo, 20)).lost == 0
            await sky.until(5)
            if how == "fan-out":
                await galileo.count_all(ids(200), timeout=10)
            else:
                await ask(galileo, 0.5, 20, timeout=1 if how == "counts in a hurry" else None)
            await sky.until(15 + 61)
            total, seconds = await outcome_of(galileo)
            assert (total, seconds < 3.5) == (7, True)
            cost = await cost_of(sky, galileo, 100)
        assert (cost.lost, cost.seconds < 3.5) == (0, True)

    under(sky, main)


@pytest.mark.parametrize("retry_after", [None, 3600])
@pytest.mark.parametrize("seconds", [20, 600])
def test_a_probe_goes_out_every_few_seconds(seconds, retry_after):
    """While a service refuses everything and callers wait, probes are at most 3 s apart, or a minute if it asks."""
    sky = Scripted(during([(1, 1 + seconds)], refusal(503, retry_after)))

    async def main() -> None:
        async with sky.client() as galileo:
            outcomes = await ask(galileo, 0.2, 5 * (seconds + 75), timeout=3.5)
        assert sky.longest_silence(0, seconds) < (3.6 if retry_after is None else 61)
        assert set(outcomes[-40:]) == {7}

    under(sky, main)


# ---- what was waited for ---------------------------------------------------------------------------------------------


def test_a_timeout_that_the_rate_limit_uses_up_names_the_rate():
    """A count that wasn't sent in time names the rate limit, its requests a second, and what to do."""
    sky = Sky(Bucket(20, 1, latency=0.005), 429)

    async def main() -> None:
        async with sky.client(seed=1) as galileo:
            assert (await galileo.count_all(ids(200))).errors == ()
            outcomes = await asyncio.gather(*(outcome_of(galileo, timeout=0.5) for _ in range(60)))
        unsent = [error for error, _ in outcomes if isinstance(error, GalileoError) and not error.attempts]
        assert len(unsent) >= 30
        for error in unsent:
            assert type(error) is DeadlineExceededError
            (rate,) = re.findall(r"rate limit.* ([\d.]+) requests a second", str(error))
            assert 5 < float(rate) < 40
            assert "timeout" in str(error)

    under(sky, main)
