"""One count, from the query to the number: credentials, attempts, deadline, and what is told of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from copy import copy

from attrs import frozen

from galileo_sessions.answers import error_of, total_count
from galileo_sessions.auth import Auth, PasswordAuth, Tokens, bearer, login_form, secrets_of, static_headers, token_of
from galileo_sessions.errors import Attempt, AttemptTimeoutError, DeadlineExceededError, DecodeError, GalileoError
from galileo_sessions.query import CountQuery
from galileo_sessions.transport import Transport

logger: logging.Logger = logging.getLogger("galileo_sessions")

OnAttempt = Callable[[Attempt], object]


@frozen
class Counted:
    """A count that came, and the attempts that it took."""

    total_count: int
    attempts: tuple[Attempt, ...]
    elapsed: float


class Counter:
    """
    Sends queries and reads counts.

    Args:
        transport: The way to the service.
        auth: The credentials.
        headers: What each request carries beside them.
        attempt: Seconds that one attempt may take.
        on_attempt: Called after each attempt; what it raises is logged.
    """

    def __init__(
        self, transport: Transport, auth: Auth, headers: Mapping[str, str], attempt: float, on_attempt: OnAttempt | None
    ) -> None:
        self._transport = transport
        self._auth = auth
        self._attempt_time = attempt
        self._on_attempt = on_attempt
        self._headers = {**headers, "Content-Type": "application/json", **static_headers(auth)}
        self._tokens = Tokens(self._login) if isinstance(auth, PasswordAuth) else None

    async def count(self, query: CountQuery, deadline: float | None) -> Counted:
        """
        The count for a query.

        Args:
            query: What to count.
            deadline: When to give up, on the loop's clock.

        Raises:
            GalileoError: with `query`, `attempts` and `elapsed`.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        until = started + self._attempt_time
        if deadline is not None:
            until = min(until, deadline)
        try:
            count = await self._attempt(query, until)
        except GalileoError as error:
            problem = error
        else:
            attempt = Attempt(1, 200, None, 0.0, clock() - started)
            self._tell(attempt)
            return Counted(count, (attempt,), attempt.elapsed)
        status = 200 if isinstance(problem, DecodeError) else getattr(problem, "status", None)
        attempt = Attempt(1, status, problem, 0.0, clock() - started)
        self._tell(attempt)
        final = copy(problem)  # so that the attempt's own error lists no attempts
        if isinstance(problem, AttemptTimeoutError) and until == deadline:
            final = DeadlineExceededError("timeout= ran out before a count came", last=problem)
        final.query, final.attempts, final.elapsed = query, (attempt,), clock() - started
        raise final

    async def close(self) -> None:
        """Ends a login under way, and the transport."""
        if self._tokens is not None:
            await self._tokens.close()
        await self._transport.close()

    async def _attempt(self, query: CountQuery, until: float) -> int:
        headers = self._headers if self._tokens is None else await self._with_token(self._tokens, until)
        path = f"/v2/projects/{query.project_id}/sessions/count"
        answer = await self._transport.post(path, query.body, headers, until=until)
        if answer.status == 200:
            return total_count(answer.body, self._scrub)
        raise error_of(answer, self._scrub)

    async def _with_token(self, tokens: Tokens, until: float) -> Mapping[str, str]:
        try:
            async with asyncio.timeout_at(until):
                return {**self._headers, **bearer(await tokens.get())}
        except TimeoutError:
            problem = AttemptTimeoutError("the login took longer than the attempt may", phase="response")
        raise problem

    async def _login(self) -> str:
        assert isinstance(self._auth, PasswordAuth)  # noqa: S101  # only then are there tokens
        until = asyncio.get_running_loop().time() + self._attempt_time
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        return token_of(await self._transport.post("/login", login_form(self._auth), headers, until=until))

    def _scrub(self, text: str) -> str:
        for secret in secrets_of(self._auth) + (self._tokens.latest if self._tokens else []):
            text = text.replace(secret, "***")
        return text

    def _tell(self, attempt: Attempt) -> None:
        logger.debug(
            "POST /v2/projects/{project_id}/sessions/count: attempt %d, status %s, %.0f ms",
            attempt.number,
            attempt.status,
            attempt.elapsed * 1000,
        )
        if self._on_attempt is None:
            return
        try:
            self._on_attempt(attempt)
        except Exception:  # somebody else's code, whose failure must not lose a count
            logger.exception("on_attempt raised; the count goes on")
