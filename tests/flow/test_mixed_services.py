"""Whose trouble it is: bad projects hold up nobody, and what fails for many is the service's."""

import asyncio
import random
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path

import pytest
from support.clients import TASKS, Source, ids
from support.clock import run, virtual_time
from support.inside import replace_post
from support.models import Bucket, Capacity, Queue, Reply, Service, Window
from support.network import (
    COUNTED,
    Answer,
    Late,
    Script,
    Scripted,
    Sky,
    Timed,
    ask_and_time,
    cost_of_new,
    during,
    outcome_of,
    refusal,
)

from galileo_sessions import Col, GalileoSessions, Limits, ProtocolError, Retry
from galileo_sessions.api.responses import Response

COLUMNS = (Path(__file__).parents[1] / "support" / "available_columns.json").read_bytes()
OTHER = ids(1)[0]
TROUBLES: dict[str, Answer] = {
    "500": refusal(500),
    "500 after 5 s": Late(5, refusal(500)),
    "503": refusal(),
    "504": refusal(504),
    "504 after 10 s": Late(10, refusal(504)),
    "429": refusal(429),
    "429, after 2 s": refusal(429, 2),
    "429, after 15 s": refusal(429, 15),
    "429, after 50 s": refusal(429, 50),
    "hangs": Late(),
}
KNOWN: dict[str, Answer] = TROUBLES | {
    "504 after 20 s": Late(20, refusal(504)),
    "isn't HTTP": ProtocolError("the answer can't be read as HTTP"),
    "answers after 25 s": Late(25),
    "429, after 1 s": refusal(429, 1),
    "503, after 60 s": refusal(503, 60),
}
OWN = ["hangs", "504", "504 after 20 s", "500", "500 after 5 s", "isn't HTTP", "answers after 25 s"]
thorough = pytest.mark.thorough
Fared = namedtuple("Fared", ["lost", "last", "end"])


def mixed(bad: Mapping[str, str], service: Service | None = None, outage: float = 0.0) -> Scripted:
    """A service with an outage in the beginning, and then with troubles of some projects."""
    model = service or Service(0.05)

    def count(now: float, _: int) -> Answer:
        reply = model.arrive(now)
        return Late(reply.seconds, COUNTED if reply.kind == "ok" else refusal())

    def after_outage(script: Script) -> Script:
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


async def fare(sky: Scripted, galileo: GalileoSessions, targets: Iterable[str], **arguments: object) -> Fared:
    """How many healthy projects fail, the seconds until the last one is counted, and until the fan-out ends."""
    began, lost, last = sky.now, 0, 0.0
    async with asyncio.timeout(1_500), galileo.count_many(targets, **arguments) as stream:
        async for result in stream:
            if result.target not in sky.others:
                lost, last = lost + (not result.ok), sky.now - began
    return Fared(lost, last, sky.now - began)


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


@pytest.mark.parametrize(
    ("bad", "counts", "arguments", "most"),
    [
        (every(10, "500", 2_000), 2_000, {}, 6.1),
        *((every(33, name, 2_000), 2_000, {}, 6.1) for name in ("503", "429, after 2 s")),
        (every(100, "hangs", 2_000), 2_000, {}, 6.1),
        *((every(20, name, 500), 500, {"concurrency": 5}, 20) for name in ("503", "429")),
        (every(20, "hangs", 500), 500, {"concurrency": 5}, 300),
        *((dict.fromkeys(ids(30), name), 960, {}, 10.5) for name in ("500", "503")),
        (dict.fromkeys(ids(30), "hangs"), 960, {}, 3),
        (dict.fromkeys(ids(60), "504 after 10 s"), 360, {}, 5),
        *(
            pytest.param(every(step, "503", counts), counts, arguments, most, marks=thorough)
            for step, counts, arguments, most in [
                (200, 2_000, {"ordered": True}, inf),
                (100, 2_000, {"limits": Limits(10)}, inf),
                (20, 6_000, {}, inf),
                (5, 1_000, {}, 60),  # it looks like a limit
            ]
        ),
    ],
)
def test_a_few_projects_in_trouble_hold_up_nobody(bad, counts, arguments, most):
    """Healthy ones are counted about as fast as alone, with few at once too, and wherever the others are."""
    fared = fan_out(mixed(bad), ids(counts), **arguments)
    assert 0 == fared.lost
    assert fared.last < most


