"""The whole client under the weathers of services, in virtual time: nothing is lost, and little is wasted."""

import asyncio
import logging
import math

import pytest
from flow.table import unlimited, weathers
from support.inside import idle
from support.models import Away, Bucket, Capacity, Service, Window
from support.network import Sky, under
from support.projects import ids
from support.servers import PROJECT

from galileo_sessions import AttemptTimeoutError, CountReport, Limits, RateLimitedError, ServerError
from galileo_sessions.api.responses import Response

pytestmark = pytest.mark.thorough


def counted(sky: Sky, counts: int, **arguments: object) -> tuple[CountReport, float]:
    """The report of a fan-out with the defaults, and the seconds that it took."""

    async def main() -> tuple[CountReport, float]:
        clock = asyncio.get_running_loop().time
        began = clock()
        async with sky.client(**arguments) as galileo:
            report = await galileo.count_all(ids(counts))
            assert idle(galileo)
        return report, clock() - began

    return under(sky, main)


@pytest.mark.parametrize("name", ["200 a second, burst 20, 1000 counts", "1 % 503"])
def test_a_429_is_a_refusal_like_a_503(name):
    """It keeps the table's bounds on requests and on time, and each request is listed as an attempt."""
    weather = weathers()[name]
    sky = Sky(weather.service(), 429)
    report, seconds = counted(sky, weather.counts)
    assert report.errors == ()
    assert sky.requests <= weather.requests * weather.counts
    assert seconds <= weather.wall * weather.ideal + weather.away
    assert sum(len(result.attempts) for result in report.results) == sky.requests


def test_a_page_of_maintenance_is_an_outage():
    """While a proxy answers 200 with a page of its own, counts wait as they do at a 503."""

    class Page(Sky):
        async def post(self, path: str) -> Response:
            response = await super().post(path)
            return response if response.status == 200 else Response(200, {}, b"<html>we will be back soon</html>")

    sky = Page(Away(Service(0.05), 1.0, 5.0))
    report, took = counted(sky, 8_000)
    assert report.errors == ()
    assert took < 5 * 1.15 + 4


DEAD = {
    "429": (Sky(Capacity(0, 0.05), 429), RateLimitedError, 100),
    "503": (Sky(Capacity(0, 0.05)), ServerError, 10),
    "502": (Sky(Capacity(0, 0.05), 502), ServerError, 10),
    "Retry-After": (Sky(Bucket(1e-9, 0, 1.0)), RateLimitedError, 100),
    "no answer": (Sky(Away(Service(), how="silent")), AttemptTimeoutError, 70),
}


@pytest.mark.parametrize("how", DEAD)
def test_a_dead_service_sees_dozens_of_requests(how):
    """Of 2,000 counts at a service that is dead from the start all fail with its last answer, after few requests."""
    sky, error, seconds = DEAD[how]
    report, took = counted(sky, 2_000)
    assert {type(one) for one in report.errors} == {error}
    assert len(report.errors) == 2_000
    assert sky.requests < (100 if seconds == 100 else 50)
    assert took < seconds
    never_sent = [result for result in report.results if not result.attempts]
    assert len(never_sent) > 1_900
    assert all("the service has refused everything for" in str(result.error) for result in never_sent)


# ---- connections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latency", "connect"), [(0.002, 0.01), (0.02, 0.03), (0.02, 0.1), (0.1, 0.1)], ids=lambda seconds: f"{seconds} s"
)
def test_connecting_is_not_the_services_latency(latency, connect):
    """A new client at a healthy service widens, although the first request of each connection takes longer."""
    idle = 0

    class Connecting(Sky):
        async def post(self, path: str) -> Response:
            nonlocal idle
            if idle:
                idle -= 1
            else:
                await asyncio.sleep(connect)
            response = await super().post(path)
            idle += 1
            return response

    sky = Connecting(Service(latency))

    async def main() -> tuple[int, float]:
        async with sky.client(1) as galileo, galileo.count_many(ids(4_000)) as stream:
            widths = [stream.progress.width async for _ in stream]
            return widths[1_000], stream.progress.elapsed

    width, seconds = under(sky, main)
    assert width > 64
    assert seconds <= 2 * (unlimited(4_000, latency) + connect)


# ---- single counts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("away", "timeout", "succeeds", "least"),
    [(3, None, True, 3), (9, None, True, 9), (60, None, False, 10), (60, 20, False, 20), (60, 80, True, 60)],
    ids=["3 s", "9 s", "a minute", "a minute, timeout=20", "a minute, timeout=80"],
)
def test_the_patience_of_a_single_count(away, timeout, succeeds, least):
    """A single count waits 10 s for a service that answered before; one with `timeout=` as long as that says."""
    sky = Sky(Away(Service(0.05), 1.0, away))

    async def main() -> tuple[bool, float]:
        clock = asyncio.get_running_loop().time
        async with sky.client() as galileo:
            assert await galileo.count(PROJECT) == 7
            await asyncio.sleep(1.01 - clock() + sky.began)
            began = clock()
            outcome = (await asyncio.gather(galileo.count(PROJECT, timeout=timeout), return_exceptions=True))[0]
            assert outcome == 7 or "503" in str(getattr(outcome, "last", outcome))
            return outcome == 7, clock() - began

    succeeded, took = under(sky, main)
    assert succeeded is succeeds
    assert least <= took < least + 3.1
    assert sky.requests <= 30 + took


