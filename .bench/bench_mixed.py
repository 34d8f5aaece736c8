"""Mixed services: 2,000 projects of which some are always in trouble, while the others answer; in virtual time."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import harness
from support.clients import ids
from support.clock import run
from support.models import TIMEOUT
from support.network import COUNTED, Late, Script, Scripted, refusal

PROJECTS = 2_000  # the goal: no healthy one is lost, and the last is counted in 1.5 times as long as alone, and 5 s
TROUBLES: dict[str, Script] = {
    "503": lambda *_: refusal(),
    "500": lambda *_: refusal(500),
    "429, Retry-After 2": lambda *_: refusal(429, 2),
    "hang": lambda *_: Late(),
}
SHARES = (0, 1, 10, 25, 50)  # percent

Ended = AsyncIterator[tuple[str, bool]]
"""Each project when it ended, and whether it was counted."""


async def ours(sky: Scripted, targets: list[str]) -> Ended:
    """The whole client, with its defaults."""
    random.seed(1)  # with which the client chooses who goes first
    async with sky.client(1) as galileo, galileo.count_many(targets) as stream:
        async for result in stream:
            yield str(result.target), result.ok


async def by_hand(width: int, sky: Scripted, targets: list[str]) -> Ended:
    """So many requests at once, and four tries."""
    places, chance = asyncio.Semaphore(width), random.Random(1)

    async def count(target: str) -> tuple[str, bool]:
        for number in range(4):
            try:
                async with places, asyncio.timeout(TIMEOUT):
                    response = await sky.post(f"/v2/projects/{target}/sessions/count")
            except TimeoutError:
                response = refusal(504)
            if response.status == COUNTED.status:
                return target, True
            asked = float(response.headers.get("Retry-After", 0))
            await asyncio.sleep(asked + chance.uniform(0, 0.25 * 2**number))
        return target, False

    tasks = [asyncio.create_task(count(target)) for target in targets]
    for counted in asyncio.as_completed(tasks):
        yield await counted


CONTENDERS: dict[str, Callable[[Scripted, list[str]], Ended]] = {"this client": ours}
CONTENDERS |= {f"{width} at once": partial(by_hand, width) for width in (16, 64)}


async def fare(name: str, trouble: str, share: int) -> tuple[str, str]:
    """When the last healthy project was counted and how many were lost; when all ended, and requests to a bad one."""
    targets = ids(PROJECTS)
    bad = set(random.Random(share).sample(targets, PROJECTS * share // 100))
    sky = Scripted(latency=0.05, others=dict.fromkeys(bad, TROUBLES[trouble]))
    last, lost = 0.0, 0
    async for target, is_counted in CONTENDERS[name](sky, targets):
        if target not in bad:
            last, lost = sky.now, lost + (not is_counted)
    asked = sum(sky.by_project[target] for target in bad) / max(1, len(bad))
    return f"{last:,.1f} s" + f", {lost:,} lost" * bool(lost), f"{sky.now:,.0f} s, {asked:.1f}"


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write a short table between its comments on a page")
    page = parser.parse_args().write
    keys = [(trouble, name) for trouble in TROUBLES for name in CONTENDERS]
    found = {(trouble, name): [run(fare(name, trouble, share)) for share in SHARES] for trouble, name in keys}
    head = ["bad projects", "", *("none" if share == 0 else f"{share} %" for share in SHARES)]
    short, ends = ([[*key, *(pair[i] for pair in fared)] for key, fared in found.items()] for i in (0, 1))
    table = harness.markdown(head, short)
    print(table, "When the fan-out ends, and requests to each bad project:", harness.markdown(head, ends), sep="\n\n")
    if page is not None:
        intro = "prints how long it takes until the last healthy project is counted:"
        harness.write(page, "mixed services", f"`python .bench/bench_mixed.py` {intro}\n\n{table}")


if __name__ == "__main__":
    main()