@pytest.mark.parametrize("lot", [0, 1, *(pytest.param(lot, marks=thorough) for lot in range(2, 8))])
@pytest.mark.parametrize(
    ("first", "trouble", "concurrency", "most"),
    [
        *((0, trouble, 20, 5) for trouble in ("500", "503", "504", "429")),
        *((0, f"429, after {seconds} s", 20, most) for seconds, most in ((2, 6), (15, 20))),
        *((100, f"429, after {seconds} s", 20, 25) for seconds in (15, 50)),
        *((first, "503", 5, 10) for first in (0, 100)),
    ],
)
def test_sixty_bad_projects_in_a_row_delay_the_others_little_with_any_lot(first, trouble, concurrency, most, lot):
    """In an outage, and for a while after it, each target is drawn from those that were pulled."""
    random.seed(lot)
    bad = dict.fromkeys(ids(360)[first : first + 60], trouble)
    fared = fan_out(mixed(bad), ids(360), concurrency=concurrency)
    assert (0, True) == (fared.lost, fared.last < most), fared


@pytest.mark.parametrize("limit", [partial(Bucket, 20, 20), partial(Window, 50, 1)])
@pytest.mark.parametrize("lot", [0, 1, *(pytest.param(lot, marks=thorough) for lot in range(2, 8))])
@pytest.mark.parametrize("trouble", ["429", "503"])
@pytest.mark.parametrize(("first", "concurrency"), [(300, 256), (0, 20)])
def test_sixty_bad_projects_beside_a_limit_delay_the_others_little(first, concurrency, trouble, lot, limit):
    """There are many outages, after which targets are drawn by lot; a crowd of those refused has three seconds."""
    random.seed(lot)
    bad = dict.fromkeys(ids(360)[first : first + 60], trouble)
    fared = fan_out(mixed(bad, limit()), ids(360), concurrency=concurrency)
    assert (0, True) == (fared.lost, fared.last < 135), fared


@pytest.mark.parametrize("concurrency", [1, 20])
@virtual_time
async def test_queries_in_trouble_take_no_permit_of_others(concurrency):
    """A list is counted twice within a minute, at ten a second. Half of the permits are for those in trouble."""
    sky = mixed(dict.fromkeys(ids(200)[::2], "500"))
    async with sky.client(limits=Limits(rate=10)) as galileo:
        await fare(sky, galileo, ids(200))
        assert (await fare(sky, galileo, ids(200), concurrency=concurrency)).last < 21


@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_outage_that_asks_for_time_is_not_taken_for_queries_that_fail(concurrency):
    """Though others were answered just before it, and as many counts wait as can."""
    sky = Scripted(during([(2, 42)], refusal(503, 30)), 0.05)
    assert 0 == fan_out(sky, ids(400), Retry(patience=90), concurrency=concurrency).lost


@pytest.mark.parametrize(("copies", "concurrency"), [(3, 1), (5, 2), (50, 8)])
def test_counts_of_one_query_that_wait_for_each_other_hold_no_places(copies, concurrency):
    """However many more of them there are than can be parked: the one that is sent for all goes on."""
    bad = ids(20)
    fared = fan_out(mixed(dict.fromkeys(bad, "500")), [*sorted(bad * copies), *ids(60)[20:]], concurrency=concurrency)
    assert fared.end < 150  # otherwise it would never end


def test_counts_of_one_query_that_wait_for_each_other_take_no_room_of_others():
    """Sixty copies of one project in trouble, with five counts at once: the healthy ones behind them don't wait."""
    bad, *healthy = ids(201)
    sky = mixed({bad: "429, after 15 s"})
    assert fan_out(sky, [*healthy[:50], *[bad] * 60, *healthy[50:]], concurrency=5).last < 20


