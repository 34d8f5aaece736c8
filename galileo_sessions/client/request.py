"""One question, from the query to the answer: its place in the queue, its attempts, its deadline."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Mapping
from copy import copy
from functools import partial
from math import inf
from typing import Any, Generic, TypeVar

from attrs import define, frozen

from galileo_sessions.client.credentials import (
    Auth,
    PasswordAuth,
    Tokens,
    bearer,
    forms_of,
    login_form,
    secrets_of,
    static_headers,
    token_of,
)
from galileo_sessions.client.limiter import Gate
from galileo_sessions.client.query import CountQuery
from galileo_sessions.client.responses import Scrub, column_catalog, error_of, total_count
from galileo_sessions.client.retry import Budget, Retry, Retrying, is_overload
from galileo_sessions.client.transport import MAX_BODY, Transport
from galileo_sessions.errors import (
    Attempt,
    AttemptTimeoutError,
    AuthenticationError,
    DeadlineExceededError,
    DecodeError,
    GalileoError,
    ResponseError,
    TransportError,
)
from galileo_sessions.filters.catalog import ColumnCatalog

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")

_LINE = "POST /v2/projects/{project_id}/sessions/%s: attempt %d, status %s, %.0f ms"

OnAttempt = Callable[[Attempt], object]


def tell(call: Callable[[], object], complaint: str) -> None:
    """Calls somebody else's code, whose failure is logged: it must not lose a count."""
    try:
        call()
    except Exception:
        logger.exception(complaint)


@frozen
class Asked(Generic[T]):
    """What can be asked of a project's sessions."""

    name: str
    """The last part of its path."""
    decode: Callable[[bytes, Scrub], T]
    """What the body of a 200 says."""
    limit: int
    """Bytes that such a body may have."""


COUNT: Asked[int] = Asked("count", total_count, MAX_BODY)
COLUMNS: Asked[ColumnCatalog] = Asked("available_columns", column_catalog, 8 << 20)


@define
class _Call:
    """One call of `Counter.ask`, while it lasts."""

    asked: Asked[Any]
    query: CountQuery
    body: bytes
    started: float
    deadline: float | None
    idle_since: float
    """When the wait for the next attempt began."""
    attempts: tuple[Attempt, ...] = ()
    retrying: Retrying | None = None
    token: str | None = None
    at_deadline: bool = False
    """Whether the attempt ends with the deadline, before its own time is over."""
    refused_token: str | None = None
    """A token that met a 401; there is one login to replace it."""

    def is_cut_short(self, error: GalileoError) -> bool:
        """Whether a timeout says nothing of the service: the caller's time was over, not the attempt's."""
        return self.at_deadline and isinstance(error, AttemptTimeoutError)

    def failed(self, error: GalileoError, now: float) -> GalileoError:
        """What to raise: the last real answer rather than network trouble after it; a copy, for an attempt lists it."""
        if isinstance(error, TransportError):
            real = [attempt.error for attempt in self.attempts if isinstance(attempt.error, ResponseError)]
            error = real[-1] if real else error
        final = copy(error)
        final.query, final.attempts, final.elapsed = self.query, self.attempts, now - self.started
        return final

    def late(self, now: float) -> GalileoError:
        """The error for a deadline that has passed, or that the next attempt would pass."""
        last = self.attempts[-1].error if self.attempts else None
        made = f"after {len(self.attempts)} attempts" if self.attempts else "before a request could be sent"
        return self.failed(DeadlineExceededError(f"timeout= ran out {made}; give more time", last=last), now)


