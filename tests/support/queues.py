"""The queue of a client without a client: counts that wait in it, and what becomes of their requests."""

import asyncio

from galileo_sessions import GalileoError, Limits, Retry
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.queue import Queue
from galileo_sessions.flow.verdict import verdict_on
from support.decisions import status

REFUSED = status(503)


def narrow(width: int = 1, **arguments: object) -> Queue:
    """A queue with so many places."""
    return Queue(Limits(width, **arguments), Retry())


def waiting(
    queue: Queue, *, interactive: bool = False, patience: float = 90.0, **arguments: object
) -> asyncio.Task[Permit | GalileoError]:
    """A task that waits for a permit."""
    return asyncio.create_task(queue.acquire(interactive=interactive, patience=patience, **arguments))


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


async def turn() -> None:
    """Lets all tasks run as far as they can, the pace of requests included."""
    await asyncio.sleep(0.1)


def succeed(queue: Queue, permit: Permit) -> None:
    """Ends a request with an answer."""
    queue.ended(permit, now(), Outcome("success", now() - permit.at))


def refuse(queue: Queue, permit: Permit, error: GalileoError = REFUSED) -> None:
    """Ends a request with an error."""
    verdict = verdict_on(error)
    queue.ended(permit, now(), Outcome(verdict.meaning, None, verdict.retry_after), error)


async def open_the_breaker(queue: Queue, error: GalileoError = REFUSED) -> None:
    """Lets the service refuse until only single probes are sent."""
    while not queue.flow.breaker.is_open:
        refuse(queue, await queue.acquire(interactive=False, patience=90.0), error)