def test_copies_of_a_query_in_trouble_cost_no_time_of_the_rate():
    """A hundred of them wait in line when the first one fails; each gives its permit back."""
    bad, *healthy = ids(101)
    targets = [*[bad] * 100, *healthy]
    assert fan_out(mixed({bad: "500"}), targets, limits=Limits(rate=10)).last < 11


@pytest.mark.parametrize("concurrency", [8, 256])
@virtual_time
async def test_in_an_outage_no_more_targets_are_pulled_than_promised(concurrency):
    """Also if a few projects come again and again, so that all counts wait for one another."""
    sky, source, taken = Scripted(during([(3, 8)], refusal()), 0.05), Source(ids(10) * 4_000), 0
    most = 22 * concurrency + max(100, 10 * concurrency)
    async with sky.client() as galileo, galileo.count_many(source, concurrency=concurrency) as stream:
        async for _ in stream:
            assert source.pulled - taken <= most
            taken += 1
            if sky.now > 10:
                break


@pytest.mark.parametrize(("counts", "concurrency", "outage"), [(3_000, 10, 0), (400, 5, 2)])
def test_in_an_outage_new_targets_join_bad_ones_that_cannot_be_parked(counts, concurrency, outage):
    """Once bad projects hold all workers, their failures open the breaker. New targets show that others are healthy."""
    fared = fan_out(mixed(every(5, "429, after 15 s", counts), outage=outage), ids(counts), concurrency=concurrency)
    assert (0, True) == (fared.lost, fared.last < 40), fared


@pytest.mark.parametrize(("counts", "concurrency", "quota"), [(300, 5, Window(50, 10)), (150, 2, Window(20, 5))])
@virtual_time
async def test_a_quota_is_not_taken_for_bad_projects_because_a_caller_is_answered(counts, concurrency, quota):
    """The caller's project has a quota of its own. Its answers close the breaker while those that wait are healthy."""
    sky = mixed({}, quota)
    sky.others = {OTHER: lambda *_: None}
    async with sky.client() as galileo, callers(galileo, [OTHER]):
        assert 0 == (await fare(sky, galileo, ids(counts + 1)[1:], concurrency=concurrency)).lost


@pytest.mark.parametrize(
    ("step", "trouble", "rate"), [(10, "503", 100), (4, "429, after 2 s", 50), (20, "429, after 2 s", 20)]
)
@virtual_time
async def test_bad_projects_that_open_the_breaker_again_and_again_are_given_up(step, trouble, rate):
    """Once all healthy ones are counted, only a caller's answers close it. Without evidence, the fan-out never ends."""
    sky = mixed(every(step, trouble, 500), Bucket(rate, rate))
    async with sky.client() as galileo, callers(galileo, ids(501)[500:]):
        fared = await fare(sky, galileo, ids(500))
    assert (0, True) == (fared.lost, fared.end < 250), fared


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("targets", [ids(3_000), ids(20) * 100], ids=["others", "copies"])
@virtual_time
async def test_in_an_outage_all_targets_that_were_pulled_can_wait(targets, factory):
    """Eager tasks too, each of which lets the next one begin."""
    asyncio.get_running_loop().set_task_factory(factory)
    async with mixed({}, outage=5).client() as galileo:
        assert () == (await galileo.count_all(targets)).errors


@pytest.mark.parametrize(
    ("outage", "counts", "concurrency"), [((3, 8), 500, 8), ((0, 20), 300, 5), ((3, 23), 300, 5), ((3, 23), 1_000, 256)]
)
@virtual_time
async def test_answers_for_columns_do_not_end_the_patience_of_counts(outage, counts, concurrency):
    """Columns are answered while counts are refused. Requests for columns count towards `concurrency`, too."""
    sky, paths, most = Scripted(during([outage], refusal()), 0.05), list[str](), 0

    async def post(path: str) -> Response:
        nonlocal most
        paths.append(path)
        most = max(most, len(paths))
        answer = await post_or_columns(sky, path)
        paths.remove(path)
        return answer

    async with sky.client() as galileo:
        replace_post(galileo, post)
        targets, where = ids(counts), Col.text("input").contains("x")
        assert () == (await galileo.count_all(targets, where, concurrency=concurrency, check=True)).errors
    assert most <= concurrency


