"""
One request to the service, from the query to the answer: the wait for a permit, the attempts, the deadline.

A request makes attempts until one brings the answer, the retry policy gives up, or the deadline passes.
An attempt begins with the permit to send, and ends with the last byte or an error.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Hashable
from copy import copy
from math import inf
from typing import Any, TypeVar, cast

from attrs import define, evolve, field

from galileo_sessions import errors
from galileo_sessions.api.query import CountQuery
from galileo_sessions.api.responses import Endpoint
from galileo_sessions.flow.budget import TIMER, Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import IGNORED, Outcome, outcome_of
from galileo_sessions.flow.policy import Retries
from galileo_sessions.flow.queue import Queue
from galileo_sessions.flow.settings import Retry
from galileo_sessions.http.auth import Authentication
from galileo_sessions.http.transport import Transport, closed_error

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

Attempts = tuple[errors.Attempt, ...]
OnAttempt = Callable[[errors.Attempt], object]


@define(eq=False, repr=False)
class Request:
    """A request that is under way."""

    endpoint: Endpoint[Any]
    query: CountQuery | None
    body: bytes
    budget: Budget
    started: float
    waiting_since: float
    """When the wait for the next attempt began."""
    attempts: Attempts = ()
    retries: Retries | None = None
    """None until the first attempt has failed."""
    not_before: float = -inf
    """When the next attempt can begin, on the loop's clock."""
    outcome: Outcome = IGNORED
    """The outcome of the last attempt."""

    @property
    def key(self) -> Hashable:
        """What its query is known by."""
        return self.query and self.query.project_id, self.body

    def is_cut_short(self, error: errors.GalileoError, now: float) -> bool:
        """Whether the error is a timeout caused by the call's deadline, so that it says nothing about the service."""
        return isinstance(error, errors.AttemptTimeoutError) and self.budget.deadline - now <= TIMER

    def failure(self, error: errors.GalileoError, now: float, hint: str = "") -> errors.GalileoError:
        """
        The error to raise. If the network failed after a response, this is the error of that response.

        It is a copy, because an attempt lists the original.
        """
        if isinstance(error, errors.TransportError):
            responses = [attempt.error for attempt in self.attempts if isinstance(attempt.error, errors.ResponseError)]
            error = responses[-1] if responses else error
        final = copy(error)
        final.hint = ". ".join(filter(None, [final.hint, hint]))
        final.query = self.query
        final.attempts, final.elapsed = self.attempts, now - self.started
        return final

    def too_late(
        self, now: float, waited_for: str = "", others: errors.GalileoError | None = None
    ) -> errors.GalileoError:
        """
        The error to raise if the deadline has passed, or will pass before the next attempt.

        Args:
            now: The time.
            waited_for: The limit that the request waited for, as a part of a sentence.
            others: What other requests met last.
        """
        met = [attempt.error for attempt in self.attempts if attempt.error is not None]
        last = met[-1] if met else None
        is_cut_short = last is not None and self.is_cut_short(last, now)
        before = met[-2:-1] if is_cut_short else met[-1:]
        text = "the timeout ran out"
        text += f" while waiting for {waited_for}" if waited_for else " during an attempt" if is_cut_short else ""
        for who, error in (("before that", before[0] if before else None), ("other requests", others)):
            if error is not None:
                said, _, _ = error.message.partition("\n")
                text += f"; {who}: {said}"
                break
        return self.failure(errors.DeadlineExceededError(text, last=last, hint="Raise timeout="), now)


