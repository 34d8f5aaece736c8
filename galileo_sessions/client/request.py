"""
One request to the service, from the query to the answer: the wait for a permit, the attempts, the deadline.

A request makes attempts until one brings the answer, the retry policy gives up, or the deadline passes.
An attempt begins with the permit to send, and ends with the last byte or an error.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Callable
from copy import copy
from math import inf
from typing import Any, Protocol, TypeVar

from attrs import define

from galileo_sessions import errors
from galileo_sessions.client.auth import Authentication
from galileo_sessions.client.flow.allowance import allowance
from galileo_sessions.client.flow.control import Permit
from galileo_sessions.client.flow.queue import Queue
from galileo_sessions.client.policy import Retries, Retry
from galileo_sessions.client.query import CountQuery
from galileo_sessions.client.responses import COUNT, Endpoint, error_of
from galileo_sessions.client.transport import Transport

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

_TIMER = 0.001  # seconds by which a timer can be early
_LINE = "POST %s: attempt %d, status %s, %.0f ms"
_INTERACTIVE_PATIENCE = 10.0
"""
Seconds that a single request without a deadline waits for a service that refuses everything.

That is about how long people stay attentive while they wait (Miller 1968, Nielsen 1993). It outlasts a restart or
a failover of some seconds, and is less than the 30 s after which most gateways in front of the caller give up.
"""

Attempts = tuple[errors.Attempt, ...]
OnAttempt = Callable[[errors.Attempt], object]


class Count(Protocol):
    """Counts a query, until a deadline on the loop's clock; `interactive` is False for the targets of a fan-out."""

    async def __call__(
        self, query: CountQuery, deadline: float | None, *, interactive: bool = True
    ) -> tuple[int, Attempts]: ...


@define
class RequestState:
    """The state of a request that is under way."""

    endpoint: Endpoint[Any]
    query: CountQuery
    body: bytes
    deadline: float
    """On the loop's clock; infinite if there is none."""
    interactive: bool
    """Whether it is asked on its own, not in a fan-out."""
    started: float
    waiting_since: float
    """When the wait for the next attempt began."""
    attempts: Attempts = ()
    retries: Retries | None = None
    """Made when the first attempt has failed."""
    not_before: float = -inf
    """When the next attempt can begin, on the loop's clock."""
    allowance: tuple[int, float] | None = None
    """How many requests the service will take, and for how many seconds, according to the last answer."""
    new_token: bool = False
    """Whether the token of the last attempt was refused, for the first time, so that the next attempt has a new one."""
    renewed: bool = False

    def is_cut_short(self, error: errors.GalileoError, now: float) -> bool:
        """Whether the error is a timeout caused by the call's deadline, so that it says nothing about the service."""
        return isinstance(error, errors.AttemptTimeoutError) and self.deadline - now <= _TIMER

    def failure(self, error: errors.GalileoError, now: float) -> errors.GalileoError:
        """
        The error to raise. If the network failed after a response, it is the error of that response.

        It is a copy, because an attempt lists the original.
        """
        if isinstance(error, errors.TransportError):
            responses = [attempt.error for attempt in self.attempts if isinstance(attempt.error, errors.ResponseError)]
            error = responses[-1] if responses else error
        final = copy(error)
        final.query, final.attempts, final.elapsed = self.query, self.attempts, now - self.started
        return final

    def too_late(self, now: float) -> errors.GalileoError:
        """The error to raise if the deadline has passed, or will pass before the next attempt."""
        last = self.attempts[-1].error if self.attempts else None
        made = f" after a {type(last).__name__}" if last else " before a request could be sent"
        return self.failure(errors.DeadlineExceededError(f"timeout= ran out{made}; give more time", last=last), now)


def refuse_coroutine_function(name: str, callback: Callable[[T], object] | None) -> None:
    """
    Checks a callback when it is given.

    Raises:
        ConfigurationError: if it is a coroutine function, because nothing would await its coroutines.
    """
    if inspect.iscoroutinefunction(callback):
        shown = getattr(callback, "__qualname__", type(callback).__name__)  # the repr of a partial has its arguments
        raise errors.ConfigurationError(f"{name} must be a plain function, got the coroutine function {shown}")


def _jitter(most: float) -> float:
    return random.uniform(0, most)  # noqa: S311  # spreads retries, protects nothing