@pytest.mark.parametrize("trouble", ["503", "429, after 50 s", "500", "504"])
@pytest.mark.parametrize(
    ("bad", "known", "targets", "most"),
    [
        (every(5, "", 300), [], ids(300), 60),
        (ids(60), ids(300)[60:], ids(300), 60),
        (ids(1), [], [*ids(51)[1:], *ids(1) * 60, *ids(201)[51:]], 20),
    ],
    ids=["many", "the only ones that are checked", "copies of one"],
)
@virtual_time
async def test_checks_of_bad_projects_hold_no_places(bad, known, targets, most, trouble):
    """Bad projects fail when their columns are requested, too. Those of others can be known. `concurrency` is five."""
    sky, arguments = mixed(dict.fromkeys(bad, trouble)), {"where": Col.text("input").contains("x"), "check": True}
    async with sky.client() as galileo:
        replace_post(galileo, partial(post_or_columns, sky))
        await fare(sky, galileo, known, **arguments)
        fared = await fare(sky, galileo, targets, concurrency=5, **arguments)
    assert (0, True) == (fared.lost, fared.last < most), fared


@virtual_time
async def test_once_all_have_ended_nothing_is_under_way_or_parked():
    """Among them are copies that waited for each other, some of which were answered, and more than can be parked."""
    sky = mixed(dict.fromkeys(ids(30), "500") | dict.fromkeys(ids(40)[30:], "429, after 2 s"), outage=1)
    async with sky.client() as galileo, galileo.count_many(sorted(ids(100) * 3), concurrency=2) as stream:
        async for _ in stream:
            pass
    budget = stream._budget
    assert (0, 0, 0, 0) == (budget.in_flight, budget.in_trouble, budget.own, budget.parked)
    assert (0, 0) == (budget._waiting, budget._following)


def test_a_quota_is_found_although_some_projects_are_bad():
    """Their failures end no row of those that were refused."""
    bad = dict.fromkeys(ids(8), "429")
    sky = mixed(bad, Window(10, 30), outage=2)
    assert 0 == fan_out(sky, ids(88)).lost
    assert sum(sky.by_project[project] for project in ids(88)[8:]) < 3 * 80


def test_while_half_of_a_gateway_is_away_the_other_half_is_counted():
    """Half of the projects answer 502 for 20 s, and are counted soon after that."""
    healthy, away = ids(4_000)[::2], ids(4_000)[1::2]
    sky = Scripted(latency=0.05, others=dict.fromkeys(away, during([(0, 20)], refusal(502))))
    fared = fan_out(sky, ids(4_000))
    assert 0 == fared.lost
    assert fared.last < 15
    assert fared.end < 35
    assert {1} == {sky.by_project[project] for project in healthy}


@pytest.mark.parametrize(
    ("trouble", "outage", "n", "start"), [("503", 2, 2, 0), ("503", 5, 2, 0), ("hangs", 0, 20, 100)]
)
@virtual_time
async def test_callers_of_one_query_in_trouble_keep_no_fan_out_waiting(trouble, outage, n, start):
    """The query's counts are sent one at a time, and probes are sent for others, too."""
    sky = mixed({OTHER: trouble}, outage=outage)
    async with sky.client() as galileo, callers(galileo, [OTHER] * n):
        await asyncio.sleep(start)
        fared = await fare(sky, galileo, ids(51)[1:])
    assert 0 == fared.lost
    assert fared.last < 2 * outage + 5


