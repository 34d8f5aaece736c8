"""
One question to the service, from the query to the answer: the wait for a permit, the attempts, the deadline.

A question makes attempts until one brings the answer, the retry policy gives up, or the deadline passes.
An attempt begins with the permit to send, and ends with the last byte or an error.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Callable, Coroutine
from copy import copy
from math import inf
from typing import Any, Protocol, TypeVar

from attrs import define

from galileo_sessions import errors
from galileo_sessions.client.auth import Authentication
from galileo_sessions.client.endpoints import COUNT, Endpoint
from galileo_sessions.client.flow.allowance import allowance
from galileo_sessions.client.flow.control import Permit
from galileo_sessions.client.flow.queue import Admission
from galileo_sessions.client.policy import (
    Retry,
    RetryBudget,
    RetryDecisions,
    asked_wait,
    is_overload,
    is_told,
    is_trouble,
)
from galileo_sessions.client.query import CountQuery
from galileo_sessions.client.responses import error_of
from galileo_sessions.client.transport import Transport

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

_TIMER = 0.001  # seconds by which a timer may be early
_LINE = "POST %s: attempt %d, status %s, %.0f ms"
_A_PERSONS_PATIENCE = 10.0
"""
Seconds that a single question waits for a service that refuses everything, unless it has a deadline of its own.

That is about how long somebody who waits keeps their attention (Miller 1968, Nielsen 1993), it outlasts a restart or a
failover of some seconds, and it is less than the 30 s after which most gateways in front of the caller would give up.
"""

Attempts = tuple[errors.Attempt, ...]
OnAttempt = Callable[[errors.Attempt], object]


class Count(Protocol):
    """What counts a query, until a deadline on the loop's clock; `single` if it is asked alone, not by a fan-out."""

    async def __call__(
        self, query: CountQuery, deadline: float | None, *, single: bool = True
    ) -> tuple[int, Attempts]: ...