class Counter:
    """
    Sends queries and reads what the service answers.

    Args:
        transport: The way to the service.
        auth: The credentials.
        headers: What each request carries beside them.
        attempt: Seconds that one attempt may take, from its admission on.
        retry: Whether to try again.
        gate: Who may send.
        on_attempt: Called after each attempt; what it raises is logged.
    """

    def __init__(
        self,
        transport: Transport,
        auth: Auth,
        headers: Mapping[str, str],
        *,
        attempt: float,
        retry: Retry,
        gate: Gate,
        on_attempt: OnAttempt | None,
    ) -> None:
        self.gate = gate
        self._transport = transport
        self._auth = auth
        self._attempt_time = attempt
        self._retry = retry
        self._budget = Budget()
        self._draw: Callable[[float], float] = _draw
        self._on_attempt = on_attempt
        self._headers = {**headers, "Content-Type": "application/json", **static_headers(auth)}
        self._tokens = Tokens(self._login) if isinstance(auth, PasswordAuth) else None

    def count(self, query: CountQuery, deadline: float | None) -> Coroutine[Any, Any, tuple[int, tuple[Attempt, ...]]]:
        """The count for a query, and the attempts that it took; as `ask`."""
        return self.ask(COUNT, query, query.body, deadline)

    async def ask(
        self, asked: Asked[T], query: CountQuery, body: bytes, deadline: float | None
    ) -> tuple[T, tuple[Attempt, ...]]:
        """
        The answer to a question, and the attempts that it took.

        Args:
            asked: What to ask.
            query: Of which project; errors carry it.
            body: What is sent.
            deadline: When to give up, on the loop's clock.

        Raises:
            GalileoError: with `query`, `attempts` and `elapsed`.
        """
        clock = asyncio.get_running_loop().time
        called = clock()
        call = _Call(asked, query, body, called, deadline, idle_since=called)
        while True:
            answer = await self._try(call, clock)
            error = call.attempts[-1].error
            if error is None:
                self._budget.give_back(1) if call.retrying is None else call.retrying.succeeded()
                return answer, call.attempts
            now = call.idle_since
            call.retrying = call.retrying or Retrying(self._retry, self._budget, self._draw)
            if self._wants_new_token(call, error):
                call.retrying.made += 1
                continue
            left = inf if deadline is None else deadline - now
            wait = inf if call.is_cut_short(error) else call.retrying.wait_after(error, left)
            if wait is None:
                raise call.failed(error, now)
            if wait == inf:
                raise call.late(now)
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Ends a login under way, and the transport."""
        if self._tokens is not None:
            await self._tokens.close()
        await self._transport.close()

    async def _try(self, call: _Call, clock: Callable[[], float]) -> Any:
        """One attempt, noted in `call`; gives what the answer says, or None if there is an error."""
        place = self.gate.enter_at_once()
        if place is None:
            place = await self._enter(call)
        begun = clock()
        until = begun + self._attempt_time
        call.at_deadline = call.deadline is not None and call.deadline < until
        if call.deadline is not None and call.at_deadline:
            until = call.deadline
            if until <= begun:
                self.gate.leave(place, ok=False)
                raise call.late(begun)
        said, error, came = None, None, False
        try:
            headers = self._headers if self._tokens is None else await self._with_token(call, self._tokens, until)
            path = f"/v2/projects/{call.query.project_id}/sessions/{call.asked.name}"
            answer = await self._transport.post(path, call.body, headers, until=until, limit=call.asked.limit)
            if answer.status != 200:
                raise error_of(answer, self._scrub, call.query)  # a function more would be felt in each count
            said = call.asked.decode(answer.body, self._scrub)
            came = True
        except GalileoError as problem:
            error = problem.with_traceback(None)  # which would keep the whole answer alive
        finally:
            if error is not None:
                self._learn(call, place, error)
            self.gate.leave(place, ok=came)
        status = error.status if isinstance(error, ResponseError) else None
        if error is None or isinstance(error, DecodeError):
            status = 200
        ended = clock()
        attempt = Attempt(len(call.attempts) + 1, status, error, begun - call.idle_since, ended - begun)
        call.attempts += (attempt,)
        call.idle_since = ended
        self._tell(call.asked.name, attempt)
        return said

    def _learn(self, call: _Call, place: int, error: GalileoError) -> None:
        """Tells the gate that the service has too much to do, and for how long it asked to be left alone."""
        asked = error.retry_after if isinstance(error, ResponseError) else None
        if asked is not None and asked > self._retry.max_retry_after:
            asked = None
        if is_overload(error) and not call.is_cut_short(error):
            self.gate.shrink(place, asked)

    async def _enter(self, call: _Call) -> int:
        if call.deadline is None:
            return await self.gate.enter()
        timeout = asyncio.timeout_at(call.deadline)
        try:
            async with timeout:
                return await self.gate.enter()
        except TimeoutError:
            if not timeout.expired():  # then it is not ours, but of Limits(rate=...)
                raise
        raise call.late(asyncio.get_running_loop().time())

    async def _with_token(self, call: _Call, tokens: Tokens, until: float) -> Mapping[str, str]:
        timeout = asyncio.timeout_at(until)
        try:
            async with timeout:
                call.token = await tokens.get(stale=call.refused_token)
                return {**self._headers, **bearer(call.token)}
        except TimeoutError:
            if not timeout.expired():  # then it is the login's own
                raise
        raise AttemptTimeoutError("the login took longer than the attempt may", phase="response")

    def _wants_new_token(self, call: _Call, error: GalileoError) -> bool:
        """Whether a 401 may be the token's fault: once a call, a login is worth an attempt."""
        if self._tokens is None or type(error) is not AuthenticationError or call.token is None:
            return False
        self._tokens.refused(call.token)
        first = call.refused_token is None
        call.refused_token = call.token
        return first and len(call.attempts) < self._retry.attempts

    async def _login(self) -> str:
        assert isinstance(self._auth, PasswordAuth)  # noqa: S101  # only then are there tokens
        until = asyncio.get_running_loop().time() + self._attempt_time
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        return token_of(await self._transport.post("/login", login_form(self._auth), headers, until=until), self._scrub)

    def _scrub(self, text: str) -> str:
        tokens = self._tokens.known if self._tokens is not None else ()
        for form in forms_of([*secrets_of(self._auth), *tokens]):
            text = text.replace(form, "***")
        return text

    def _tell(self, name: str, attempt: Attempt) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            milliseconds = attempt.elapsed * 1000
            logger.debug(_LINE, name, attempt.number, attempt.status, milliseconds)
        if self._on_attempt is not None:
            tell(partial(self._on_attempt, attempt), "on_attempt raised; the count goes on")


def _draw(most: float) -> float:
    return random.uniform(0, most)  # noqa: S311  # spreads retries, protects nothing