@pytest.mark.parametrize(
    ("bad", "service", "counts", "most"),
    [
        *[
            (every(10, trouble, 500), Bucket(20, 20), 500, most)
            for trouble, most in (("429, after 15 s", 4.0), ("429, after 50 s", 1.0), ("503", 8.0))
        ],
        (dict.fromkeys(ids(3_300)[3_000:], "500"), None, 3_300, 1.0),  # the healthy project is known to be answered
        (dict.fromkeys(ids(1_600)[1_300:], "429, after 50 s"), None, 1_600, 1.0),
        (dict.fromkeys(ids(300), "hangs"), None, 300, 5.0),
    ],
)
@virtual_time
async def test_the_rest_of_a_fan_out_keeps_no_caller_waiting(bad, service, counts, most):
    """Once only projects in trouble are left, their failures don't slow down a healthy project that is polled."""
    sky = mixed(bad, service)
    async with sky.client() as galileo, callers(galileo, ids(counts + 1)[counts:]) as (timed,):
        await fare(sky, galileo, ids(counts))
    assert {7} == {outcome for outcome, _ in timed}
    assert max(seconds for _, seconds in timed) < most


@pytest.mark.parametrize("lot", [1, *(pytest.param(lot, marks=thorough) for lot in (0, 2, 3, 4, 5))])
@virtual_time
async def test_what_the_service_refused_waits_behind_no_project_that_is_slow_to_fail(lot):
    """Three projects in a hundred fail slowly, while a limit refuses healthy ones now and then."""
    random.seed(lot)
    targets, other = ids(1_250)[:1_200], ids(1_250)[1_200:]
    sky = mixed(dict.fromkeys(random.Random(lot).sample(targets, 36), "504 after 10 s"), Bucket(20, 20))
    waited: list[float] = []
    async with sky.client(lot + 1) as galileo:
        async with asyncio.TaskGroup() as tasks, galileo.count_many(targets, concurrency=5) as stream:
            second = tasks.create_task(fare(sky, galileo, other))
            async for result in stream:
                if result.target not in sky.others:
                    assert result.ok, result.error
                    waited += [attempt.waited for attempt in result.attempts[1:]]
        assert second.result().lost == 0
    assert max(waited) < 30


@pytest.mark.parametrize("step", [2, 4, 10])
@pytest.mark.parametrize(("maximum", "start"), [(256, 3), (256, 6), (100, 3), (20, 3)])
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
    assert fared.lost == 0
    assert fared.last < 20
    assert {7} == {outcome for outcome, _ in timed}
    assert max(seconds for _, seconds in timed) < 2


@pytest.mark.parametrize("trouble", ["429, after 15 s", "429, after 50 s", "hangs", "503"])
@virtual_time
async def test_a_project_in_trouble_keeps_no_caller_of_others_waiting(trouble):
    """What it answers, such as a Retry-After, is about itself."""
    async with mixed({OTHER: trouble}, outage=2).client() as galileo:
        async with callers(galileo, [OTHER] * 3 + ids(4)[1:]) as met:
            await asyncio.sleep(300)
    for timed in met[3:]:
        assert len(timed) > 270
        assert all(outcome == 7 and seconds < 0.5 for outcome, seconds in timed[5:])


@pytest.mark.parametrize(
    ("quota", "most"),
    [
        (Window(5, 60), 2.9),
        (Window(9, 60), 2.9),
        (Window(20, 60), 2.5),
        (Window(10, 30), 2.4),
        (Bucket(0.1, 1), 2.5),
        (Bucket(0.2, 1), 2.1),
    ],
)
def test_a_slow_service_counts_everything(quota, most):
    """While it answers at all, nothing is given up, and `most` requests a count are enough."""
    random.seed(1)  # with one lot in a hundred, 0.2 a second costs up to five requests a count
    sky = mixed({}, quota)
    assert 0 == fan_out(sky, ids(60)).lost
    assert sky.requests <= most * 60


