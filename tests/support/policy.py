"""The queue and the queries of a client, without a client: errors, what they cost, and counts that wait in line."""

import asyncio
from datetime import UTC, datetime
from math import inf

import galileo_sessions as gs
from galileo_sessions import AttemptTimeoutError, ConnectError, DisconnectedError, GalileoError, Limits, Retry
from galileo_sessions.api.responses import Response, error_of
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.outcome import Outcome, outcome_of
from galileo_sessions.flow.queries import Queries, Trouble
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

# ---- queries ---------------------------------------------------------------------------------------------------------


def most(seconds: float) -> float:
    """Chooses the longest wait."""
    return seconds


def waits_of(
    error: GalileoError,
    policy: Retry = Retry(),  # noqa: B008  # frozen
    *,
    cost: float = 1.0,
    is_own: bool = True,
    is_single: bool = False,
    draw=most,
    took: float = 0.0,
    at_most: int = 1_000,
) -> list[float]:
    """
    The waits of a count whose attempts all end with the same error, until it is given up, while another is answered.

    Args:
        error: What each attempt ends with.
        policy: Decides.
        cost: What a failure costs, relative to that of a query that fails alone.
        is_own: Whether the failures are the query's own.
        is_single: Whether the count is a single one.
        draw: Chooses each wait, up to its argument.
        took: Seconds of each attempt.
        at_most: Waits after which to stop.
    """
    queries, waits, now, outcome = Queries(policy), list[float](), 100.0, outcome_of(error)
    queries.jitter, budget = draw, Budget(patience=policy.patience, is_single=is_single)
    while outcome.meaning not in ("success", "ignored") and len(waits) < at_most:
        queries.answered("other", now)
        trouble = queries.failed("own", now)
        trouble.is_own = is_own
        queries.charge(trouble, now, outcome, cost * outcome.cost)
        if queries.gives_up(trouble, now, budget, 100.0):
            break
        waits.append(trouble.not_before - now)
        now = trouble.not_before + took
    return waits


# ---- the queue -------------------------------------------------------------------------------------------------------


def narrow(width: int = 1, policy: Retry = Retry(), **arguments: object) -> Queue:  # noqa: B008  # frozen
    """A queue with so many places."""
    return Queue(Limits(width, **arguments), policy)


def try_acquire(queue: Queue, budget: Budget = MANY, query: object = None) -> Permit | None:
    """A permit without waiting, for a query that is fresh unless it is named."""
    return queue.try_acquire(budget, query)


async def acquire(
    queue: Queue, budget: Budget = MANY, query: object = None, *, has_failed: bool = False, not_before: float = 0.0
) -> Permit | None:
    """Waits until a time, and then for a permit; None if the count is given up."""
    if not await queue.sleep(not_before, (budget.patience, -inf)):
        return None
    return await queue.acquire(budget, query, -inf, has_failed=has_failed, trouble=None)


def waiting(queue: Queue, budget: Budget = MANY, **arguments: object) -> asyncio.Task[Permit | None]:
    """A task that waits for a permit."""
    return asyncio.create_task(acquire(queue, budget, **arguments))


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


async def turn() -> None:
    """Lets all tasks run as far as they can, the pace of requests included."""
    await asyncio.sleep(0.1)


def succeed(queue: Queue, permit: Permit, query: object = None) -> None:
    """Ends a request with an answer; each is of another query, unless that is named."""
    queue.ended(permit, now(), Outcome("success", 0.1), query or permit.number)


def refuse(queue: Queue, permit: Permit, error: GalileoError = REFUSED, query: object = None) -> Trouble | None:
    """Ends a request with an error; each is of another query, unless that is named."""
    return queue.ended(permit, now(), outcome_of(error), query or permit.number, error)


async def open_the_breaker(queue: Queue, error: GalileoError = REFUSED) -> None:
    """Lets the service refuse until only single probes are sent."""
    while not queue.flow.breaker.is_open:
        refuse(queue, await acquire(queue), error)