class Partial(Sky):
    """Answers in 100 ms, and refuses some projects always."""

    def __init__(self, projects: set[str], status: int = 503, retry_after: str | None = None) -> None:
        super().__init__(Service(0.1))
        self.projects = projects
        self.refusal = Response(status, {"Retry-After": retry_after} if retry_after else {}, b"")

    async def post(self, path: str) -> Response:
        response = await super().post(path)
        return self.refusal if path.split("/")[3] in self.projects else response


@pytest.mark.parametrize(
    ("every", "client", "arguments"),
    [
        (2_000, {}, {"ordered": True}),
        (200, {}, {"ordered": True}),
        (100, {"limits": Limits(10)}, {}),
        (100, {}, {"concurrency": 16}),
        (20, {}, {}),
    ],
    ids=["one, ordered", "ordered", "limits", "concurrency", "more than at once"],
)
def test_projects_that_are_refused_and_alone_under_way_keep_nobody_out(every, client, arguments):
    """Although only they are under way for longer than patience, the targets behind them are counted."""
    projects = ids(2_000 if every > 20 else 6_000)
    sky = Partial({str(project) for project in projects[5::every]})

    async def main() -> set[str]:
        async with sky.client(**client) as galileo, galileo.count_many(projects, **arguments) as stream:
            return {str(result.query.project_id) async for result in stream if not result.ok}

    assert under(sky, main) == sky.projects


def test_a_project_that_is_always_refused_fails_no_later_fan_out():
    """The breaker that it opened is closed by the first target of the next one."""
    sky = Partial({str(ids(1)[0])})

    async def main() -> list[int]:
        async with sky.client() as galileo:
            return [len((await galileo.count_all(ids(900)[first : first + 300])).errors) for first in (0, 300, 600)]

    assert under(sky, main) == [1, 0, 0]


def test_projects_that_are_not_there_cost_no_more_time():
    """A 404 is an answer, so the rate grows with it."""
    report, took = counted(Partial({str(project) for project in ids(5_000)}, 404), 5_000)
    assert len(report.errors) == 5_000
    assert took < 4


@pytest.mark.parametrize(
    ("every", "status", "retry_after"),
    [
        (50, 503, None),
        (20, 429, "1"),
        (20, 503, "60"),
        (5, 503, None),
    ],
)
def test_projects_that_are_always_refused_fail_alone(every, status, retry_after):
    """Where some projects get nothing but refusals, only they fail, and the others have been counted long before."""
    refused = {str(project) for project in ids(1_000)[every // 2 :: every]}
    sky = Partial(refused, status, retry_after)

    async def main() -> tuple[set[str], float]:
        clock = asyncio.get_running_loop().time
        failed: set[str] = set()
        counted_until = 0.0
        async with sky.client() as galileo, galileo.count_many(ids(1_000)) as stream:
            async for result in stream:
                if result.ok:
                    counted_until = clock() - sky.began
                else:
                    failed.add(str(result.query.project_id))
        return failed, counted_until

    failed, counted_until = under(sky, main)
    assert failed == refused
    assert counted_until < (60 if every == 5 else 4)  # where every fifth is refused, it looks like a limit


@pytest.mark.parametrize(("every", "counts"), [(1, 200), (30, 20)])
def test_a_slow_service_that_asks_for_time_loses_nothing(every, counts):
    """At one count every 1 or 30 s, while all others are to come in half a minute, they wait longer than patience."""
    report, seconds = counted(Sky(Bucket(1 / every, 1, 30.0)), counts)
    assert report.errors == ()
    assert seconds > 180


def test_a_service_that_dies_while_it_is_slow_is_given_up():
    """At the lowest rate, too, patience begins with the first refusal of a row, and no probe comes after its end."""
    sky = Sky(Away(Bucket(0.4, 1), 60.0))
    report, seconds = counted(sky, 200)
    assert 10 < len(report.results) - len(report.errors) < 25
    assert 144 < seconds < 153


# ---- seen through ----------------------------------------------------------------------------------------------------


def test_progress_attempts_and_log_show_the_limits(caplog):
    """Progress and attempts have the width, the rate and whether only probes are sent; the log has the reasons."""
    sky = Sky(Away(Window(100, 1), 1.0, 3))
    caplog.set_level(logging.DEBUG, "galileo_sessions")

    async def main() -> tuple[CountReport, object, object]:
        async with sky.client() as galileo, galileo.count_many(ids(600)) as stream:
            before = stream.progress
            results = [anext(stream) for _ in range(600)]
            task = asyncio.create_task(take(results))
            await asyncio.sleep(2.5)
            during = stream.progress
            return await task, before, during

    async def take(results: list) -> list:
        return [await result for result in results]

    results, before, during = under(sky, main)
    assert (before.width, before.rate, before.breaker_open) == (10, math.inf, False)
    assert during.breaker_open
    attempts = [attempt for result in results for attempt in result.attempts]
    assert {attempt.breaker_open for attempt in attempts} == {False, True}
    assert all(1 <= attempt.width <= 256 and attempt.rate > 0 for attempt in attempts)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("limits: ")]
    assert any("refused" in line for line in lines)
    assert any("only single probes are sent" in line for line in lines)