@pytest.mark.parametrize("lot", [0, 1, *(pytest.param(lot, marks=thorough) for lot in range(2, 6))])
@virtual_time
async def test_a_bad_project_that_callers_poll_does_not_hide_a_quota(lot):
    """However often one query fails, that says little about others. Their retries have waited for the service, too."""
    random.seed(lot)
    sky = mixed({OTHER: "429"}, Window(10, 30))
    async with sky.client() as galileo, callers(galileo, [OTHER] * 12):
        await asyncio.sleep(1)
        assert 0 == (await fare(sky, galileo, ids(40))).lost
    assert sky.requests - sky.by_project[OTHER] <= 5 * 40


@pytest.mark.parametrize("lot", [1, *(pytest.param(lot, marks=thorough) for lot in (3, 4, 5, 6, 8))])
@virtual_time
async def test_a_quarter_of_bad_projects_does_not_push_the_rate_down_for_good(lot):
    """Beside a limit of twenty a second, and although callers are answered by no project."""
    random.seed(lot)
    targets, polled = ids(1_600), ids(1_603)[1_600:]
    bad = [*random.Random(lot).sample(targets, 400), *polled]
    sky = mixed(dict.fromkeys(bad, "429"), Bucket(20, 20))
    async with sky.client(lot + 1) as galileo, callers(galileo, polled):
        await asyncio.sleep(1)
        fared = await fare(sky, galileo, targets)
    assert (0, True) == (fared.lost, fared.last < 150), fared


@pytest.mark.parametrize("trouble", ["503", pytest.param("429, after 2 s", marks=thorough)])
@pytest.mark.parametrize("lot", [0, *(pytest.param(lot, marks=thorough) for lot in (4, 5, 8, 9))])
@virtual_time
async def test_quick_refusals_do_not_hide_that_most_requests_fail(lot, trouble):
    """Refusals come sooner than answers: when one arrives, later requests have failed, but earlier ones count."""
    random.seed(lot)
    *targets, one, two, three, polled = ids(604)
    bad = dict.fromkeys([polled, *random.Random(lot).sample(targets, 150)], trouble)
    sky = mixed(bad, Bucket(20, 1))
    async with sky.client() as galileo, callers(galileo, [one, two, three, polled]):
        fared = await fare(sky, galileo, targets)
    assert fared.lost == 0
    assert fared.last < 200
    assert sum(sky.by_project[target] for target in targets if target not in bad) <= 2 * 450


@pytest.mark.parametrize("trouble", ["503", "429, after 2 s"])
@virtual_time
async def test_a_single_bad_project_is_given_up_while_others_are_counted(trouble):
    """Its own failures show that it is bad, even if nobody else fails."""
    bad, *_ = targets = ids(1_500)
    sky = mixed({bad: trouble})
    async with sky.client(limits=Limits(rate=10)) as galileo, galileo.count_many(targets) as stream:
        assert [sky.now < 100 async for result in stream if result.target == bad] == [True]


@pytest.mark.parametrize("lot", [2, 5, *(pytest.param(lot, marks=thorough) for lot in (0, 1, 3, 4, 6, 7))])
def test_healthy_projects_that_take_long_do_not_slow_all_others_down(lot):
    """Most answers take 1.5 s. A few quick ones in a row are no standard for all rounds to come."""
    random.seed(lot)
    slow = ids(2_000)
    random.Random(lot).shuffle(slow)
    sky = Scripted(latency=0.02, others=dict.fromkeys(slow[:1_200], lambda *_: Late(1.5, COUNTED)))
    assert fan_out(sky, ids(2_000)).end < 120  # 1,800 s of work


