"""An error names what its call met last, and the limit that it waited for."""

import asyncio
import re
from collections.abc import Callable

import pytest
from support.clients import failure, ids
from support.network import Answer, Late, Scripted, ask, outcome_of, refusal, under, unreachable
from support.sockets import PROJECT

from galileo_sessions import AttemptTimeoutError, Timeouts

LIMIT = re.compile(r"circuit breaker|rate limit|free slot|an answer")


@pytest.mark.parametrize("how", ["count", "count_all", "count_all, timeout=30"])
def test_a_refusal_of_hours_ago_is_in_no_error(how):
    """When connections are refused now, no error names the 503 that other counts met five hours before."""
    sky = Scripted(lambda now, _: refusal() if 1 <= now < 60 else unreachable() if now > 17_000 else None)

    async def main() -> list[str]:
        async with sky.client(1) as galileo:
            await ask(galileo, 2, 30, timeout=5)
            await sky.until(100)
            assert 7 == await galileo.count(PROJECT)
            await sky.until(18_000)
            if how == "count":
                return [str((await outcome_of(galileo))[0]) for _ in range(3)]
            report = await galileo.count_all(ids(20), timeout=30 if "timeout" in how else None)
            return [str(error) for error in report.errors]

    texts = under(sky, main)
    assert [] == [text for text in texts if "503" in text or "Connection refused" not in text]


@pytest.mark.parametrize("counts", [1, 3, 24])
@pytest.mark.parametrize("begin", [0, 2], ids=["new", "has counted"])
@pytest.mark.parametrize("latency", [0.02, 0.3, 0.5, 0.9, 1.2])
def test_each_error_names_the_refusal_and_the_limit(latency, begin, counts):
    """While everything is refused, each of some counts with `timeout=2` says so, whether or not it was ever sent."""
    sky = Scripted(lambda now, _: refusal() if now >= begin else None, latency)

    async def main() -> list[object]:
        async with sky.client(1) as galileo:
            if begin:
                assert 7 == await galileo.count(PROJECT)
            await sky.until(begin)
            return await asyncio.gather(*(failure(galileo, timeout=2) for _ in range(counts)))

    errors = under(sky, main)
    assert [] == [str(error) for error in errors if "503" not in str(error)]
    assert [] == [str(error) for error in errors if not error.attempts and not LIMIT.search(str(error))]


TROUBLES: dict[str, Callable[[], Answer]] = {
    "503": refusal,
    "429": lambda: refusal(429),
    "500": lambda: refusal(500),
    "connection refused": unreachable,
    "hangs": Late,
}


def texts(sky: Scripted, counts: int = 24, timeout: float = 2) -> list[str]:
    """The texts of so many counts that begin together after a second."""

    async def main() -> list[object]:
        async with sky.client(1) as galileo:
            await ask(galileo, 0.1, 3)
            await sky.until(1)
            return await asyncio.gather(*(outcome_of(galileo, timeout=timeout) for _ in range(counts)))

    return [str(outcome) for outcome, _ in under(sky, main)]


def test_a_hang_is_not_called_a_refusal():
    """While nothing is answered, the counts that are never sent say that they waited for those that were."""
    hung = texts(Scripted(lambda now, _: Late() if now >= 1 else None), timeout=0.9)
    waited = [text for text in hung if "waiting for" in text]
    assert [13, 0] == [sum(word in text for text in waited) for word in ("free slot", "refuses")]


def test_counts_of_one_query_that_hangs_end_with_the_same_error():
    """Those that met the last timeout of another one name that timeout, and no limit: they waited for none."""
    sky = Scripted(lambda *_: Late())

    async def main() -> list[Exception]:
        async with sky.client(1, timeouts=Timeouts(attempt=1)) as galileo:
            first = asyncio.create_task(failure(galileo))
            await sky.until(1.1)
            return await asyncio.gather(first, *(failure(galileo) for _ in range(5)))

    assert [(AttemptTimeoutError, "no answer in time")] == [*{(type(each), each.message) for each in under(sky, main)}]


@pytest.mark.parametrize("then", TROUBLES)
@pytest.mark.parametrize("first", TROUBLES)
def test_nobody_waits_for_requests_that_are_not_there(first, then):
    """Whatever a service does, no error speaks of 0 requests under way."""

    def wrong(seconds: float, latency: float) -> list[str]:
        sky = Scripted(lambda now, _: None if now < 1 else TROUBLES[first if now < 1 + seconds else then](), latency)
        return [text for text in texts(sky) if re.search(r"\b0 requests|limit 0", text)]

    assert [] == [text for seconds in (0.05, 0.2, 1) for latency in (0.02, 0.7, 3) for text in wrong(seconds, latency)]