@define(eq=False)
class Requester:
    """Sends queries and reads the responses."""

    transport: Transport
    """Tells whether anything can be sent, and is closed at the end."""
    authentication: Authentication
    """Sends one request with credentials."""
    attempt_timeout: float
    """Seconds that one attempt may take."""
    retry: Retry
    """Whether to try again."""
    queue: Queue
    """Gives the permits."""
    on_attempt: OnAttempt | None
    """Called after each attempt. What it raises is logged."""
    jitter: Callable[[float], float] = _jitter
    """A random time of at most so many seconds."""

    async def count(
        self, query: CountQuery, deadline: float | None, *, interactive: bool = True
    ) -> tuple[int, Attempts]:
        """The count of a query, and the attempts that it took; see `send`."""
        if not query.body:  # it selects no session
            return 0, ()
        return await self.send(COUNT, query, query.body, deadline, interactive=interactive)

    async def send(
        self, endpoint: Endpoint[T], query: CountQuery, body: bytes, deadline: float | None, *, interactive: bool = True
    ) -> tuple[T, Attempts]:
        """
        The answer to a request, and the attempts that it took.

        Args:
            endpoint: Where it is sent.
            query: Its project; errors carry the query.
            body: What is sent.
            deadline: When to give up, on the loop's clock.
            interactive: Whether it isn't part of a fan-out: it is sent before the targets of fan-outs, and has less
                patience.

        Raises:
            GalileoError: with `query`, `attempts` and `elapsed`.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        state = RequestState(endpoint, query, body, inf if deadline is None else deadline, interactive, now, now)
        refusal = self.transport.refusal(loop)
        if refusal is not None:
            raise state.failure(refusal, now)
        if now >= state.deadline:
            raise state.too_late(now)
        while True:
            permit = None if state.attempts else self.queue.try_acquire(interactive=interactive)
            answer, error = await self._attempt(state, permit or await self._acquire(state))
            if error is None:
                return answer, state.attempts
            self._prepare_retry(state, error)

    async def close(self) -> None:
        """Ends all waits, cancels a login in progress, and closes the transport; nothing more is sent meanwhile."""
        self.queue.close(self.transport.stop())
        try:
            await self.authentication.close()
            await self.transport.close()
        finally:
            _ = self.transport.abandon()  # if a cancellation interrupted the closing

    async def _acquire(self, state: RequestState) -> Permit:
        timeout = asyncio.timeout_at(state.deadline if state.deadline < inf else None)
        permit: Permit | errors.GalileoError | None = None
        try:
            async with timeout:
                permit = await self.queue.acquire(
                    interactive=state.interactive,
                    patience=self._patience(state),
                    has_failed=bool(state.attempts),
                    not_before=state.not_before,
                )
        except TimeoutError:
            if not timeout.expired():  # it comes from Limits(rate=...)
                raise
        if isinstance(permit, Permit):
            return permit
        now = asyncio.get_running_loop().time()
        raise state.too_late(now) if permit is None else state.failure(permit, now)

    def _patience(self, state: RequestState) -> float:
        patience = self.retry.patience
        return min(patience, _INTERACTIVE_PATIENCE) if state.interactive and state.deadline == inf else patience

    async def _attempt(self, state: RequestState, permit: Permit) -> tuple[Any, errors.GalileoError | None]:
        """One attempt, recorded in `state`: the answer, or an error."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        answer: Any = None
        error: errors.GalileoError | None = None
        try:
            answer = await self._exchange(state, min(begun + self.attempt_timeout, state.deadline))
        except errors.GalileoError as problem:
            error = problem.with_traceback(None)  # a traceback would keep the whole response alive
        except BaseException:
            self.queue.released(permit)
            raise
        ended = clock()
        queue = self.queue
        if not state.attempts:
            failed = error is not None and error.verdict.kind not in ("answered", "fatal")
            queue.first_attempts.add(ended, failed=failed)
        if error is None:
            queue.succeeded(permit, ended, state.allowance)
        elif state.is_cut_short(error, ended):
            queue.released(permit)
        else:
            is_own = state.retries is not None and state.retries.has_own_trouble(queue.first_attempts)
            queue.failed(permit, error, ended, state.allowance, is_own=is_own)
        self._record(state, error, begun, ended)
        return answer, error

    async def _exchange(self, state: RequestState, until: float) -> Any:
        state.allowance, state.new_token = None, False
        endpoint, authentication = state.endpoint, self.authentication
        path = endpoint.path.format(project_id=state.query.project_id)
        response = await authentication.post(path, state.body, until=until, max_body=endpoint.max_body)
        found = allowance(response.headers)
        state.allowance = None if found is None else (found[0], min(found[1], self.retry.max_retry_after))
        if response.status == 200:
            return authentication.decode(endpoint, response.body)
        state.new_token = response.status == 401 and authentication.logs_in and not state.renewed
        state.renewed = state.renewed or state.new_token
        raise error_of(response, state.query)

    def _record(self, state: RequestState, error: errors.GalileoError | None, begun: float, ended: float) -> None:
        status = error.status if isinstance(error, errors.ResponseError) else None
        if error is None or isinstance(error, errors.DecodeError):
            status = 200
        number, flow = len(state.attempts) + 1, self.queue.flow
        limits = (flow.width, flow.rate, flow.breaker.is_open)
        attempt = errors.Attempt(number, status, error, begun - state.waiting_since, ended - begun, *limits)
        state.attempts += (attempt,)
        state.waiting_since = ended
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(_LINE, state.endpoint.path, number, status, attempt.elapsed * 1000)
        if self.on_attempt is not None:
            call_back("on_attempt", self.on_attempt, attempt)

    def _prepare_retry(self, state: RequestState, error: errors.GalileoError) -> None:
        """
        Decides when the next attempt can begin.

        Raises:
            GalileoError: if there is no next attempt.
        """
        now, queue = state.waiting_since, self.queue
        if state.is_cut_short(error, now):
            raise state.too_late(now)
        if state.retries is None:
            until = min(now + self._patience(state), state.deadline)
            number = queue.first_attempts.number if len(state.attempts) == 1 else 0
            state.retries = Retries(self.retry, state.interactive, self.jitter, number, now, until)
        if state.new_token and self.retry.attempts > 1:
            return
        wait = state.retries.next_wait(error.verdict, now, queue.first_attempts, has_answered=queue.flow.has_answered)
        if wait is None:
            raise state.failure(error, now)
        if now + wait >= state.deadline:
            raise state.too_late(now)
        state.not_before = now + wait


def call_back(name: str, callback: Callable[[T], object], value: T) -> None:
    """Calls a user's function. What it raises is logged, so that it can't lose a count."""
    try:
        _ = callback(value)
    except Exception:
        logger.exception("%s raised; the counts go on", name)