@pytest.mark.parametrize("over", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("first", [0, 10, 20, 30, 40])
@pytest.mark.parametrize("trouble", ["429, after 15 s", "503", "500"])
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


@pytest.mark.parametrize(("ordered", "least", "most"), [(False, 11, 60), (True, 2, 10)])
@virtual_time
async def test_what_a_fan_out_pulls_and_sends_is_bounded(ordered, least, most):
    """Ten times `concurrency` wait between attempts, or none in order, beside those that have room anyway."""
    source, sky = Source(ids(300)), mixed(every(2, "429, after 2 s", 300))
    waiting = at_once = taken = 0
    async with sky.client() as galileo, galileo.count_many(source, concurrency=5, ordered=ordered) as stream:
        async for _ in stream:
            waiting, taken = max(waiting, source.pulled - taken), taken + 1
            at_once = max(at_once, stream.progress.in_flight)
    assert least <= waiting <= most
    assert at_once <= 5


@pytest.mark.parametrize("answer", [refusal(), refusal(500), Response(429, {"Retry-After": "0.001"}, b"")])
@virtual_time
async def test_one_query_is_sent_at_most_a_hundred_times_in_ten_seconds(answer):
    """Neither its callers nor the settings make it more, while others are answered."""
    sky, retry = Scripted(latency=0.001, others={OTHER: lambda *_: answer}), Retry(backoff=0, attempts=20)
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


SHORT: dict[int, str] = {
    68: "50 in a second, 250 of 1,250 answer 503, five at once: the last one after 311 s instead of 22, with this lot",
}
MARKS = {seed: [pytest.mark.xfail(strict=True, reason=reason)] for seed, reason in SHORT.items()}
SEARCH = [pytest.param(seed, marks=[thorough, *MARKS.get(seed, [])]) for seed in range(10, 70)]


@pytest.mark.parametrize("seed", [*range(10), *SEARCH])
def test_at_random_services_healthy_projects_are_counted(seed):
    """None is lost, and none takes long, whatever the others answer."""
    assert "" == shortfall(seed)


@pytest.mark.parametrize("gap", [1, 20, pytest.param(70, marks=thorough), 3_600])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=thorough) for seed in range(1, 8))])
@virtual_time
async def test_a_client_counts_projects_that_were_bad_before(seed, gap):
    """Of three fan-outs, seconds or hours apart, each meets other projects in trouble, and perhaps another limit."""
    chance, targets, sky = random.Random(seed), ids(300), mixed({})
    async with sky.client(seed + 1) as galileo:
        for _ in range(3):
            bad, names = chance.sample(targets, chance.choice([3, 30, 75])), chance.sample(sorted(TROUBLES), 2)
            limit = chance.choice(LIMITS[:-2])()
            drawn = mixed({project: chance.choice(names) for project in bad}, limit)
            sky.script, sky.others = drawn.script, drawn.others
            assert 0 == (await fare(sky, galileo, targets, concurrency=chance.choice([5, None]))).lost
            await asyncio.sleep(gap)


# ---- a query's own failures ------------------------------------------------------------------------------------------

GAPS = {0.1: 1_200, 1: 120, 11: 60}
"""Seconds between good counts, and how many there are."""


def blip(seconds: float) -> Scripted:
    """A service that refuses everything for a moment; then one target hangs."""
    script = during([(0, seconds)], refusal())
    return Scripted(script, others={OTHER: lambda now, number: script(now, number) or Late()})


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1, 2])
@virtual_time
async def test_a_target_that_hangs_after_a_blip_is_given_up_after_a_minute(seconds):
    """How the others fared in the blip is no evidence half a minute later: two timeouts are enough."""
    sky = blip(seconds)
    cost = await cost_of_new(sky, 40)
    assert 1 == cost.lost
    assert cost.seconds < seconds + 62
    assert sky.by_project[OTHER] <= 2 + 3


@pytest.mark.parametrize("seconds", [0.2, 1])
def test_a_target_that_hangs_opens_no_breaker(seconds):
    """Whenever a single count begins meanwhile, it takes no time, and no refusal of minutes ago is its error."""

    async def count_at(begin: float) -> Timed:
        sky = blip(seconds)
        async with sky.client() as galileo:
            fan_out = asyncio.create_task(galileo.count_all(ids(40)))
            await sky.until(begin)
            timed = await outcome_of(galileo)
            await fan_out
            return timed

    timed = [run(count_at(begin)) for begin in range(10, 300, 7)]
    assert [] == [(found, seconds) for found, seconds in timed if found != 7 or seconds > 0.5]


