"""Whose trouble it is: bad projects hold up nobody, and what fails for many is the service's."""

import asyncio
import random
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pytest
from support.clients import TASKS, Source, ids
from support.clock import run, virtual_time
from support.models import Bucket, Capacity, Queue, Reply, Service, Window
from support.network import COUNTED, Answer, Late, Scripted, Sky, Timed, cost_of_new, during, outcome_of, refusal
from support.private import is_over, replace_post

from galileo_sessions import Col, GalileoSessions, Limits, ProtocolError, Retry
from galileo_sessions.http.responses import Response

COLUMNS = (Path(__file__).parents[1] / "support" / "available_columns.json").read_bytes()
OTHER = ids(1)[0]
TROUBLES: dict[str, Answer] = {str(status): refusal(status) for status in (429, 500, 503, 504)}
TROUBLES |= {f"429, after {seconds} s": refusal(429, seconds) for seconds in (2, 15, 50)}
TROUBLES |= {"500 after 5 s": Late(5, refusal(500)), "504 after 10 s": Late(10, refusal(504)), "hangs": Late()}
KNOWN = TROUBLES | {"isn't HTTP": ProtocolError("the answer can't be read as HTTP"), "answers after 25 s": Late(25)}
thorough = pytest.mark.thorough
Fared = namedtuple("Fared", ["lost", "bad", "last", "end"])


def mixed(bad: Mapping[str, str], service: Service | None = None, outage: float = 0.0) -> Scripted:
    """A service with an outage in the beginning, and then with troubles of some projects."""
    model = service or Service(0.05)

    def count(now: float, _: int) -> Answer:
        reply = model.arrive(now)
        return Late(reply.seconds, COUNTED if reply.kind == "ok" else refusal())

    def after_outage(script: Callable[[float, int], Answer]) -> Callable[[float, int], Answer]:
        return lambda now, number: refusal() if now < outage else script(now, number)

    troubles = {project: after_outage(lambda *_, answer=KNOWN[name]: answer) for project, name in bad.items()}
    return Scripted(after_outage(count), others=troubles)


async def post_or_columns(sky: Scripted, path: str) -> Response:
    """Lists the columns of healthy projects, even while their counts are refused. The service answers all else."""
    if "available_columns" not in path or any(project in path for project in sky.others):
        return await sky.post(path)
    await asyncio.sleep(0.03)
    return Response(200, {}, COLUMNS)


