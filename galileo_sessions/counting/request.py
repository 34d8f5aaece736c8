"""
One request to the service, from the query to the answer: the wait for a permit, the attempts, the deadline.

A request makes attempts until one brings the answer, the retry policy gives up, or the deadline passes.
An attempt begins with the permit to send, and ends with the last byte or an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from contextlib import suppress
from copy import copy
from functools import partial
from http import HTTPStatus
from math import inf
from typing import Any, TypeVar, cast

from attrs import Factory, define, evolve

from galileo_sessions import errors
from galileo_sessions.api.query import CountQuery
from galileo_sessions.api.responses import COLUMNS, COUNT, PROJECT_ID, Endpoint, decode_error, error_of
from galileo_sessions.filters.nodes import NEVER
from galileo_sessions.flow.budget import TIMER, Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.outcome import IGNORED, Outcome, outcome_of
from galileo_sessions.flow.queries import Trouble
from galileo_sessions.flow.queue import Queue
from galileo_sessions.flow.settings import Retry
from galileo_sessions.http.auth import Authentication
from galileo_sessions.http.deadlines import Deadline
from galileo_sessions.http.transport import Transport, closed_error

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

Attempts = tuple[errors.Attempt, ...]


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
    key: Hashable = Factory(lambda it: hash((it.endpoint.path, it.query and it.query.project_id, it.body)), True)
    """Identifies the query."""
    attempts: Attempts = ()
    """The attempts of this count, and those of other counts of the same query that it waited for."""
    leads: Trouble | None = None
    """The trouble of the query that this count leads, or led until an answer to another count ended it; see `queue`."""
    is_parked: bool = False
    """Whether its query has been in trouble, so that it is parked until it ends, if it can be."""

    def is_cut_short(self, error: errors.GalileoError | None, now: float) -> bool:
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
        raised = copy(error)
        raised.hint = ". ".join(filter(None, [raised.hint, hint]))
        raised.query = self.query
        raised.attempts, raised.elapsed = self.attempts, now - self.started
        return raised


@define(eq=False, repr=False)
class Requester:
    """Sends queries and reads the responses."""

    transport: Transport
    """Sends one HTTP request; `close` closes it."""
    authentication: Authentication
    """Gives the headers with the credentials, and takes secrets out of responses."""
    attempt_timeout: float
    """Seconds that one attempt may take."""
    retry: Retry
    """How often and how patiently to try again."""
    queue: Queue
    """Gives permits to send."""
    on_attempt: Callable[[errors.Attempt], object] | None
    """Called after each attempt. What it raises is logged."""
    _loop: asyncio.AbstractEventLoop | None = None
    _refused_at: float = -inf  # when an attempt ended last while the circuit breaker was open

    async def send(
        self, endpoint: Endpoint[T], query: CountQuery | None, body: bytes, budget: Budget
    ) -> tuple[T, Attempts]:
        """
        The answer to a request, and the attempts that it took.

        Args:
            endpoint: Where to send the request.
            query: The query, for its project and for errors; None if the request is about no project.
            body: The request body. A count of `NEVER` is 0, and isn't sent.
            budget: The deadline, the patience and the line of the call.

        Raises:
            GalileoError: with `query`, `attempts` and `elapsed`.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        request = Request(endpoint, query, body, budget, begun, begun)
        key, queue = request.key, self.queue
        permit: Permit | None = None
        try:
            if endpoint is COUNT and query is not None and query.where == NEVER:
                return cast("T", 0), ()
            if self._loop is not loop or self.transport.is_closed or begun >= budget.deadline:
                self._check_use(request, loop)
            permit = queue.try_acquire(budget, queue.flow.queries.standing(key, begun))
            while True:
                if permit is None:
                    permit, begun = await self._acquire(request), loop.time()
                    trouble = queue.flow.queries.trouble(key, begun)
                    if trouble and (trouble is not request.leads or trouble.not_before > begun + TIMER):
                        queue.unused(permit)  # another count of the query has failed meanwhile
                        permit = None
                        continue
                until = min(begun + self.attempt_timeout, budget.deadline)
                try:
                    answer, error = await self.post(endpoint, query, body, until), None
                except errors.GalileoError as problem:
                    answer, error = None, problem.with_traceback(None)  # its frames would keep the response alive
                used, permit = permit, None
                trouble = self._learn(request, used, error, begun, loop.time())
                if error is None:
                    return cast("T", answer), request.attempts
                self._give_up_if_needed(request, error, trouble)
        finally:
            if permit is not None:
                queue.released(permit)
            if request.leads is not None:
                queue.follow(request.leads)
            if request.is_parked:
                budget.park(-1)

    async def post(self, endpoint: Endpoint[T], query: CountQuery | None, body: bytes, until: float) -> T:
        """
        The answer to one attempt, which ends by a time on the loop's clock.

        Raises:
            GalileoError: if no answer came, or if a login failed. It holds no secret.
        """
        headers = await self.authentication.headers(until)
        response = await self.transport.request(
            endpoint.path if query is None else endpoint.path.replace(PROJECT_ID, query.project_id),
            body,
            headers,
            until=until,
            max_body=endpoint.max_body,
            method=endpoint.method,
        )
        if response.status == HTTPStatus.OK:
            with suppress(ValueError):  # secrets aren't removed: a password can be a common word that the answer needs
                return endpoint.decode(response.body)
        if response.status == HTTPStatus.UNAUTHORIZED:
            self.authentication.refused(headers)
        response = self.authentication.without_secrets(response)
        raise decode_error(response, endpoint) if response.status == HTTPStatus.OK else error_of(response, query)

    def too_late(self, request: Request, now: float, waited_for: str = "") -> errors.GalileoError:
        """
        The error to raise if the deadline has passed, or will pass before the next attempt.

        Its text says what the request met before, or else what other requests met last.

        Args:
            request: The request.
            now: The time.
            waited_for: The limit that the request waited for, as a part of a sentence.
        """
        before, last = [None, None, *[attempt.error for attempt in request.attempts]][-2:]
        is_cut_short = request.is_cut_short(last, request.waiting_since)
        text = "the timeout ran out"
        text += f" while waiting for {waited_for}" if waited_for else " during an attempt" if is_cut_short else ""
        who, met = "before that", before if is_cut_short else last
        if met is None:
            who, met = "other requests", self.queue.last_refusal
        if met is not None:
            said, _, _ = met.message.partition("\n")
            text += f"; {who}: {said}"
        return request.failure(errors.DeadlineExceededError(text, last=last, hint="Raise timeout="), now)

    def too_late_for_columns(self, query: CountQuery, budget: Budget, began: float) -> errors.GalileoError:
        """The error if the deadline has passed while another call asks for the columns: with its last attempt."""
        now = asyncio.get_running_loop().time()
        request = Request(COLUMNS, query, query.body, budget, began, began)
        trouble = self.queue.flow.queries.trouble(request.key, now)
        if trouble is not None and trouble.attempt is not None:
            request.attempts = (evolve(trouble.attempt, number=1),)
        return self.too_late(request, now, "the project's columns")

    async def close(self) -> None:
        """Ends all waits, cancels shared requests, and closes the transport. From now on, nothing is sent."""
        self.transport.is_closed = True
        self.queue.close()
        try:
            await self.authentication.shared.close()
            await self.transport.close()
        finally:
            _ = self.transport.abandon()  # after use in another event loop, or a cancellation during the closing

    def _check_use(self, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        """
        Binds the client to the first event loop in which it sends something.

        Raises:
            ConfigurationError: if the client is closed, or belongs to another event loop.
            DeadlineExceededError: if the deadline has passed.
        """
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            other = "this GalileoSessions belongs to another event loop, perhaps that of an earlier asyncio.run()"
            hint = "Make one in each, with `async with GalileoSessions() as galileo:`"
            raise request.failure(errors.ConfigurationError(other, hint=hint), request.started)
        if self.transport.is_closed:
            raise request.failure(closed_error(), request.started)
        if (now := loop.time()) >= request.budget.deadline:
            raise self.too_late(request, now)

    async def _acquire(self, request: Request) -> Permit:
        """
        Waits for a permit, until the deadline. A single count that has failed, or whose query is refused, waits only
        until its patience has passed since the count began.

        Raises:
            GalileoError: if the request is given up, or the client closed.
        """
        budget, until, now = request.budget, request.budget.deadline, asyncio.get_running_loop().time()
        trouble = self.queue.flow.queries.trouble(request.key, now)
        last = request.attempts[-1].error if request.attempts else None
        if budget.is_single and (last is not None or (trouble is not None and trouble.outcome.is_refusal)):
            until = min(until, request.started + budget.patience)
            if last is None and trouble is not None and trouble.attempt is not None:
                last = trouble.attempt.error
        is_late = True
        with Deadline(self.transport.deadlines, until):
            permit = await self._take_turn(request, trouble)
            if permit is not None:
                return permit
            is_late = False
        now = asyncio.get_running_loop().time()
        if is_late and until == budget.deadline:
            raise self.too_late(request, now, self.queue.flow.reason(now))
        if is_late and last is not None and request.leads is not None and request.leads.not_before >= until:
            raise request.failure(last, now)  # it waited for no limit, but between two attempts
        if self.transport.is_closed:
            raise request.failure(closed_error(), now)
        raise request.failure(self.queue.give_up_error(last, is_single=budget.is_single), now)

    async def _take_turn(self, request: Request, trouble: Trouble | None) -> Permit | None:
        """Waits for a permit. While its query is in trouble, one of its counts is sent at a time."""
        queue, budget = self.queue, request.budget
        since = request.started if budget.is_single else -inf
        is_following = trouble is not None and trouble.is_led and request.leads is not trouble
        if trouble is not None:
            budget.park(not request.is_parked, is_following)
            request.is_parked = True
        if request.leads is not None and request.leads is not trouble:  # an answer to another count has ended it
            queue.follow(request.leads)
            request.leads = None
        try:
            request.leads = trouble = request.leads or await queue.lead(request.key, partial(self._meet, request))
        finally:
            if is_following:
                budget.park(following=-1)
        if trouble is not None and not await queue.sleep(trouble.not_before, (budget.patience, since)):
            return None
        standing = queue.flow.queries.standing(request.key, asyncio.get_running_loop().time())
        return await queue.acquire(budget, standing, since, has_failed=bool(request.attempts))

    def _meet(self, request: Request, trouble: Trouble) -> None:
        """Another count of the same query has failed."""
        attempt = cast("errors.Attempt", trouble.attempt)
        request.attempts += (evolve(attempt, number=len(request.attempts) + 1),)
        request.waiting_since = trouble.ended_at
        self._give_up_if_needed(request, cast("errors.GalileoError", attempt.error), trouble)

    def _learn(
        self, request: Request, permit: Permit, error: errors.GalileoError | None, begun: float, ended: float
    ) -> Trouble | None:
        """Reports an attempt to the flow control, and then to the user; returns the trouble of the query."""
        if error is None:
            outcome = Outcome("success", ended - begun)
        elif request.is_cut_short(error, ended):
            outcome = IGNORED
        else:
            outcome = outcome_of(error, self.retry.max_retry_after, has_answered=self.transport.has_answered)
        if request.endpoint is not COUNT:
            outcome = evolve(outcome, is_count=False)
        trouble = self.queue.ended(permit, ended, outcome, request.key, error)
        is_ok, flow = error is None or isinstance(error, errors.DecodeError), self.queue.flow
        status = HTTPStatus.OK if is_ok else getattr(error, "status", None)
        number, waited, elapsed = len(request.attempts) + 1, begun - request.waiting_since, ended - begun
        limits = flow.width, flow.rate, flow.breaker.is_open
        attempt = errors.Attempt(number, status, error, waited, elapsed, *limits, request.query)
        request.attempts += (attempt,)
        request.waiting_since = ended
        if trouble is not None:
            trouble.attempt = attempt
        if flow.breaker.is_open:
            if ended - self._refused_at > self.retry.patience:
                logger.warning("the service refuses all requests: only single probes are sent until one succeeds")
            self._refused_at = ended
        if logger.isEnabledFor(logging.DEBUG):
            told = request.endpoint.method, request.endpoint.path, number, status, elapsed
            project_id = request.query and request.query.project_id
            logger.debug("%s %s: attempt %d, status %s, %.3f s", *told, extra={"project_id": project_id})
        if self.on_attempt is not None:
            call_back("on_attempt", self.on_attempt, attempt)
        return trouble

    def _give_up_if_needed(self, request: Request, error: errors.GalileoError, trouble: Trouble | None) -> None:
        """
        Decides whether a request that has failed is sent again.

        Raises:
            GalileoError: if the request is given up.
        """
        now, budget = request.waiting_since, request.budget
        if request.is_cut_short(error, now):
            raise self.too_late(request, now)
        if self._has_new_token(request) and self.retry.attempts > 1:
            return
        patient = evolve(budget, patience=self.queue.flow.breaker.limited(budget.patience))
        flow = self.queue.flow
        is_crowded = budget.is_crowded and not flow.breaker.is_open  # then, nobody is answered
        if trouble is None or flow.queries.gives_up(trouble, now, patient, request.started, is_crowded=is_crowded):
            raise request.failure(error, now, self._hint(request, trouble))
        if trouble.not_before >= budget.deadline:
            raise self.too_late(request, now)

    def _hint(self, request: Request, trouble: Trouble | None) -> str:
        """Which settings end the wait for a service that refuses a request. After other failures, none helps."""
        if trouble is None or self.retry.attempts == 1 or not trouble.outcome.is_refusal:
            return ""
        asked, budget = trouble.outcome.retry_after, request.budget
        is_short = budget.is_single and asked > request.started + budget.patience - request.waiting_since
        settings = ["Retry(max_retry_after=...)"] if asked > self.retry.max_retry_after else []
        settings += ["timeout="] if is_short else []
        return f"Try again later, or raise {' and '.join(settings)}" if settings else ""

    def _has_new_token(self, request: Request) -> bool:
        """Whether the last attempt's token was refused, but not the previous one: the next attempt has a new token."""
        *before, last = [type(attempt.error) for attempt in request.attempts[-2:]]
        refused = errors.AuthenticationError  # a LoginError is another class
        return self.authentication.has_new_tokens and last is refused and refused not in before


def call_back(name: str, callback: Callable[[T], object], value: T) -> None:
    """Calls a user's function. What it raises is logged, so that the count isn't lost."""
    try:
        _ = callback(value)
    except Exception:
        logger.exception("%s raised; the counts go on", name)
