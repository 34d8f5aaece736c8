"""
One question to the service, from the query to the answer: the wait for a permit, the attempts, the deadline.

A question makes attempts until one brings the answer, the retry policy gives up, or the deadline passes.
An attempt begins when the limiter gives a permit, and ends with the last byte or an error.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from copy import copy
from functools import partial
from math import inf
from typing import Any, TypeVar

from attrs import define

from galileo_sessions import errors
from galileo_sessions.client.authentication import Authentication
from galileo_sessions.client.endpoints import COUNT, Endpoint
from galileo_sessions.client.limiter import AdaptiveLimiter
from galileo_sessions.client.problems import Explanations
from galileo_sessions.client.query import CountQuery
from galileo_sessions.client.responses import error_of
from galileo_sessions.client.retry import Retry, RetryBudget, RetryDecisions, is_overload
from galileo_sessions.client.transport import Transport

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

_LINE = "POST %s: attempt %d, status %s, %.0f ms"

Attempts = tuple[errors.Attempt, ...]
OnAttempt = Callable[[errors.Attempt], object]


def call_safely(call: Callable[[], object], complaint: str) -> None:
    """Calls a callback of the user's; a failure is logged, for it must not lose a count."""
    try:
        call()
    except Exception:
        logger.exception(complaint)


@define
class RequestState:
    """One call of `Requester.send`, while it lasts."""

    endpoint: Endpoint[Any]
    query: CountQuery
    body: bytes
    deadline: float | None
    started: float
    waiting_since: float
    """When the wait for the next attempt began."""
    decisions: RetryDecisions
    attempts: Attempts = ()
    cut_short: bool = False
    """Whether the last attempt had to end with the deadline, before its own time was over."""
    new_token: bool = False
    """Whether the last attempt's token was refused, so that the next one has a new one."""

    def time_left(self, now: float) -> float:
        """Seconds until the deadline."""
        return inf if self.deadline is None else self.deadline - now

    def is_cut_short(self, error: errors.GalileoError) -> bool:
        """Whether a timeout says nothing of the service: the caller's time was over, not the attempt's."""
        return self.cut_short and isinstance(error, errors.AttemptTimeoutError)

    def failure(self, error: errors.GalileoError, now: float) -> errors.GalileoError:
        """What to raise: the last response rather than network trouble after it; a copy, for an attempt lists it."""
        if isinstance(error, errors.TransportError):
            responses = [attempt.error for attempt in self.attempts if isinstance(attempt.error, errors.ResponseError)]
            error = responses[-1] if responses else error
        final = copy(error)
        final.query, final.attempts, final.elapsed = self.query, self.attempts, now - self.started
        return final

    def too_late(self, now: float) -> errors.GalileoError:
        """The error for a deadline that has passed, or that the next attempt would pass."""
        last = self.attempts[-1].error if self.attempts else None
        made = "" if self.attempts else " before a request could be sent"
        return self.failure(errors.DeadlineExceededError(f"timeout= ran out{made}; give more time", last=last), now)


