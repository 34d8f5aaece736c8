"""
One request to the service, from the query to the answer: its attempts, and its error in the end.

A request makes attempts until one brings the answer, the retry policy gives up, or the deadline
passes. Its ticket waits for each turn. An attempt begins with the permit to send, and ends with the
last byte or an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from http import HTTPStatus
from typing import Any, TypeVar, cast

from attrs import define, field

from galileo_sessions.api.query import CountQuery
from galileo_sessions.api.responses import (
    COLUMNS,
    COUNT,
    PROJECT_ID,
    Endpoint,
    decode_error,
    error_of,
)
from galileo_sessions.details import Attempt
from galileo_sessions.display import quantity
from galileo_sessions.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DeadlineExceededError,
    GalileoError,
    LoginError,
    ResponseError,
    TransportError,
    closed_error,
    is_permanent,
)
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.queue import Queue
from galileo_sessions.flow.settings import Retry
from galileo_sessions.flow.ticket import End, Ticket
from galileo_sessions.http.auth import Authentication
from galileo_sessions.http.shared import Shared
from galileo_sessions.http.transport import Transport

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

Attempts = tuple[Attempt, ...]


@define(eq=False, repr=False)
class Requester:
    """Sends queries and reads the responses."""

    transport: Transport
    """Sends one HTTP request; `close` closes it."""
    authentication: Authentication
    """Gives the headers with the credentials, and takes secrets out of responses."""
    shared: Shared
    """The logins, and the requests for columns, that are made once for all who wait."""
    attempt_timeout: float
    """Seconds that one attempt may take."""
    retry: Retry
    """How often and how patiently to try again."""
    queue: Queue
    """Gives permits to send."""
    on_attempt: Callable[[Attempt], object] | None
    """Called after each attempt. What it raises is logged."""
    # By the path, the query that was answered last, and its body.
    _answered: dict[str, tuple[CountQuery | None, bytes]] = field(factory=dict)
    _has_warned: bool = False  # of an outage that hasn't ended

    async def send(
        self, endpoint: Endpoint[T], query: CountQuery | None, body: bytes, budget: Budget
    ) -> tuple[T, Attempts]:
        """
        The answer to a request, and the attempts that it took.

        Args:
            endpoint: Where to send the request.
            query: The query, for its project and for errors; None if the request is about no
                project.
            body: The request body; empty for a count of `NEVER`, which is 0, and isn't sent.
            budget: The deadline, the patience and the line of the call.

        Raises:
            GalileoError: with `query`, `attempts` and `elapsed`.
        """
        if self.transport.is_closed and endpoint is COUNT and not body:
            raise closed_error()
        if endpoint is COUNT and not body:
            return cast("T", 0), ()
        began = asyncio.get_running_loop().time()
        with self._ticket(endpoint, query, body, budget, began) as ticket:
            self._check_loop(ticket)
            while (end := await ticket.turn()) is None:
                found = await self._attempt(endpoint, query, body, ticket)
                if not isinstance(found, GalileoError):
                    self._answered[endpoint.path] = query, body
                    return found, ticket.attempts
                await self._compare(endpoint, ticket)
            raise self._error(ticket, end)

    async def _attempt(
        self, endpoint: Endpoint[T], query: CountQuery | None, body: bytes, ticket: Ticket
    ) -> T | GalileoError:
        """Makes one attempt, and tells the ticket how it ended. Returns the answer or the error."""
        error: GalileoError | None = None
        found: T | GalileoError
        try:
            found = await self._try_once(endpoint, query, body, ticket)
        except GalileoError as problem:
            # Its frames would keep the response alive.
            found = error = problem.with_traceback(None)
        ticket.ended(
            error,
            has_answered=self.transport.has_answered,
            is_repeated=self._has_new_token(error, ticket.attempts),
        )
        self._report(ticket.attempts[-1], endpoint)
        return found

    async def _compare(self, endpoint: Endpoint[Any], ticket: Ticket) -> None:
        """
        Sends another query once more that was answered, if nothing else shows whether the service
        refuses all queries or only this one.
        """
        answered = self._answered.get(endpoint.path)
        if answered is None or not ticket.needs_comparison:
            return
        query, body = answered
        began = asyncio.get_running_loop().time()
        with self._ticket(endpoint, query, body, ticket.budget, began) as other:
            other.is_count = False  # nobody waits for it
            if other.trouble is None and await other.turn() is None:
                _ = await self._attempt(endpoint, query, body, other)

    async def _try_once(
        self, endpoint: Endpoint[T], query: CountQuery | None, body: bytes, ticket: Ticket
    ) -> T:
        """
        The answer to one attempt, which ends by a time on the loop's clock.

        Raises:
            GalileoError: if no answer came, or if a login failed. It holds no secret.
        """
        path = endpoint.path
        if query is not None:
            path = path.replace(PROJECT_ID, query.project_id)
        until = min(ticket.turn_at + self.attempt_timeout, ticket.budget.deadline)
        headers = await self.authentication.headers(until)
        ticket.sent()
        response = await self.transport.request(
            path,
            body,
            headers,
            until=until,
            max_body=endpoint.max_body,
            method=endpoint.method,
        )
        if response.status != HTTPStatus.UNAUTHORIZED:
            self.authentication.accepted(headers)
        # Secrets stay in an answer: a password can be a common word that it needs.
        if response.status == HTTPStatus.OK:
            with suppress(ValueError):
                return endpoint.decode(response.body)
        response = self.authentication.without_secrets(response)
        if response.status == HTTPStatus.OK:
            raise decode_error(response, endpoint)
        error = error_of(response, query)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise self.authentication.refused(headers, error)
        raise error

    def too_late_for_columns(self, query: CountQuery, budget: Budget, began: float) -> GalileoError:
        """
        The error if the deadline has passed while another call asks for the columns: with its last
        attempt.
        """
        ticket = self._ticket(COLUMNS, query, query.body, budget, began)
        if (trouble := ticket.trouble) is not None:
            ticket.meet(trouble)
        return _as_raised(ticket, self._too_late(ticket, "the project's columns"))

    async def close(self) -> None:
        """
        Ends all waits, cancels shared requests, and closes the transport. From now on, nothing is
        sent.
        """
        self.transport.is_closed = True
        try:
            self.queue.close()
            await self.shared.close()
            await self.transport.close()
        finally:  # after use in another event loop, or a cancellation during the closing
            _ = self.transport.abandon()

    def _ticket(
        self,
        endpoint: Endpoint[Any],
        query: CountQuery | None,
        body: bytes,
        budget: Budget,
        began: float,
    ) -> Ticket:
        key = hash((endpoint.path, query and query.project_id, body))
        return Ticket(self.queue, query, key, budget, began, endpoint is COUNT)

    def _check_loop(self, ticket: Ticket) -> None:
        """
        Refuses another event loop than the first one in which the client has sent something.

        Raises:
            ConfigurationError: if the client belongs to another event loop.
        """
        if self.queue.loop not in (None, asyncio.get_running_loop()):
            other = (
                "this GalileoSessions belongs to another event loop, "
                "perhaps that of an earlier asyncio.run()"
            )
            hint = "Make one in each, with `async with GalileoSessions() as galileo:`"
            raise _as_raised(ticket, ConfigurationError(other, hint=hint))

    def _report(self, attempt: Attempt, endpoint: Endpoint[Any]) -> None:
        """Tells the user of an attempt that has ended."""
        breaker = self.queue.flow.breaker
        now = asyncio.get_running_loop().time()
        if self._has_warned and not breaker.is_open:
            self._has_warned = False
            logger.warning("the service answers again")
        elif not self._has_warned and breaker.is_outage(now):
            self._has_warned = True
            logger.warning(
                "the service has answered nothing for %.0f s: "
                "only single probes are sent until one succeeds",
                now - breaker.began,
            )
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s %s: attempt %d, status %s, %.3f s",
                endpoint.method,
                endpoint.path,
                attempt.number,
                attempt.status,
                attempt.elapsed,
                extra={"project_id": attempt.query and attempt.query.project_id},
            )
        if self.on_attempt is not None:
            notify("on_attempt", self.on_attempt, attempt)

    def _has_new_token(self, error: GalileoError | None, before: Attempts) -> bool:
        """
        Whether the token was refused, and the next attempt has a new one.

        After another 401 of the request, one is final if its token has never been accepted. All are
        at most as many as a query has attempts.
        """
        refused = AuthenticationError  # a LoginError is another class
        if type(error) is not refused or not self.authentication.has_new_tokens:
            return False
        times = 1 + sum(type(attempt.error) is refused for attempt in before)
        is_final = times > 1 and is_permanent(error)
        return times < self.retry.attempts and not is_final

    # ---- what is raised --------------------------------------------------------------------------

    def _error(self, ticket: Ticket, end: End) -> GalileoError:
        """The error of a request that isn't sent again."""
        error: GalileoError
        hint = ""
        last = _last_error(ticket)
        reason = self.queue.flow.reason(asyncio.get_running_loop().time())
        if end is End.CLOSED:
            error = closed_error()
        elif end is End.LATE:
            error = self._too_late(ticket)
        elif end is End.LATE_IN_LINE:
            error = self._too_late(ticket, reason)
        elif end is End.FAILED and last is not None:
            error = self._final(ticket, last)
            hint = self._hint(ticket, last.hint)
        else:
            error = self._hopeless(ticket, reason, last)
        return _as_raised(ticket, error, hint)

    def _final(self, ticket: Ticket, last: GalileoError) -> GalileoError:
        """The last error; if only this query was refused, it says so."""
        trouble = ticket.trouble
        if trouble is None or not (trouble.is_own and trouble.outcome.is_refusal):
            return last
        error = copy(last)
        error.args = (f"{last.message}; others were answered meanwhile",)
        return error

    def _hopeless(self, ticket: Ticket, reason: str, last: GalileoError | None) -> GalileoError:
        """The error if the patience ends before the next turn: what was met last, and why."""
        unknown = TransportError("the service refuses everything")
        met = last or self.queue.last_refusal or unknown
        error = copy(met)
        error.args = (f"{met.message}; while waiting for {reason}",)
        setting = "the timeout"
        if not ticket.budget.is_single:  # the patience of a single count is at most 10 s
            setting += " or the patience (Retry.patience)"
        error.hint = met.hint or f"Try again later, or raise {setting}"
        return error

    def _too_late(self, ticket: Ticket, waited_for: str = "") -> GalileoError:
        """
        The error if the deadline has passed, or will pass before the next attempt.

        Its text says what the request met before, or else what other requests met last.

        Args:
            ticket: The request.
            waited_for: The limit that the request waited for, as a part of a sentence.
        """
        met_before = [attempt.error for attempt in ticket.attempts]
        before, last = [None, None, *met_before][-2:]
        is_cut_short = ticket.is_cut_short(last, ticket.waiting_since)
        text = "the timeout ran out"
        if waited_for:
            text += f" while waiting for {waited_for}"
        elif is_cut_short:
            text += " during an attempt"
        who = "before that"
        met = before if is_cut_short else last
        if met is None:
            who = "other requests"
            met = self.queue.last_refusal
        if met is not None:
            problem, _, _ = met.message.partition("\n")
            text += f"; {who}: {problem}"
        hint = met.hint if isinstance(met, ConnectError) else "Raise the timeout"
        return DeadlineExceededError(text, last=last, hint=hint)

    def _hint(self, ticket: Ticket, known: str) -> str:
        """
        Which settings end the wait for a service that refuses a request. After other failures, none
        helps.

        Args:
            ticket: The request.
            known: The hint that the error has.
        """
        trouble = ticket.trouble
        if trouble is None or self.retry.attempts == 1 or not trouble.outcome.is_refusal:
            return ""
        wait = trouble.outcome.retry_after
        left = ticket.began + ticket.budget.patience - ticket.waiting_since
        is_too_long = wait > self.retry.max_retry_after
        is_too_late = wait > left or not (is_too_long or known)
        helpful = {
            "the longest Retry-After (Retry.max_retry_after)": is_too_long,
            "the timeout": ticket.budget.is_single and is_too_late,
        }
        settings = " and ".join([setting for setting, helps in helpful.items() if helps])
        return settings and f"Try again later, or raise {settings}"