def seconds_lost(seed: int) -> float:
    """The most seconds that a good count takes more than alone, at a random healthy service; infinite if one fails."""
    chance = random.Random(seed)
    trouble, gap, pause = chance.choice(OWN), chance.choice([*GAPS]), chance.choice([0.1, 1, 30])
    model = Service(min(3 * gap, 0.002 * 1_000 ** chance.random()), chance.uniform(0, 0.5))
    durations = [model.duration() for _ in range(GAPS[gap])]

    async def counts(pause: float | None) -> list[Timed]:
        number = iter(durations)
        sky = Scripted(lambda *_: Late(next(number)), others={OTHER: lambda *_: KNOWN[trouble]})
        async with sky.client(seed) as galileo, callers(galileo, [OTHER] * (pause is not None), pause):
            return await ask_and_time(galileo, gap, len(durations))

    pairs = zip(run(counts(pause)), run(counts(None)), strict=True)
    return max(took - alone if found == 7 else inf for (found, took), (_, alone) in pairs)


@pytest.mark.parametrize("seeds", [range(10), pytest.param(range(10, 110), marks=thorough)], ids=["ten", "a hundred"])
def test_at_random_healthy_services_good_counts_are_as_fast_as_alone(seeds):
    """Whatever else is counted, none takes over half a second more than without it."""
    assert {} == {seed: lost for seed in seeds if (lost := seconds_lost(seed)) > 0.5}


# ---- what is the service's -------------------------------------------------------------------------------------------


class Gateway(Queue):
    """Some workers behind a gateway that answers for them after five seconds, while their work goes on."""

    def arrive(self, now: float) -> Reply:
        reply = super().arrive(now)
        return reply if reply.seconds < 5 else Reply("refused", 5.0)


OVERLOADED: dict[str, tuple[Callable[[], Service], int, float]] = {
    "20 at once": (lambda: Capacity(20, 0.1), 1_000, 5.0),
    "50 a second": (lambda: Bucket(50, 20), 500, 9.6),
    "10 a second": (lambda: Bucket(10, 5), 100, 9.5),
    "4 workers behind a gateway": (lambda: Gateway(4, 1.0), 300, 75.0),
}
"""Services, how many counts a fan-out has, and the fewest seconds that these take."""
STATUSES = pytest.mark.parametrize("status", [500, 503, 504])


@STATUSES
@pytest.mark.parametrize("overloaded", OVERLOADED)
@virtual_time
async def test_overload_slows_a_fan_out_down_whatever_its_status(overloaded, status):
    """A service that answers 500 or 504 to what is too much loses no count, nor much time."""
    service, counts, ideal = OVERLOADED[overloaded]
    cost = await cost_of_new(Sky(service(), status), counts)
    assert 0 == cost.lost
    assert cost.requests <= (1.5 if status == 503 else 1.7) * counts  # a failure isn't believed at once
    assert cost.seconds <= 1.25 * ideal


@STATUSES
@virtual_time
async def test_overload_slows_single_counts_down_whatever_its_status(status):
    """Thirty callers at a service that takes ten at once lose no count, and each waits for a few seconds at most."""
    sky, projects, counts = Sky(Capacity(10, 0.1), status), iter(ids(1_800)), list[Timed]()
    async with sky.client() as galileo:

        async def call() -> None:
            for _ in range(60):
                counts.append(await outcome_of(galileo, next(projects)))

        await asyncio.gather(*(call() for _ in range(30)))
    assert {7} == {found for found, _ in counts}
    assert max(seconds for _, seconds in counts) < 4
    assert sky.requests <= 1.7 * 1_800


@STATUSES
@pytest.mark.parametrize(("callers", "pause"), [(50, 1), (10, 0.2)])
@virtual_time
async def test_a_query_that_everybody_polls_opens_the_breaker(callers, pause, status):
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
    assert max(noticed) < 65 + 4


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