def every(step: int, trouble: str, counts: int) -> dict[str, str]:
    """Every so many projects are in trouble."""
    return dict.fromkeys(ids(counts)[step // 2 :: step], trouble)


def lots(few: int, many: int = 6) -> pytest.MarkDecorator:
    """What is drawn by lot: by a few seeds, or by many."""
    more = [pytest.param(lot, marks=thorough) for lot in range(few, many)]
    return pytest.mark.parametrize("lot", [*range(few), *more])


async def fare(sky: Scripted, galileo: GalileoSessions, targets: Iterable[str], **arguments: object) -> Fared:
    """How many healthy projects fail, and bad ones; the seconds until the last healthy one, and until the end."""
    began, lost, bad, last = sky.now, 0, 0, 0.0
    async with asyncio.timeout(1_500), galileo.count_many(targets, **arguments) as stream:
        async for result in stream:
            if result.target not in sky.others:
                lost, last = lost + (not result.ok), sky.now - began
            else:
                bad += not result.ok
    assert is_over(stream)
    return Fared(lost, bad, last, sky.now - began)


def fan_out(
    sky: Scripted, targets: Iterable[str], retry: Retry | None = None, limits: Limits | None = None, **arguments: object
) -> Fared:
    """How healthy projects fare in a fan-out of a new client."""

    async def main() -> Fared:
        async with sky.client(retry=retry or Retry(), limits=limits or Limits()) as galileo:
            return await fare(sky, galileo, targets, **arguments)

    return run(main())


@asynccontextmanager
async def callers(
    galileo: GalileoSessions, projects: Iterable[str], pause: float = 1.0
) -> AsyncIterator[list[list[Timed]]]:
    """Callers that count a project each, again and again; yields the outcomes that each has met so far."""

    async def count(project: str, timed: list[Timed]) -> None:
        while True:
            timed.append(await outcome_of(galileo, project))
            await asyncio.sleep(pause)

    pairs: list[tuple[str, list[Timed]]] = [(project, []) for project in projects]
    tasks = [asyncio.create_task(count(*pair)) for pair in pairs]
    try:
        yield [timed for _, timed in pairs]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# ---- fan-outs --------------------------------------------------------------------------------------------------------


def first(counts: int, trouble: str) -> dict[str, str]:
    """So many projects in trouble."""
    return dict.fromkeys(ids(counts), trouble)


SIXTY = ids(360)[300:]
BAD: dict[str, tuple[dict[str, str], list[str], Callable[[], Service], dict[str, Any], float]] = {
    "one in 33 answers 503": (every(33, "503", 2_000), ids(2_000), Service, {}, 6),
    "one in 100 hangs": (every(100, "hangs", 2_000), ids(2_000), Service, {}, 6),
    "half answer 503": (every(2, "503", 2_000), ids(2_000), Service, {}, 7),
    "half answer 500": (every(2, "500", 2_000), ids(2_000), Service, {}, 7),
    "in order": (every(200, "503", 2_000), ids(2_000), Service, {"ordered": True}, inf),
    "one in 5 answers 503, like a limit": (every(5, "503", 1_000), ids(1_000), Service, {}, 60),
    "one in 20 answers 503, five at once": (every(20, "503", 500), ids(500), Service, {"concurrency": 5}, 20),
    "one in 5 asks for 15 s": (every(5, "429, after 15 s", 3_000), ids(3_000), Service, {"concurrency": 10}, 40),
    "the first 30 hang": (first(30, "hangs"), ids(960), Service, {}, 3),
    "the first 60 answer 504 late": (first(60, "504 after 10 s"), ids(360), Service, {}, 5),
    "the first 60 answer 503": (first(60, "503"), ids(360), Service, {"concurrency": 20}, 5),
    "the first 60 ask for 15 s": (first(60, "429, after 15 s"), ids(360), Service, {"concurrency": 20}, 20),
    "the first 60, 20 a second": (first(60, "429"), ids(360), partial(Bucket, 20, 20), {"concurrency": 20}, 135),
    "the last 60, 50 in a second": (dict.fromkeys(SIXTY, "503"), ids(360), partial(Window, 50, 1), {}, 135),
    "three counts of each": (first(20, "500"), [*sorted(ids(20) * 3), *ids(60)[20:]], Service, {"concurrency": 1}, 6),
    "sixty counts of one": (
        first(1, "429, after 15 s"),
        [*ids(51)[1:], *ids(1) * 60, *ids(201)[51:]],
        Service,
        {"concurrency": 5},
        20,
    ),
    "a hundred counts of one, ten a second": (
        first(1, "500"),
        [*ids(1) * 100, *ids(101)[1:]],
        Service,
        {"limits": Limits(rate=10)},
        11,
    ),
}
"""Bad projects, all targets, the service, arguments, and the seconds until the last healthy one, at most."""


@lots(1)
@pytest.mark.parametrize("bad", BAD)
def test_projects_in_trouble_hold_up_nobody(bad, lot):
    """Healthy ones are counted about as fast as alone, wherever and however many the others are."""
    random.seed(lot)
    troubles, targets, service, arguments, most = BAD[bad]
    fared = fan_out(mixed(troubles, service()), targets, **arguments)
    assert (0, True) == (fared.lost, fared.last < most), fared
    assert fared.end < 400


@pytest.mark.parametrize("concurrency", [1, 20])
@virtual_time
async def test_queries_in_trouble_take_no_permit_of_others(concurrency):
    """A list is counted twice within a minute, at ten a second. Half of the permits are for those in trouble."""
    sky = mixed(dict.fromkeys(ids(200)[::2], "500"))
    async with sky.client(limits=Limits(rate=10)) as galileo:
        await fare(sky, galileo, ids(200))
        assert (await fare(sky, galileo, ids(200), concurrency=concurrency)).last < 28


@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_outage_that_asks_for_time_is_not_taken_for_queries_that_fail(concurrency):
    """Though others were answered just before it, and as many counts wait as can."""
    sky = Scripted(during([(2, 42)], refusal(503, 30)), 0.05)
    assert 0 == fan_out(sky, ids(400), Retry(patience=90), concurrency=concurrency).lost


PULLED = {"others": ids(300), "copies": ids(10) * 200}


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("pulled", PULLED)
@pytest.mark.parametrize(("ordered", "concurrency"), [(True, 5), (False, 5), (False, 40)])
@virtual_time
async def test_what_a_fan_out_pulls_and_sends_is_bounded(ordered, concurrency, pulled, factory):
    """Ten times `concurrency` that wait between attempts are pulled, as many copies, and as many more in an outage."""
    sky, source = mixed(every(2, "429, after 2 s", 300), outage=5), Source(PULLED[pulled])
    waiting = at_once = taken = 0
    asyncio.get_running_loop().set_task_factory(factory)  # of eager tasks, each lets the next one begin
    async with sky.client() as galileo, galileo.count_many(source, concurrency=concurrency, ordered=ordered) as stream:
        async for _ in stream:
            waiting, taken = max(waiting, source.pulled - taken), taken + 1
            at_once = max(at_once, stream.progress.in_flight)
    extra = max(100, 10 * concurrency) + (0 if ordered else 20 * concurrency)
    assert (True, True) == (waiting <= 2 * concurrency + extra + 1, at_once <= concurrency), (waiting, at_once)


@pytest.mark.parametrize(("step", "trouble", "rate"), [(10, "503", 100), (4, "429, after 2 s", 50)])
@virtual_time
async def test_bad_projects_that_open_the_breaker_again_and_again_are_given_up(step, trouble, rate):
    """Once all healthy ones are counted, only a caller's answers close it. Without evidence, the fan-out never ends."""
    sky = mixed(every(step, trouble, 500), Bucket(rate, rate))
    async with sky.client() as galileo, callers(galileo, ids(501)[500:]):
        fared = await fare(sky, galileo, ids(500))
    assert (0, True) == (fared.lost, fared.end < 250), fared


@pytest.mark.parametrize(("outage", "counts", "concurrency"), [((0, 20), 300, 5), ((3, 23), 500, 256)])
@virtual_time
async def test_answers_for_columns_do_not_end_the_patience_of_counts(outage, counts, concurrency):
    """Columns are answered while counts are refused. Requests for columns count towards `concurrency`, too."""
    sky, arguments = Scripted(during([outage], refusal()), 0.05), {"concurrency": concurrency, "check": True}
    async with sky.client() as galileo:
        replace_post(galileo, partial(post_or_columns, sky))
        async with galileo.count_many(ids(counts), Col.text("input").contains("x"), **arguments) as stream:
            assert [] == [result async for result in stream if not result.ok or stream.progress.in_flight > concurrency]


@pytest.mark.parametrize("trouble", ["503", "429, after 50 s", "504"])
@pytest.mark.parametrize(
    ("targets", "most"), [(ids(300), 60), ([*ids(61)[1:], *ids(1) * 60], 20)], ids=["many", "counts of one"]
)
@virtual_time
async def test_checks_of_bad_projects_hold_no_places(targets, most, trouble):
    """Bad projects fail when their columns are requested, too. `concurrency` is five."""
    sky, where = mixed(dict.fromkeys(targets[::-1][:60], trouble)), Col.text("input").contains("x")
    async with sky.client() as galileo:
        replace_post(galileo, partial(post_or_columns, sky))
        fared = await fare(sky, galileo, targets, where=where, check=True, concurrency=5)
    assert (0, True) == (fared.lost, fared.last < most), fared


def test_while_half_of_a_gateway_is_away_the_other_half_is_counted():
    """Half of the projects answer 502 for 20 s, and are counted soon after that."""
    healthy, away = ids(2_000)[::2], ids(2_000)[1::2]
    sky = Scripted(latency=0.05, others=dict.fromkeys(away, during([(0, 20)], refusal(502))))
    fared = fan_out(sky, ids(2_000))
    assert (0, 0, True, True) == (fared.lost, fared.bad, fared.last < 15, fared.end < 35), fared
    assert {1} == {sky.by_project[project] for project in healthy}


# ---- projects that are refused alone ---------------------------------------------------------------------------------


def some(place: str, few: int, targets: list[str]) -> list[str]:
    """The first, the last, or any few of the targets."""
    if place == "any":
        return random.Random(few).sample(targets, few)
    return targets[:few] if place == "first" else targets[-few:]


@pytest.mark.parametrize("place", ["first", "any", "last"])
@pytest.mark.parametrize(("few", "counts"), [(1, 2), (1, 12), (2, 12), (1, 2_000), (20, 2_000)])
def test_few_projects_that_are_refused_alone_are_given_up_soon(counts, few, place):
    """Each gets at most eight requests. If nothing else is left to send, one that was answered is repeated."""
    targets = ids(counts)
    bad = some(place, few, targets)
    sky = mixed(dict.fromkeys(bad, "503"))
    fared = fan_out(sky, targets)
    assert (0, few, True) == (fared.lost, fared.bad, fared.end < fared.last + 5), fared
    assert 8 >= max(sky.by_project[project] for project in bad)
    repeated = sky.requests - counts - sum(sky.by_project[project] - 1 for project in bad)
    assert repeated <= 3 + few


@virtual_time
async def test_the_error_of_a_project_that_is_refused_alone_says_so():
    """Its attempts are its own. `on_attempt` is told of what is repeated, too."""
    bad, good = ids(2)
    heard: list[str] = []
    sky = mixed({bad: "503"})
    async with sky.client(on_attempt=lambda attempt: heard.append(attempt.query.project_id)) as galileo:
        report = await galileo.count_all([bad, good])
    (error,) = report.errors
    assert "503 Service Unavailable: an empty body; others were answered meanwhile" == error.message
    assert {bad} == {attempt.query.project_id for attempt in error.attempts}
    assert sky.by_project == {bad: len(error.attempts), good: heard.count(good)}
    assert heard.count(good) > 1


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_project_that_is_refused_alone_gets_its_retry_after(place):
    """As with any other failure of its own, it is sent as often as without, and never earlier than it asks."""
    targets = ids(12)
    (bad,) = some(place, 1, targets)
    sky = mixed({bad: "429, after 2 s"})
    fared = fan_out(sky, targets)
    assert (0, 1, True) == (fared.lost, fared.bad, fared.end < 20), fared
    assert 8 >= sky.by_project[bad] > fared.end / 2.2


@pytest.mark.parametrize("counts", [1, 12])
@pytest.mark.parametrize("away", [3, 20, 85])
@pytest.mark.parametrize("few", [1, 3, 20])
def test_a_service_that_is_away_at_the_end_of_a_fan_out_is_waited_for(few, away, counts):
    """However few are left, nothing is lost: what is repeated is refused, too, and that at most once a minute."""
    began = inf

    def script(now: float, number: int) -> Answer:
        nonlocal began
        if number > counts:
            began = min(began, now)
        return refusal() if began <= now < began + away else None

    sky = Scripted(script, 0.05)
    fared = fan_out(sky, ids(counts + few))
    assert (0, True) == (fared.lost, fared.end < away + 5), fared
    assert max(sky.by_project[project] for project in ids(counts)) <= 1 + 2 + away // 60


@pytest.mark.parametrize("step", [5, 12, 100])
def test_some_projects_that_are_away_for_three_seconds_are_waited_for(step):
    """That is how long a restart takes. Longer is too long for fewer than a quarter of the projects."""
    away = ids(1_200)[::step]
    sky = Scripted(latency=0.05, others=dict.fromkeys(away, during([(0, 2.9)], refusal(502))))
    fared = fan_out(sky, ids(1_200))
    assert (0, 0, True) == (fared.lost, fared.bad, fared.end < 6), fared


@virtual_time
async def test_checks_of_a_project_that_is_refused_alone_end_soon():
    """Its columns are requested first. Then the request for those of another project is repeated."""
    bad, *_ = targets = ids(12)
    sky, where = mixed({bad: "503"}), Col.text("input").contains("x")
    async with sky.client() as galileo:
        replace_post(galileo, partial(post_or_columns, sky))
        fared = await fare(sky, galileo, targets, where=where, check=True)
    assert (0, 1, True) == (fared.lost, fared.bad, fared.end < 5), fared


@virtual_time
async def test_nothing_is_repeated_for_a_single_count():
    """Its patience is short, and it gets all of it."""
    bad, good = ids(2)
    sky = mixed({bad: "503"})
    async with sky.client() as galileo:
        assert 7 == await galileo.count(good)
        _, seconds = await outcome_of(galileo, bad)
    assert (True, 1) == (8 < seconds < 11, sky.by_project[good])


OPEN = {
    "one is under way": (Late(0.9), Limits(), 0.9),
    "some wait": (COUNTED, Limits(rate=5), 4.0),
}
"""What the last of 24 projects gets, the user's limits, and until when that shows whether all are refused."""


@pytest.mark.parametrize("question", OPEN)
@virtual_time
async def test_nothing_is_repeated_while_another_count_will_show_whether_all_are_refused(question):
    """That is cheaper."""
    bad, *healthy = targets = ids(24)
    answer, limits, until = OPEN[question]
    sky = mixed({bad: "503"})
    sky.others |= {targets[-1]: lambda *_: answer}
    async with sky.client(limits=limits) as galileo, galileo.count_many(targets):
        await sky.until(until)
        assert (True, 1) == (sky.by_project[bad] > 2, max(sky.by_project[project] for project in healthy))


@virtual_time
async def test_nothing_is_repeated_for_a_count_that_has_ended():
    """The deadline comes before its next attempt."""
    bad, good = ids(2)
    sky = mixed({bad: "429, after 2 s"})
    async with sky.client() as galileo:
        report = await galileo.count_all([bad, good], timeout=3)
    assert ({bad: 2, good: 1}, 1) == (sky.by_project, len(report.errors))


def test_many_counts_of_one_query_that_is_refused_alone_are_one_query():
    """They are given up together, although they are half of the fan-out."""
    bad, *healthy = ids(13)
    sky = mixed({bad: "503"})
    fared = fan_out(sky, healthy + [bad] * 12)
    assert (0, 12, True) == (fared.lost, fared.bad, fared.end < 5), fared


def test_what_is_repeated_prolongs_no_patience():
    """Nobody waits for it: it doesn't show that others are counted."""
    bad, *_ = targets = ids(12)
    fared = fan_out(mixed({bad: "429, after 50 s"}), targets)
    assert (0, 1, True) == (fared.lost, fared.bad, fared.end < 110), fared


def test_nothing_is_repeated_for_a_stray_refusal():
    """The last of some counts is refused once, when all others are answered."""
    sky = Scripted(lambda _, number: Late(0.2, refusal()) if number == 12 else None)
    assert 0 == fan_out(sky, ids(12)).lost
    assert 13 == sky.requests


@pytest.mark.parametrize("timeout", [0.3, None])
@virtual_time
async def test_what_is_repeated_ends_with_the_call(timeout):
    """With the deadline, or when the stream is left."""
    bad, good = ids(2)
    sky = Scripted(others={bad: lambda *_: refusal(), good: lambda _, number: Late() if number > 1 else None})
    async with sky.client() as galileo:
        async with galileo.count_many([bad, good], timeout=timeout) as stream:
            if timeout is None:
                await sky.until(1)
            else:
                assert {good, bad} == {result.target async for result in stream}
        assert is_over(stream)
        assert (True, 2) == (sky.now < 1.1, sky.by_project[good])


REST = {
    "20 a second, one in 10 asks for 15 s": (every(10, "429, after 15 s", 500), partial(Bucket, 20, 20), 500, 9.5),
    "the last 300 answer 500": (dict.fromkeys(ids(3_300)[3_000:], "500"), Service, 3_300, 1),
    "all 300 hang": (first(300, "hangs"), Service, 300, 5),
}
"""The bad projects of some fan-outs, the service, how many projects there are, and a caller's seconds, at most."""


@lots(1)
@pytest.mark.parametrize("rest", REST)
@virtual_time
async def test_the_rest_of_a_fan_out_keeps_no_caller_waiting(rest, lot):
    """Once only projects in trouble are left, their failures slow down a healthy project that is polled little."""
    random.seed(lot)
    bad, service, counts, most = REST[rest]
    sky = mixed(bad, service())
    async with sky.client(lot + 1) as galileo, callers(galileo, ids(counts + 1)[counts:]) as (timed,):
        await fare(sky, galileo, ids(counts))
    assert {7} == {outcome for outcome, _ in timed}
    assert max(seconds for _, seconds in timed) < most


@pytest.mark.parametrize(("maximum", "start", "step"), [(256, 3, 2), (256, 6, 4), (100, 3, 10), (20, 3, 4)])
@virtual_time
async def test_a_fan_out_whose_requests_hang_leaves_room_for_others(maximum, start, step):
    """Even if more hang than may be under way, another fan-out and a caller don't wait for them."""
    projects = ids(20 * maximum + 351)
    targets, healthy, polled = projects[:-351], projects[-351:-1], projects[-1:]
    sky = mixed(dict.fromkeys(targets[::step], "hangs"))
    async with sky.client(limits=Limits(maximum=maximum)) as galileo, callers(galileo, polled) as (timed,):
        task = asyncio.create_task(fare(sky, galileo, targets))
        await asyncio.sleep(start)
        fared = await fare(sky, galileo, healthy)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (0, True) == (fared.lost, fared.last < 20), fared
    assert {7} == {outcome for outcome, _ in timed}
    assert max(seconds for _, seconds in timed) < 2


@pytest.mark.parametrize("trouble", ["429, after 50 s", "hangs", "500", "503", "isn't HTTP", "answers after 25 s"])
@virtual_time
async def test_a_project_in_trouble_keeps_no_caller_of_others_waiting(trouble):
    """What it answers, such as a Retry-After, is about itself. A fan-out doesn't wait either."""
    sky = mixed({OTHER: trouble}, outage=2)
    async with sky.client() as galileo, callers(galileo, [OTHER] * 9 + ids(4)[1:]) as met:
        first = await fare(sky, galileo, ids(54)[4:])
        await asyncio.sleep(300)
        later = await fare(sky, galileo, ids(54)[4:])
    assert (0, 0, True, True) == (first.lost, later.lost, first.last < 4.5, later.last < 0.5), (first, later)
    assert all(outcome == 7 and seconds < 0.5 for timed in met[9:] for outcome, seconds in timed[5:])
    assert min(map(len, met[9:])) > 270


@lots(1)
@pytest.mark.parametrize(("answer", "most"), [(COUNTED, 17), (refusal(429), 5)], ids=["answered", "refused"])
@virtual_time
async def test_a_project_that_callers_poll_does_not_hide_a_quota(answer, most, lot):
    """However often one query is answered or fails, that says little about others, which have waited, too."""
    random.seed(lot)
    sky = mixed({}, Window(10, 30))
    sky.others = {OTHER: lambda *_: answer}
    async with sky.client() as galileo, callers(galileo, [OTHER] * 12):
        await asyncio.sleep(1)
        assert 0 == (await fare(sky, galileo, ids(41)[1:], concurrency=5)).lost
    assert sky.requests - sky.by_project[OTHER] <= most * 40


@lots(1)
@pytest.mark.parametrize(("burst", "trouble", "most"), [(20, "429", 75), (1, "503", 290), (1, "429, after 2 s", 240)])
@virtual_time
async def test_a_quarter_of_bad_projects_does_not_push_the_rate_down_for_good(burst, trouble, most, lot):
    """Beside a limit of twenty a second, and although half of the callers are answered by no project."""
    random.seed(lot)
    targets, polled = ids(600), ids(604)[600:]
    sky = mixed(dict.fromkeys([*polled[2:], *random.Random(lot).sample(targets, 150)], trouble), Bucket(20, burst))
    async with sky.client(lot + 1) as galileo, callers(galileo, polled):
        await asyncio.sleep(1)
        fared = await fare(sky, galileo, targets)
    assert (0, True) == (fared.lost, fared.last < most), fared


@pytest.mark.parametrize("trouble", ["503", "429, after 2 s"])
@virtual_time
async def test_a_single_bad_project_is_given_up_while_others_are_counted(trouble):
    """Its own failures show that it is bad, even if nobody else fails."""
    bad, *_ = targets = ids(1_500)
    sky = mixed({bad: trouble})
    async with sky.client(limits=Limits(rate=10)) as galileo, galileo.count_many(targets) as stream:
        assert [sky.now < 100 async for result in stream if result.target == bad] == [True]


@pytest.mark.parametrize("over", [0.0, 0.6])
@pytest.mark.parametrize(("first", "trouble"), [(0, "503"), (20, "429, after 15 s"), (40, "500")])
def test_a_quotas_probes_find_healthy_projects_behind_bad_ones(trouble, first, over):
    """Of 100 projects, the service takes twenty in a minute, a part of which is over, and twenty in a row are bad."""
    random.seed(2)  # in one of two hundred lots, the last healthy one isn't sent in time
    targets = ids(100)
    sky = mixed(dict.fromkeys(targets[first : first + 20], trouble), Window(20, 60, over=over))
    assert 0 == fan_out(sky, targets).lost


@pytest.mark.parametrize(("every", "asked"), [(20, 20), (10, 12), (5, 8)])
def test_in_a_crowd_nothing_is_given_up_because_of_one_long_retry_after(every, asked):
    """All projects are healthy, but a request now and then is asked to come back later than others may wait."""
    sky = Scripted(lambda _, number: refusal(429, asked) if number % every == 3 else None)
    assert 0 == fan_out(sky, ids(300), concurrency=1).lost


@pytest.mark.parametrize(("status", "asked"), [(503, {}), (500, {}), (429, {"Retry-After": "0.001"})], ids=str)
@virtual_time
async def test_one_query_is_sent_at_most_a_hundred_times_in_ten_seconds(status, asked):
    """Neither its callers nor the settings make it more, while others are answered."""
    sky = Scripted(latency=0.001, others={OTHER: lambda *_: Response(status, asked, b"")})
    retry = Retry(backoff=0, attempts=20)
    async with sky.client(retry=retry) as galileo, callers(galileo, [OTHER] * 30 + ids(4)[1:], 0.01):
        await asyncio.sleep(10)
    assert sky.by_project[OTHER] <= 100


LIMITS: list[Callable[[], Service]] = [partial(Service, 0.05)] * 4
LIMITS += [partial(Capacity, 20, 0.05), partial(Bucket, 100, 100), partial(Bucket, 20, 20)]
LIMITS += [partial(Window, 50, 1), partial(Window, 10, 30), partial(Window, 20, 60)]


def draw(seed: int) -> tuple[Callable[[], Service], int, list[str], dict[str, str], float, int]:
    """A limit, how many are healthy, all targets, those in trouble, the seconds of an outage, and `concurrency`."""
    chance = random.Random(seed)
    number = chance.randrange(len(LIMITS))
    healthy = chance.choice([40, 80] if number >= len(LIMITS) - 2 else [50, 300, 1_000])
    share, place = chance.choice([0, 0.003, 0.01, 0.03, 0.1, 0.25]), chance.choice(["any", "any", "first", "middle"])
    bad = min(max(1, round(healthy * share)), 1_000 if place == "any" else 60)
    names, targets = chance.sample(sorted(TROUBLES), chance.choice([1, 1, 2, 3])), ids(healthy + bad)
    first = {"first": 0, "middle": healthy // 3}.get(place)
    chosen = chance.sample(targets, bad) if first is None else targets[first : first + bad]
    troubles = {project: names[each % len(names)] for each, project in enumerate(chosen)}
    return LIMITS[number], healthy, targets, troubles, chance.choice([0, 0, 0.5, 2]), chance.choice([5, 20, 256, 256])


def shortfall(seed: int) -> str:
    """How healthy counts fare worse than promised at a random service; nothing if they don't."""
    limit, healthy, targets, troubles, outage, concurrency = draw(seed)
    alone = fan_out(mixed({}, limit(), outage), ids(healthy), concurrency=concurrency)
    fared = fan_out(mixed(troubles, limit(), outage), targets, concurrency=concurrency)
    work = sum(min(30, getattr(TROUBLES[name], "seconds", 0)) for name in troubles.values()) / min(64, concurrency)
    is_late = fared.last > 3 * (alone.last + work) + 30
    return f"{fared.lost} lost" * (fared.lost > 0) + f"last after {fared.last:.0f} s, alone {alone.last:.0f}" * is_late


@lots(4, 40)
def test_at_random_services_healthy_projects_are_counted(lot):
    """None is lost, and none takes long, whatever the others answer."""
    random.seed(lot)
    assert "" == shortfall(lot)


@pytest.mark.parametrize("gap", [1, 20, 3_600])
@lots(1)
@virtual_time
async def test_a_client_counts_projects_that_were_bad_before(lot, gap):
    """Of three fan-outs, seconds or hours apart, each meets other projects in trouble, and perhaps another limit."""
    chance, targets, sky = random.Random(lot), ids(300), mixed({})
    async with sky.client(lot + 1) as galileo:
        for _ in range(3):
            bad, names = chance.sample(targets, chance.choice([3, 30, 75])), chance.sample(sorted(TROUBLES), 2)
            limit = chance.choice(LIMITS[:-2])()
            drawn = mixed({project: chance.choice(names) for project in bad}, limit)
            sky.script, sky.others = drawn.script, drawn.others
            assert 0 == (await fare(sky, galileo, targets, concurrency=chance.choice([5, None]))).lost
            await asyncio.sleep(gap)


# ---- what is the service's -------------------------------------------------------------------------------------------


class Gateway(Queue):
    """Some workers behind a gateway that answers for them after five seconds, while their work goes on."""

    def arrive(self, now: float) -> Reply:
        reply = super().arrive(now)
        return reply if reply.seconds < 5 else Reply("refused", 5.0)


OVERLOADED: dict[str, tuple[Callable[[], Service], int, float]] = {
    "20 at once": (partial(Capacity, 20, 0.1), 1_000, 5.0),
    "50 a second": (partial(Bucket, 50, 20), 500, 9.6),
    "10 a second": (partial(Bucket, 10, 5), 100, 9.5),
    "4 workers behind a gateway": (partial(Gateway, 4, 1.0), 300, 75.0),
}
"""Services, how many counts a fan-out has, and the fewest seconds that these take."""
STATUSES = pytest.mark.parametrize("status", [500, 503])


@STATUSES
@pytest.mark.parametrize("overloaded", OVERLOADED)
@virtual_time
async def test_overload_slows_a_fan_out_down_whatever_its_status(overloaded, status):
    """A service that answers 500 or 504 to what is too much loses no count, nor much time."""
    service, counts, ideal = OVERLOADED[overloaded]
    cost = await cost_of_new(Sky(service(), status), counts)
    assert 0 == cost.lost
    assert cost.requests <= 2.2 * counts  # a failure isn't believed at once
    assert cost.seconds <= 1.5 * ideal


@STATUSES
@pytest.mark.parametrize(("callers", "pause", "most"), [(50, 1, 5), (10, 0.2, 7.5)])
@virtual_time
async def test_a_query_that_everybody_polls_opens_the_breaker(callers, pause, most, status):
    """Although it is one query, an outage of a minute sees few requests, and its end is noticed within seconds."""
    sky = Scripted(during([(5, 65)], refusal(status)))
    async with sky.client() as galileo:

        async def poll() -> float:
            counted = [0.0]
            while sky.now < 80:
                if (await outcome_of(galileo))[0] == 7:
                    counted.append(sky.now)
                await asyncio.sleep(pause)
            return min(at for at in counted if at > 65)

        noticed = await asyncio.gather(*(poll() for _ in range(callers)))
    assert sum(5 <= at < 65 for at in sky.arrivals) <= 600
    assert max(noticed) < 65 + most


@pytest.mark.parametrize("gap", [0.1, 1])
@pytest.mark.parametrize("polled", [True, False], ids=["one query", "many queries"])
@virtual_time
async def test_a_hang_of_ten_seconds_holds_nobody_for_longer_than_patience(polled, gap):
    """Requests that hang keep their permits until they time out, but the counts behind them go out before."""
    sky, after = Scripted(during([(5, 15)], Late())), list[Timed]()
    projects = iter(ids(1 if polled else 1_000) * 1_000)

    async def count(galileo: GalileoSessions) -> None:
        began = sky.now
        timed = await outcome_of(galileo, next(projects))
        after.extend([timed] * (began >= 15))

    async with sky.client() as galileo, asyncio.TaskGroup() as tasks:
        while sky.now < 90:
            tasks.create_task(count(galileo))
            await asyncio.sleep(gap)
    assert {7} == {found for found, _ in after}
    assert max(seconds for _, seconds in after) <= 10
