"""Projects that are always refused fail alone: the others are counted, and as fast."""

import asyncio

import pytest
from support.clients import ids
from support.models import Service
from support.network import Cost, Sky, cost_of_new, under

from galileo_sessions import Limits
from galileo_sessions.api.responses import Response

pytestmark = pytest.mark.thorough


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
    sky = Partial({str(project) for project in ids(5_000)}, 404)

    async def main() -> Cost:
        return await cost_of_new(sky, 5_000)

    cost = under(sky, main)
    assert cost.lost == 5_000
    assert cost.seconds < 4


@pytest.mark.parametrize(
    ("every", "status", "retry_after"), [(50, 503, None), (20, 429, "1"), (20, 503, "60"), (5, 503, None)]
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