@define(eq=False, repr=False)
class Requester:
    """Sends queries and reads the responses."""

    transport: Transport
    """Sends one HTTP request; `close` closes it."""
    authentication: Authentication
    """Sends one request with credentials."""
    attempt_timeout: float
    """Seconds that one attempt may take."""
    retry: Retry
    """How often and how patiently to try again."""
    queue: Queue
    """Gives permits to send."""
    on_attempt: OnAttempt | None
    """Called after each attempt. What it raises is logged."""
    jitter: Callable[[float], float] = lambda most: random.uniform(0, most)  # noqa: S311  # no secret
    """Returns a random number of seconds, from 0 to its argument."""
    _loop: asyncio.AbstractEventLoop | None = None
    _evidence: Evidence = field(factory=Evidence)

    async def send(
        self, endpoint: Endpoint[T], query: CountQuery | None, body: bytes, budget: Budget
    ) -> tuple[T, Attempts]:
        """
        The answer to a request, and the attempts that it took.

        Args:
            endpoint: Where to send the request.
            query: The query, for its project and for errors; None if the request is about no project.
            body: The request body. If it is empty, nothing is sent.
            budget: The deadline, the patience and the line of the call.

        Raises:
            GalileoError: with `query`, `attempts` and `elapsed`.
        """
        if not body:
            return cast("T", endpoint.nothing), ()
        loop = asyncio.get_running_loop()
        now = loop.time()
        request = Request(endpoint, query, body, budget, now, now)
        if self._loop is not loop or self.transport.is_closed:
            self._check_use(request, loop)
        if now >= budget.deadline:
            raise request.too_late(now, others=self.queue.last_refusal)
        permit = self.queue.try_acquire(budget) or await self._acquire(request)
        while True:
            begun = loop.time()
            until = min(begun + self.attempt_timeout, budget.deadline)
            try:
                answer, error = await self.authentication.post(endpoint, query, body, until=until), None
            except errors.GalileoError as problem:
                answer, error = None, problem.with_traceback(None)  # its frames would keep the response alive
            except BaseException:
                self.queue.released(permit)
                raise
            self._learn(request, permit, error, begun, loop.time())
            if error is None:
                return cast("T", answer), request.attempts
            self._prepare_retry(request, error)
            permit = await self._acquire(request)

    async def close(self) -> None:
        """Ends all waits, cancels a login in progress, and closes the transport. From now on, nothing is sent."""
        self.transport.is_closed = True
        self.queue.close(closed_error())
        try:
            await self.authentication.close()
            await self.transport.close()
        finally:
            _ = self.transport.abandon()  # after use in another event loop, or a cancellation during the closing

    def _check_use(self, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        """
        Binds the client to the first event loop in which it sends something.

        Raises:
            ConfigurationError: if the client is closed, or belongs to another event loop.
        """
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            other = "this GalileoSessions belongs to another event loop, perhaps that of an earlier asyncio.run()"
            hint = "Make one in each, with `async with GalileoSessions() as galileo:`"
            raise request.failure(errors.ConfigurationError(other, hint=hint), request.started)
        if self.transport.is_closed:
            raise request.failure(closed_error(), request.started)

    async def _acquire(self, request: Request) -> Permit:
        budget, last = request.budget, request.attempts[-1].error if request.attempts else None
        since, until = (request.started if budget.is_single else -inf), budget.deadline
        if budget.is_single and last is not None:
            until = min(until, since + budget.patience)
        permit: Permit | errors.GalileoError | None = None
        turn = self.queue.acquire(budget, since, has_failed=last is not None, not_before=request.not_before)
        timeout = asyncio.timeout_at(until if until < inf else None)
        try:
            async with timeout:
                permit = await turn
        except TimeoutError:
            if not timeout.expired():  # Limits(rate=...) raised it
                raise
        if isinstance(permit, Permit):
            return permit
        now = asyncio.get_running_loop().time()
        if permit is None and until == budget.deadline:
            raise request.too_late(now, self.queue.reason(now), self.queue.last_refusal)
        if permit is None and last is not None and request.not_before >= until:
            permit = last  # it waited for no limit, but between two attempts
        elif permit is None or not self.transport.is_closed:
            permit = self.queue.give_up_error(last)
        raise request.failure(permit, now)

    def _learn(
        self, request: Request, permit: Permit, error: errors.GalileoError | None, begun: float, ended: float
    ) -> None:
        """Reports an attempt to the flow control, the evidence and the request."""
        request.outcome = Outcome("success", ended - begun) if error is None else outcome_of(error)
        outcome = request.outcome if error is None else self._lesson_of(request, error, ended)
        if outcome.meaning == "success":
            self._evidence.add(request.key, ended, failed=False, again=bool(request.attempts))
        self.queue.ended(permit, ended, outcome, error)
        self._record(request, error, begun, ended)

    def _lesson_of(self, request: Request, error: errors.GalileoError, now: float) -> Outcome:
        """What the flow control learns from a failed attempt."""
        outcome, breaker = request.outcome, self.queue.flow.breaker
        breaker.is_unreachable = isinstance(error, errors.ConnectError) and not self.transport.has_answered
        if outcome.is_final:
            return outcome
        if request.is_cut_short(error, now):
            return IGNORED
        is_of_query = self._evidence.is_of_query(request.key, now, outcome, len(request.attempts))
        if not request.attempts or outcome.meaning != "refused":  # a few refused queries would crowd out the others
            self._evidence.add(request.key, now, failed=True)
        if is_of_query and not breaker.is_open:
            return IGNORED
        if (outcome.retry_after or 0.0) > self.retry.max_retry_after:
            return evolve(outcome, retry_after=None)  # this count fails, but the next one may probe
        return outcome

    def _record(self, request: Request, error: errors.GalileoError | None, begun: float, ended: float) -> None:
        status = getattr(error, "status", 200 if error is None or isinstance(error, errors.DecodeError) else None)
        number, waited, elapsed = len(request.attempts) + 1, begun - request.waiting_since, ended - begun
        attempt = errors.Attempt(number, status, error, waited, elapsed, **self.queue.flow.state(), query=request.query)
        request.attempts += (attempt,)
        request.waiting_since = ended
        if logger.isEnabledFor(logging.DEBUG):
            path = request.endpoint.path
            logger.debug("POST %s: attempt %d, status %s, %.0f ms", path, number, status, elapsed * 1000)
        if self.on_attempt is not None:
            call_back("on_attempt", self.on_attempt, attempt)

    def _prepare_retry(self, request: Request, error: errors.GalileoError) -> None:
        """
        Decides when the next attempt can begin.

        Raises:
            GalileoError: if the request is given up.
        """
        now, budget = request.waiting_since, request.budget
        if request.is_cut_short(error, now):
            raise request.too_late(now, others=self.queue.last_refusal)
        if request.retries is None:
            budget = evolve(budget, patience=self.queue.flow.breaker.limited(budget.patience))
            request.retries = Retries(self.retry, budget, self.jitter, request.key, request.started, now)
        if self._has_new_token(request) and self.retry.attempts > 1:
            return
        wait = request.retries.next_wait(request.outcome, now, self._evidence)
        if wait is None:
            raise request.failure(error, now, self._hint(request))
        if now + wait >= budget.deadline:
            raise request.too_late(now, others=self.queue.last_refusal)
        request.not_before = now + wait

    def _hint(self, request: Request) -> str:
        """Which settings end the wait for a service that refuses a request. After other failures, none helps."""
        if self.retry.attempts == 1 or request.outcome.meaning not in ("refused", "throttled"):
            return ""
        asked, budget = request.outcome.retry_after or 0.0, request.budget
        is_short = budget.is_single and asked > request.started + budget.patience - request.waiting_since
        settings = ["Retry(max_retry_after=...)"] if asked > self.retry.max_retry_after else []
        settings += ["timeout="] if is_short else []
        return f"Try again later, or raise {' and '.join(settings)}" if settings else ""

    def _has_new_token(self, request: Request) -> bool:
        """Whether the last attempt's token was refused, but not the previous one: the next attempt has a new token."""
        *before, last = [type(attempt.error) for attempt in request.attempts[-2:]]
        refused = errors.AuthenticationError  # a LoginError is another class
        return self.authentication.logs_in and last is refused and refused not in before


def call_back(name: str, callback: Callable[[T], object], value: T) -> None:
    """Calls a user's function. What it raises is logged, so that the count isn't lost."""
    try:
        _ = callback(value)
    except Exception:
        logger.exception("%s raised; the counts go on", name)
