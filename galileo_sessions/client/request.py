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
from math import ceil, inf
from typing import Any, Protocol, TypeVar

from attrs import define, field

from galileo_sessions import errors
from galileo_sessions.client.auth.authentication import Authentication
from galileo_sessions.client.flow.control import Permit
from galileo_sessions.client.flow.outcome import IGNORED, Outcome
from galileo_sessions.client.flow.queue import Queue
from galileo_sessions.client.policy import FirstAttempts, Retries
from galileo_sessions.client.query import CountQuery
from galileo_sessions.client.responses import COUNT, Endpoint, allowance, error_of
from galileo_sessions.client.settings import PATIENCE, Retry
from galileo_sessions.client.transport import Transport
from galileo_sessions.client.verdict import verdict_on

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

_TIMER = 0.001  # seconds by which a timer can be early
_LINE = "POST %s: attempt %d, status %s, %.0f ms"

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
    """Whether somebody awaits it alone, not as a part of a fan-out."""
    patience: float
    """Seconds that it waits for a service that refuses everything."""
    started: float
    waiting_since: float
    """When the wait for the next attempt began."""
    attempts: Attempts = ()
    retries: Retries | None = None
    """Made when the first attempt has failed."""
    not_before: float = -inf
    """When the next attempt can begin, on the loop's clock."""

    @property
    def last_error(self) -> errors.GalileoError | None:
        """The error of the last attempt, or None if there was none."""
        return self.attempts[-1].error if self.attempts else None

    def is_cut_short(self, error: errors.GalileoError, now: float) -> bool:
        """Whether the error is a timeout caused by the call's deadline, so that it says nothing about the service."""
        return isinstance(error, errors.AttemptTimeoutError) and self.deadline - now <= _TIMER

    def failure(self, error: errors.GalileoError, now: float, advice: str = "") -> errors.GalileoError:
        """
        The error to raise. If the network failed after a response, it is the error of that response.

        It is a copy, because an attempt lists the original.
        """
        if isinstance(error, errors.TransportError):
            responses = [attempt.error for attempt in self.attempts if isinstance(attempt.error, errors.ResponseError)]
            error = responses[-1] if responses else error
        final = copy(error)
        if advice:
            final.args = (f"{error.message}. {advice}",)
        final.query, final.attempts, final.elapsed = self.query, self.attempts, now - self.started
        return final

    def given_up(self, error: errors.GalileoError, now: float) -> errors.GalileoError:
        """The error to raise if there is no next attempt, with what to do about a wait that was too long."""
        asked = verdict_on(error).retry_after or 0.0
        left = self.started + self.patience - now
        if not self.interactive or asked <= left:
            return self.failure(error, now)
        enough = ceil(now - self.started + asked) + 1
        if self.deadline < inf:
            return self.failure(error, now, f"That is more than timeout= leaves: give it timeout={enough} or more")
        most = f"A single count waits for {self.patience:,.0f} s at most for a service that refuses it"
        return self.failure(
            error, now, f"{most}: give it timeout={enough} or more, or use count_all, which waits longer"
        )

    def too_late(self, now: float, waited_for: str = "") -> errors.GalileoError:
        """The error to raise if the deadline has passed, or will pass before the next attempt."""
        last = self.last_error
        after = f" after a {type(last).__name__}" if last else ""
        waiting = f" while it waited for {waited_for}" if waited_for else " before the next attempt" if last else ""
        text = f"timeout= ran out{after}{waiting or ' before a request could be sent'}; give it more time"
        return self.failure(errors.DeadlineExceededError(text, last=last), now)


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
    _under_way: int = 0
    _first_attempts: FirstAttempts = field(factory=FirstAttempts)

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
        patience = self.retry.patience
        if interactive:
            patience = min(patience, PATIENCE) if deadline is None else deadline - now
        until = inf if deadline is None else deadline
        state = RequestState(endpoint, query, body, until, interactive, patience, now, now)
        refusal = self.transport.refusal(loop)
        if refusal is not None:
            raise state.failure(refusal, now)
        if now >= state.deadline:
            raise state.too_late(now)
        if not self._under_way:  # what failed before says nothing about others
            self._first_attempts = FirstAttempts()
        self._under_way += 1
        try:
            while True:
                permit = None if state.attempts else self.queue.try_acquire(interactive=interactive, patience=patience)
                answer, error = await self._attempt(state, permit or await self._acquire(state))
                if error is None:
                    return answer, state.attempts
                self._prepare_retry(state, error)
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        """Ends all waits, cancels a login in progress, and closes the transport; nothing more is sent meanwhile."""
        self.queue.close(self.transport.stop())
        try:
            await self.authentication.close()
            await self.transport.close()
        finally:
            _ = self.transport.abandon()  # if a cancellation interrupted the closing

    async def _acquire(self, state: RequestState) -> Permit:
        permit: Permit | errors.GalileoError | None = None
        turn = self.queue.acquire(
            interactive=state.interactive,
            patience=state.patience,
            has_failed=bool(state.attempts),
            not_before=state.not_before,
        )
        if state.deadline == inf:
            permit = await turn
        else:
            timeout = asyncio.timeout_at(state.deadline)
            try:
                async with timeout:
                    permit = await turn
            except TimeoutError:
                if not timeout.expired():  # it comes from Limits(rate=...)
                    raise
        if isinstance(permit, Permit):
            return permit
        now = asyncio.get_running_loop().time()
        raise state.too_late(now, self.queue.flow.reason(now)) if permit is None else state.failure(permit, now)

    async def _attempt(self, state: RequestState, permit: Permit) -> tuple[Any, errors.GalileoError | None]:
        """One attempt, recorded in `state`: the answer, or an error."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            answer, error, told = await self._exchange(state, min(begun + self.attempt_timeout, state.deadline))
        except BaseException:
            self.queue.released(permit)
            raise
        ended = clock()
        if error is None:
            outcome = Outcome("success", ended - begun, None, told)
        else:
            outcome = self._outcome_of(state, error, ended, told)
        if not state.attempts:
            self._first_attempts.add(failed=error is not None and not verdict_on(error).is_final)
        self.queue.ended(permit, ended, outcome, error)
        self._record(state, error, begun, ended)
        return answer, error

    async def _exchange(
        self, state: RequestState, until: float
    ) -> tuple[Any, errors.GalileoError | None, tuple[int, float] | None]:
        """Sends the request once: the answer or an error, and what the response says that the service will take."""
        endpoint = state.endpoint
        path = endpoint.path.format(project_id=state.query.project_id)
        told: tuple[int, float] | None = None
        try:
            response = await self.authentication.post(path, state.body, until=until, max_body=endpoint.max_body)
            found = allowance(response.headers)
            if found is not None:
                told = found[0], min(found[1], self.retry.max_retry_after)
            if response.status == 200:
                return self.authentication.decode(endpoint, response.body), None, told
            return None, error_of(response, state.query), told
        except errors.GalileoError as problem:
            return None, problem.with_traceback(None), told  # a traceback would keep the whole response alive

    def _outcome_of(
        self, state: RequestState, error: errors.GalileoError, now: float, told: tuple[int, float] | None
    ) -> Outcome:
        """What a failed attempt says about the service."""
        verdict = verdict_on(error)
        fails_alone = state.retries is not None and state.retries.fails_alone(self._first_attempts)
        if state.is_cut_short(error, now) or (fails_alone and not self.queue.flow.breaker.is_open):
            return IGNORED if verdict.meaning != "success" else Outcome("success", allowance=told)
        asked = verdict.retry_after
        if asked is not None and asked > self.retry.max_retry_after:
            asked = None  # the count ends with it, and the next one may probe
        return Outcome(verdict.meaning, None, asked, told)

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
        now, others = state.waiting_since, self._first_attempts
        if state.is_cut_short(error, now):
            raise state.too_late(now)
        if state.retries is None:
            until = min((state.started if state.interactive else now) + state.patience, state.deadline)
            number = others.number if len(state.attempts) == 1 else 0
            state.retries = Retries(self.retry, state.interactive, self.jitter, number, now, until)
        if self._has_new_token(state) and self.retry.attempts > 1:
            return
        has_answered = self.queue.flow.breaker.has_answered
        wait = state.retries.next_wait(verdict_on(error), now, others, has_answered=has_answered)
        if wait is None:
            raise state.given_up(error, now)
        if now + wait >= state.deadline:
            raise state.too_late(now)
        state.not_before = now + wait

    def _has_new_token(self, state: RequestState) -> bool:
        """Whether the token of the last attempt was refused, but not also the one before it."""
        refused = [isinstance(attempt.error, errors.AuthenticationError) for attempt in state.attempts[-2:]]
        is_login = isinstance(state.last_error, errors.LoginError)
        return self.authentication.logs_in and refused in ([True], [False, True]) and not is_login


def call_back(name: str, callback: Callable[[T], object], value: T) -> None:
    """Calls a user's function. What it raises is logged, so that it can't lose a count."""
    try:
        _ = callback(value)
    except Exception:
        logger.exception("%s raised; the counts go on", name)
