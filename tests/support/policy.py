"""The queue and the retries of a client, without a client: errors, what they cost, and counts that wait in line."""

import asyncio
from datetime import UTC, datetime

import galileo_sessions as gs
from galileo_sessions import AttemptTimeoutError, ConnectError, DisconnectedError, GalileoError, Limits, Retry
from galileo_sessions.api.responses import Response, error_of
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import Outcome, outcome_of
from galileo_sessions.flow.policy import Retries
from galileo_sessions.flow.queue import Queue

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SINGLE, MANY = Budget(patience=90.0, is_single=True), Budget(patience=90.0)


def status(number: int, **headers: str) -> gs.ResponseError:
    """The error of a response; `Retry_After="1"` sets the header Retry-After."""
    return error_of(Response(number, {name.replace("_", "-"): value for name, value in headers.items()}, b""))


TRANSPORT = {
    "connect": ConnectError("x"),
    "disconnect": DisconnectedError("x"),
    "timeout": AttemptTimeoutError("x", phase="response"),
    "protocol": gs.ProtocolError("x"),
}
REFUSED = status(503)

# ---- retries ---------------------------------------------------------------------------------------------------------


def most(seconds: float) -> float:
    """Chooses the longest wait."""
    return seconds


def failing(share: float, now: float = 0.0, others: int = 63) -> Evidence:
    """What is known if this share of so many other queries fails."""
    evidence = Evidence()
    for number in range(others):
        evidence.add(number, now, failed=number < round(share * others))
    return evidence


def waits_of(
    error: GalileoError,
    policy: Retry = Retry(),  # noqa: B008  # frozen
    *,
    share: float = 0.0,
    is_single: bool = False,
    draw=most,
    took: float = 0.0,
    at_most: int = 1_000,
) -> list[float]:
    """
    The waits of a count whose attempts all end with the same error, until it is given up.

    Args:
        error: What each attempt ends with.
        policy: Decides.
        share: Of 63 other queries, those that fail.
        is_single: Whether the count is a single one.
        draw: Chooses each wait, up to its argument.
        took: Seconds of each attempt.
        at_most: Waits after which to stop.
    """
    waits, now = list[float](), 100.0
    budget = Budget(patience=policy.patience, is_single=is_single)
    retries = Retries(policy, budget, draw, "own", started=now, since=now)
    while len(waits) < at_most:
        wait = retries.next_wait(outcome_of(error), now, failing(share, now))
        if wait is None:
            break
        waits.append(wait)
        now += wait + took
    return waits


# ---- the queue -------------------------------------------------------------------------------------------------------


def narrow(width: int = 1, **arguments: object) -> Queue:
    """A queue with so many places."""
    return Queue(Limits(width, **arguments))


def waiting(queue: Queue, budget: Budget = MANY, **arguments: object) -> asyncio.Task[Permit | GalileoError]:
    """A task that waits for a permit."""
    return asyncio.create_task(queue.acquire(budget, **arguments))


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


async def turn() -> None:
    """Lets all tasks run as far as they can, the pace of requests included."""
    await asyncio.sleep(0.1)


def succeed(queue: Queue, permit: Permit) -> None:
    """Ends a request with an answer."""
    queue.ended(permit, now(), Outcome("success", 0.1))


def refuse(queue: Queue, permit: Permit, error: GalileoError = REFUSED) -> None:
    """Ends a request with an error."""
    queue.ended(permit, now(), outcome_of(error), error)


async def open_the_breaker(queue: Queue, error: GalileoError = REFUSED) -> None:
    """Lets the service refuse until only single probes are sent."""
    while not queue.flow.breaker.is_open:
        refuse(queue, await queue.acquire(MANY), error)