class Requester:
    """
    Sends queries and reads the responses.

    Args:
        transport: Sends one request.
        authentication: The headers of a request.
        attempt_timeout: Seconds that one attempt may take.
        retry: Whether to try again.
        limiter: Gives the permits.
        on_attempt: Called after each attempt; what it raises is logged.
    """

    def __init__(
        self,
        transport: Transport,
        authentication: Authentication,
        *,
        attempt_timeout: float,
        retry: Retry,
        limiter: AdaptiveLimiter,
        on_attempt: OnAttempt | None,
    ) -> None:
        self.limiter = limiter
        self.jitter: Callable[[float], float] = _jitter
        self._transport = transport
        self._authentication = authentication
        self._attempt_timeout = attempt_timeout
        self._retry = retry
        self._budget = RetryBudget()
        self._explanations = Explanations()
        self._on_attempt = on_attempt

    def count(self, query: CountQuery, deadline: float | None) -> Coroutine[Any, Any, tuple[int, Attempts]]:
        """The count for a query, and the attempts that it took; as `send`."""
        return self.send(COUNT, query, query.body, deadline)

    async def send(
        self, endpoint: Endpoint[T], query: CountQuery, body: bytes, deadline: float | None
    ) -> tuple[T, Attempts]:
        """
        The answer to a question, and the attempts that it took.

        Args:
            endpoint: What to ask.
            query: Of which project; errors carry it.
            body: What is sent.
            deadline: When to give up, on the loop's clock.

        Raises:
            GalileoError: with `query`, `attempts` and `elapsed`.
        """
        now = asyncio.get_running_loop().time()
        decisions = RetryDecisions(self._retry, self._budget, self.jitter)
        state = RequestState(endpoint, query, body, deadline, now, now, decisions)
        while True:
            answer, error = await self._attempt(state)
            if error is None:
                decisions.succeeded()
                return answer, state.attempts
            await self._wait_for_retry(state, error)

    async def close(self) -> None:
        """Cancels a login that is in progress, and closes the transport."""
        await self._authentication.close()
        await self._transport.close()

    async def _attempt(self, state: RequestState) -> tuple[Any, errors.GalileoError | None]:
        """One attempt, recorded in `state`: the answer, or an error."""
        permit = self.limiter.try_acquire() or await self._acquire(state)
        clock = asyncio.get_running_loop().time
        begun = clock()
        until = begun + self._attempt_timeout
        if state.deadline is not None and state.deadline < until:
            until, state.cut_short = state.deadline, True
        answer: Any = None
        error: errors.GalileoError | None = None
        try:
            if until <= begun:
                raise state.too_late(begun)
            answer = await self._exchange(state, until)
        except errors.DeadlineExceededError:
            raise
        except errors.GalileoError as problem:
            error = problem.with_traceback(None)  # which would keep the whole response alive
            self._report_overload(state, permit, error)
        finally:
            self.limiter.release(permit, succeeded=answer is not None)
        self._record(state, error, begun, clock())
        return answer, error

    async def _exchange(self, state: RequestState, until: float) -> Any:
        headers = await self._authentication.headers(until)
        endpoint = state.endpoint
        path = endpoint.path.format(project_id=state.query.project_id)
        response = await self._transport.post(path, state.body, headers, until=until, max_body=endpoint.max_body)
        if response.status == 200:
            return endpoint.decode(response.body, self._authentication.redact)
        error = error_of(response, self._authentication.redact, state.query, self._explanations)
        state.new_token = self._authentication.refused(error, headers)
        raise error

    async def _acquire(self, state: RequestState) -> int:
        timeout = asyncio.timeout_at(state.deadline)
        try:
            async with timeout:
                return await self.limiter.acquire()
        except TimeoutError:
            if not timeout.expired():  # then it is not ours, but of Limits(rate=...)
                raise
        raise state.too_late(asyncio.get_running_loop().time())

    def _report_overload(self, state: RequestState, permit: int, error: errors.GalileoError) -> None:
        """Tells the limiter that the service has too much to do, and for how long it asked to be left alone."""
        pause = error.retry_after if isinstance(error, errors.ResponseError) else None
        if pause is not None and pause > self._retry.max_retry_after:
            pause = None
        if is_overload(error) and not state.is_cut_short(error):
            self.limiter.overloaded(permit, pause)

    def _record(self, state: RequestState, error: errors.GalileoError | None, begun: float, ended: float) -> None:
        status = error.status if isinstance(error, errors.ResponseError) else None
        if error is None or isinstance(error, errors.DecodeError):
            status = 200
        attempt = errors.Attempt(len(state.attempts) + 1, status, error, begun - state.waiting_since, ended - begun)
        state.attempts += (attempt,)
        state.waiting_since = ended
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(_LINE, state.endpoint.path, attempt.number, status, attempt.elapsed * 1000)
        if self._on_attempt is not None:
            call_safely(partial(self._on_attempt, attempt), "on_attempt raised; the count goes on")

    async def _wait_for_retry(self, state: RequestState, error: errors.GalileoError) -> None:
        now = state.waiting_since
        if state.is_cut_short(error):
            raise state.too_late(now)
        wait = state.decisions.wait_after(error, left=state.time_left(now), new_token=state.new_token)
        if wait is None:
            raise state.failure(error, now)
        if wait == inf:
            raise state.too_late(now)
        if wait > 0:
            await asyncio.sleep(wait)


def _jitter(most: float) -> float:
    return random.uniform(0, most)  # noqa: S311  # spreads retries, protects nothing
