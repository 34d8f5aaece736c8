"""How benchmarks measure."""

import timeit
from collections.abc import Callable

ROUNDS = 30


def fastest(rivals: dict[str, Callable[[], object]], number: int) -> dict[str, float]:
    """The best seconds of each, measured in turns so that a busy moment hits all alike."""
    timers = {name: timeit.Timer(rival) for name, rival in rivals.items()}
    rounds = [{name: timer.timeit(number) / number for name, timer in timers.items()} for _ in range(ROUNDS)]
    return {name: min(times[name] for times in rounds) for name in rivals}