def _last_error(ticket: Ticket) -> GalileoError | None:
    """The error of the last attempt, or if there was none, of another request of the query."""
    if ticket.attempts:
        return ticket.attempts[-1].error
    trouble = ticket.trouble
    if trouble is None or trouble.attempt is None:
        return None
    return trouble.attempt.error


def _as_raised(ticket: Ticket, error: GalileoError, hint: str = "") -> GalileoError:
    """
    The error to raise. If the network failed after a response, this is the error of that response,
    which says both.

    It is a copy, because an attempt lists the original.
    """
    raised = copy(error)
    if isinstance(error, TransportError):
        for attempt in ticket.attempts:
            answer = attempt.error
            # A LoginError was followed by a login.
            if isinstance(answer, ResponseError) and not isinstance(answer, LoginError):
                raised = copy(answer)
                later = quantity(len(ticket.attempts) - attempt.number, "attempt")
                text = f"{answer.message}; then {later} failed, the last one: {error.message}"
                raised.args = (text,)
    raised.hint = ". ".join(filter(None, [raised.hint, hint]))
    raised.query = ticket.query
    raised.attempts = ticket.attempts
    raised.elapsed = asyncio.get_running_loop().time() - ticket.began
    return raised


def notify(name: str, callback: Callable[[T], object], value: T) -> None:
    """Calls a user's function. What it raises is logged, so that the count isn't lost."""
    try:
        _ = callback(value)
    except Exception:
        logger.exception("%s raised; the counts go on", name)