@define
class RequestState:
    """One call of `Requester.send`, while it lasts."""

    endpoint: Endpoint[Any]
    query: CountQuery
    body: bytes
    deadline: float | None
    single: bool
    """Whether it is asked alone, not by a fan-out."""
    started: float
    waiting_since: float
    """When the wait for the next attempt began."""
    attempts: Attempts = ()
    decisions: RetryDecisions | None = None
    """Made when the first attempt has failed."""
    not_before: float = -inf
    """When the next attempt may begin, on the loop's clock."""
    allowance: tuple[int, float] | None = None
    """What the last answer says of how many requests the service will take, and for how many seconds."""
    new_token: bool = False
    """Whether the last attempt's token was refused, so that the next one has a new one."""

    def time_left(self, now: float) -> float:
        """Seconds until the deadline."""
        return inf if self.deadline is None else self.deadline - now

    def is_cut_short(self, error: errors.GalileoError, now: float) -> bool:
        """Whether a timeout says nothing of the service: the caller's time was over, not only the attempt's."""
        return isinstance(error, errors.AttemptTimeoutError) and self.time_left(now) <= _TIMER

    def is_overtaken(self, last_success: float) -> bool:
        """Whether one more refusal says nothing of the service: others succeed, and this question never does."""
        return self.decisions is not None and self.decisions.is_overtaken(last_success)

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
        admission: Gives the permits.
        on_attempt: Called after each attempt; what it raises is logged.
    """

    def __init__(
        self,
        transport: Transport,
        authentication: Authentication,
        *,
        attempt_timeout: float,
        retry: Retry,
        admission: Admission,
        on_attempt: OnAttempt | None,
    ) -> None:
        self.admission = admission
        self.jitter: Callable[[float], float] = _jitter
        self._transport = transport
        self._authentication = authentication
        self._attempt_timeout = attempt_timeout
        self._retry = retry
        self._budget = RetryBudget()
        refuse_coroutine_function("on_attempt", on_attempt)
        self._on_attempt = on_attempt

    async def count(self, query: CountQuery, deadline: float | None, *, single: bool = True) -> tuple[int, Attempts]:
        """The count for a query, and the attempts that it took; as `send`."""
        if not query.body:  # it asks for no session
            return 0, ()
        return await self.send(COUNT, query, query.body, deadline, single=single)

    async def send(
        self, endpoint: Endpoint[T], query: CountQuery, body: bytes, deadline: float | None, *, single: bool = True
    ) -> tuple[T, Attempts]:
        """
        The answer to a question, and the attempts that it took.

        Args:
            endpoint: What to ask.
            query: Of which project; errors carry it.
            body: What is sent.
            deadline: When to give up, on the loop's clock.
            single: Whether it is asked alone: it is sent before the targets of fan-outs, and has less patience.

        Raises:
            GalileoError: with `query`, `attempts` and `elapsed`.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        state = RequestState(endpoint, query, body, deadline, single, now, now)
        refusal = self._transport.refusal(loop)
        if refusal is not None:  # before it waits for a place
            raise state.failure(refusal, now)
        while True:
            answer, error = await self._attempt(state)
            if error is None:
                self._budget.give_back(1 if state.decisions is None else state.decisions.refund)
                return answer, state.attempts
            self._prepare_retry(state, error)

    async def close(self) -> None:
        """Ends all waits, cancels a login in progress, and closes the transport; nothing more is sent meanwhile."""
        self.admission.close(self._transport.stop())
        await self._authentication.close()
        await self._transport.close()

    async def _attempt(self, state: RequestState) -> tuple[Any, errors.GalileoError | None]:
        """One attempt, recorded in `state`: the answer, or an error."""
        state.allowance = None
        permit = None if state.attempts else self.admission.try_acquire(single=state.single)
        permit = permit or await self._acquire(state)
        clock = asyncio.get_running_loop().time
        begun = clock()
        until = begun + self._attempt_timeout
        if state.deadline is not None:
            until = min(until, state.deadline)
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
        finally:
            ended = clock()
            if answer is not None:
                self.admission.succeeded(permit, ended)
            else:
                self._give_back(state, permit, error, ended)
            if state.allowance is not None:
                self._allow(state.allowance)
        self._record(state, error, begun, ended)
        return answer, error

    async def _exchange(self, state: RequestState, until: float) -> Any:
        headers = await self._authentication.headers(until)
        endpoint = state.endpoint
        path = endpoint.path.format(project_id=state.query.project_id)
        response = await self._transport.post(path, state.body, headers, until=until, max_body=endpoint.max_body)
        state.allowance = allowance(response.headers)
        if response.status == 200:
            return endpoint.decode(response.body, self._authentication.redact)
        error = error_of(response, self._authentication.redact, state.query)
        state.new_token = self._authentication.refused(error, headers)
        raise error

    async def _acquire(self, state: RequestState) -> Permit:
        permit: Permit | errors.GalileoError | None = None
        if state.deadline is None:
            permit = await self._wait(state)
        else:
            timeout = asyncio.timeout_at(state.deadline)
            try:
                async with timeout:
                    permit = await self._wait(state)
            except TimeoutError:
                if not timeout.expired():  # then it is not ours, but of Limits(rate=...)
                    raise
        if isinstance(permit, Permit):
            return permit
        now = asyncio.get_running_loop().time()
        raise state.too_late(now) if permit is None else state.failure(permit, now)

    def _wait(self, state: RequestState) -> Coroutine[Any, Any, Permit | errors.GalileoError]:
        return self.admission.acquire(
            single=state.single,
            patience=self._patience(state),
            again=bool(state.attempts),
            ahead=state.decisions is not None and state.decisions.goes_first,
            not_before=state.not_before,
        )

    def _patience(self, state: RequestState) -> float:
        patience = self._retry.patience
        return min(patience, _A_PERSONS_PATIENCE) if state.single and state.deadline is None else patience

    def _give_back(self, state: RequestState, permit: Permit, error: errors.GalileoError | None, now: float) -> None:
        """Takes the permit back without an answer, and tells what the error says of the service."""
        admission = self.admission
        if error is None or state.is_cut_short(error, now):
            admission.released(permit)
        elif is_overload(error):
            again, alone = bool(state.attempts), state.is_overtaken(admission.last_success)
            admission.refused(permit, error, told=is_told(error), again=again, alone=alone)
        elif is_trouble(error):
            admission.released(permit)
        else:
            admission.answered(permit, now)

    def _allow(self, said: tuple[int, float]) -> None:
        remaining, seconds = said
        self.admission.allow(remaining, min(seconds, self._retry.max_retry_after))

    def _record(self, state: RequestState, error: errors.GalileoError | None, begun: float, ended: float) -> None:
        status = error.status if isinstance(error, errors.ResponseError) else None
        if error is None or isinstance(error, errors.DecodeError):
            status = 200
        admission = self.admission
        attempt = errors.Attempt(
            len(state.attempts) + 1,
            status,
            error,
            begun - state.waiting_since,
            ended - begun,
            admission.width,
            admission.rate,
            admission.is_closed,
        )
        state.attempts += (attempt,)
        state.waiting_since = ended
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(_LINE, state.endpoint.path, attempt.number, status, attempt.elapsed * 1000)
        if self._on_attempt is not None:
            call_back("on_attempt", self._on_attempt, attempt)

    def _prepare_retry(self, state: RequestState, error: errors.GalileoError) -> None:
        """Decides when the next attempt may begin, or raises what the question ends with."""
        now = state.waiting_since
        if state.is_cut_short(error, now):
            raise state.too_late(now)
        if is_told(error) and (asked_wait(error) or 0.0) > self._retry.max_retry_after:
            raise state.failure(self.admission.farewell() if self.admission.is_sent_away else error, now)
        left = state.time_left(now)
        if (decisions := state.decisions) is None:
            patience = self._patience(state)
            decisions = RetryDecisions(self._retry, self._budget, self.jitter, patience, not state.single)
            state.decisions = decisions
        admission = self.admission
        wait = decisions.wait_after_refusal(error, now, admission.last_success, left, admission.refused_share)
        if wait is None:
            wait = decisions.wait_after(error, left, new_token=state.new_token)
        if wait is None:
            raise state.failure(error, now)
        if wait == inf:
            raise state.too_late(now)
        state.not_before = now + wait if wait else -inf


def refuse_coroutine_function(name: str, callback: Callable[[T], object] | None) -> None:
    """
    Checks a callback when it is given.

    Raises:
        ConfigurationError: if it is a coroutine function, because nothing would await its coroutines.
    """
    if inspect.iscoroutinefunction(callback):
        raise errors.ConfigurationError(f"{name} must be a plain function, got the coroutine function {callback!r}")


def call_back(name: str, callback: Callable[[T], object], value: T) -> None:
    """Calls a user's function. What it raises is logged, so that it can't lose a count."""
    try:
        _ = callback(value)
    except Exception:
        logger.exception("%s raised; the counts go on", name)


def _jitter(most: float) -> float:
    return random.uniform(0, most)  # noqa: S311  # spreads retries, protects nothing
