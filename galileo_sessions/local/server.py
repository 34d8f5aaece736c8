"""An aiohttp.web server on loopback that answers as Galileo does, from sessions in memory."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from functools import cached_property, partial
from itertools import chain
from typing import Self
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler

from galileo_sessions.api.query import CountQuery
from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.catalog import ColumnCatalog, dump_catalog
from galileo_sessions.local import schema
from galileo_sessions.local.pages import PREFIXES, Pages
from galileo_sessions.local.records import columns_of, filterable_columns, read_names, read_session
from galileo_sessions.local.schema import RequestError, SessionsRequest

_SESSIONS = "/projects/{project_id}/sessions/{endpoint:count|available_columns}"


class LocalGalileo:
    """
    A local Galileo server on 127.0.0.1, which counts the sessions that you give it.

    `async with LocalGalileo(sessions) as server` starts it; leaving the block closes its sockets.
    `with` runs it in its own thread, for code that isn't asynchronous or runs its event loop elsewhere.
    It accepts the API key, the username with the password (as Basic, or at /login), and the tokens from /login.
    A project without sessions counts 0; the API doesn't document what the service answers to an unknown project.
    With `strict`, a filter must fit the columns of all sessions, so that a test with a typo can't pass.

    It can simulate failures of counts and columns, also from another thread. `slow` delays every answer. Then come the
    answers that `fail_next` and `disconnect` have queued, in the order of the calls; then `fail`; then the normal one.

    Args:
        sessions: Mappings of column id to text, number, boolean, aware datetime or its ISO 8601 text, or list of text.
            Each has a `project_id`, and can have a `log_stream_id`, `experiment_id` and `metrics_testing_id`.
        names: The names of projects by id. A project that is named here exists, even without sessions.
        api_key: The key that requests must send as Galileo-API-Key or Splunk-AO-API-Key. Default: a random key.
        port: The port to listen on. Default: any free port.
        token_lifetime: Seconds until a token from /login expires.
        strict: Whether a filter on a column that no session has, or of another type than its values, gets a 422.
            Without sessions, every filter is accepted.

    Raises:
        ValueError: if an id isn't a version 4 UUID, or a name isn't text.
    """

    def __init__(
        self,
        sessions: Iterable[Mapping[str, object]] = (),
        *,
        names: Mapping[str, str] | Mapping[UUID, str] | None = None,
        api_key: str | None = None,
        port: int = 0,
        token_lifetime: float = 3600.0,
        strict: bool = False,
    ) -> None:
        self.api_key: str = secrets.token_urlsafe() if api_key is None else api_key
        """The key to send as Galileo-API-Key."""
        self.username: str = "developer@example.com"
        """The user name for Basic authentication and /login."""
        self.password: str = secrets.token_urlsafe()
        """The password of this user: random, and new for each server."""
        self.token_lifetime: float = token_lifetime
        """Seconds until a token from /login expires. A change applies to the next login."""
        self.strict: bool = strict
        """Whether a filter that doesn't fit the columns gets a 422. A change applies to the next request."""
        self._port = port
        self._names = read_names(names or {})
        self._sessions: dict[str, list[dict[str, object]]] = {project_id: [] for project_id in self._names}
        for session in map(read_session, sessions):
            self._sessions.setdefault(str(session["project_id"]), []).append(session)
        self._tokens: dict[str, float] = {}
        self._clock: Callable[[], float] = time.monotonic
        self.recover()
        self._counts: deque[CountQuery] = deque(maxlen=10_000)

    async def __aenter__(self) -> Self:
        self._clock = asyncio.get_running_loop().time
        app = web.Application(client_max_size=2**26, middlewares=[_errors_as_json])  # 10,000 leaves exceed 1 MiB
        app.add_routes([web.post(prefix + _SESSIONS, self._count_or_columns) for prefix in PREFIXES])
        app.add_routes([web.post("/login", self._login), web.post("/login/api_key", self._login_with_key)])
        app.add_routes(Pages(self._sessions, self._names, self.username, self._check_credentials).routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def __enter__(self) -> Self:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="LocalGalileo", daemon=True)
        thread.start()
        with ExitStack() as stack:
            stack.callback(loop.close)
            stack.callback(thread.join)
            stack.callback(loop.call_soon_threadsafe, loop.stop)
            asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result()
            stack.callback(lambda: asyncio.run_coroutine_threadsafe(self.__aexit__(), loop).result())
            self._thread = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.close()

    def __repr__(self) -> str:
        number = sum(map(len, self._sessions.values()))
        return f"<LocalGalileo with {number:,} sessions{f' at {self.url}' if self._port else ''}>"

    @property
    def url(self) -> str:
        """
        The base URL, such as http://127.0.0.1:8080.

        Raises:
            RuntimeError: before the block is entered, unless `port` was given.
        """
        if not self._port:
            raise RuntimeError("the port is known inside the block: async with LocalGalileo(...) as server")
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[CountQuery]:
        """
        The last 10,000 requests for a count, oldest first, whatever the response was.

        Requests that the schema refuses aren't listed, nor are filters that `CountQuery` refuses: an empty and/or.
        If a request has both flat filters and a tree, both are in `where`.
        """
        return list(self._counts)

    def fail_next(
        self, status: int = 429, *, headers: Mapping[str, str] | None = None, body: object = None, times: int = 1
    ) -> None:
        """
        Scripts a failure: the next `times` requests for a count or columns get this answer. Calls queue up.

        Args:
            status: The HTTP status; 200 with a `body` scripts an answer that isn't a count.
            headers: Headers such as `{"Retry-After": "1"}`.
            body: Text, bytes, or anything that JSON can carry. Default: a `detail` that names this method.
            times: The number of requests.

        Raises:
            ValueError: if a number is out of its range.
        """
        _check_status(status)
        _check_times(times)
        content = {"detail": "Scripted by fail_next"} if body is None else body
        self._scripted.extend([_failure(status, headers, content) for _ in range(times)])

    def fail(self, status: int = 503, *, seconds: float = 5.0, headers: Mapping[str, str] | None = None) -> None:
        """
        Simulates an outage: each request for a count or columns gets this status, until the seconds have passed.

        Another call replaces it. Its clock is that of the server's event loop.

        Args:
            status: The HTTP status.
            seconds: From now; `float("inf")` until `recover()`.
            headers: Such as `{"Retry-After": "1"}`.

        Raises:
            ValueError: if a number is out of its range.
        """
        _check_status(status)
        _check_seconds("seconds", seconds)
        self._outage = (self._clock() + seconds, status, dict(headers or {}))

    def slow(self, delay: float = 2.0) -> None:
        """
        Delays each answer to a request for a count or columns by so many seconds, until `recover()`.

        Raises:
            ValueError: if the delay is negative or not a number.
        """
        _check_seconds("delay", delay)
        self._delay = delay

    def disconnect(self, times: int = 3) -> None:
        """
        Closes the connections of the next `times` requests for a count or columns without an answer.

        Raises:
            ValueError: unless `times` is a whole number, 1 or more.
        """
        _check_times(times)
        self._scripted.extend([None] * times)

    def recover(self) -> None:
        """Ends all simulated failures, also what `fail_next` queued. A request that is already delayed stays so."""
        self._scripted: deque[web.Response | None] = deque()  # None closes the connection
        self._outage = (0.0, 0, dict[str, str]())
        self._delay = 0.0

    # ---- sessions ----------------------------------------------------------------------------------------------------

    async def _count_or_columns(self, request: web.Request) -> web.Response:
        is_count = request.match_info["endpoint"] == "count"
        asked = await _read(request)
        if is_count and isinstance(asked, SessionsRequest):
            with suppress(FilterError):
                self._counts.append(asked.query())
        failure = await self._simulated(request)
        if failure is not None:
            return failure
        self._check_credentials(request)
        if isinstance(asked, RequestError):
            raise asked
        if is_count and self.strict and self._columns:
            schema.check_columns(asked, self._columns)
        found = [session for session in self._sessions.get(asked.project_id, ()) if asked.holds_for(session)]
        return web.json_response({"total_count": len(found)} if is_count else dump_catalog(columns_of(found)))

    async def _simulated(self, request: web.Request) -> web.Response | None:
        """The answer to a request that is to fail."""
        await asyncio.sleep(self._delay)
        scripted, (until, status, headers) = self._scripted, self._outage  # recover replaces them, in any thread
        if scripted:
            answer = scripted.popleft()
            if answer is None:
                request.protocol.force_close()
                return web.Response()  # nobody gets it
            return answer
        return _failure(status, headers, {"detail": "Simulated by fail"}) if self._clock() < until else None

    @cached_property
    def _columns(self) -> ColumnCatalog:
        """The columns of all sessions."""
        return filterable_columns([*chain.from_iterable(self._sessions.values())])

    # ---- credentials -------------------------------------------------------------------------------------------------

    def _check_credentials(self, request: web.Request) -> None:
        key = request.headers.get("Galileo-API-Key", request.headers.get("Splunk-AO-API-Key"))
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if key is not None:
            _check(key == self.api_key)
        elif scheme.lower() == "bearer":
            _check(time.time() < self._tokens.get(credentials, 0))
        else:
            password = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            _check(scheme.lower() == "basic" and credentials == password)

    async def _login(self, request: web.Request) -> web.Response:
        try:
            form = await request.post()
        except (LookupError, ValueError):  # such as an unknown charset
            raise schema.unreadable_body() from None
        fields = {name: value for name, value in form.items() if value}
        login = schema.validated(body=(schema.Login, fields))["body"]
        _check(login == {"username": self.username, "password": self.password})
        return self._token_response()

    async def _login_with_key(self, request: web.Request) -> web.Response:
        body = schema.decoded(await request.read(), request.content_type)
        login = schema.validated(body=(schema.KeyLogin, body))["body"]
        _check(login["api_key"] == self.api_key)
        return self._token_response()

    def _token_response(self) -> web.Response:
        """A token that looks like a JWT, because clients read its `exp`; the server itself keeps a list."""
        expiry = time.time() + self.token_lifetime
        claims = _base64url({"sub": self.username, "exp": expiry})
        token = f"{_base64url({'alg': 'none'})}.{claims}.{secrets.token_urlsafe()}"
        self._tokens[token] = expiry
        return web.json_response({"access_token": token, "token_type": "bearer"})


async def _read(request: web.Request) -> SessionsRequest | RequestError:
    """The request, or the error that it gets if nothing else is wrong."""
    endpoint, project_id = request.match_info["endpoint"], request.match_info["project_id"]
    try:
        return schema.read_sessions_request(endpoint, project_id, await request.read(), request.content_type)
    except RequestError as error:
        return error


def _failure(status: int, headers: Mapping[str, str] | None, body: object) -> web.Response:
    if isinstance(body, str | bytes):
        response = web.Response(status=status, body=body, content_type="text/plain")
    else:
        response = web.json_response(body, status=status)
    response.headers.update(headers or {})
    return response


def _check_status(status: object) -> None:
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise ValueError(f"status must be an HTTP status from 200 to 599, got {brief(status)}")


def _check_times(times: object) -> None:
    if not isinstance(times, int) or times < 1:
        raise ValueError(f"times must be a whole number, 1 or more, got {brief(times)}")


def _check_seconds(name: str, seconds: object) -> None:
    if not isinstance(seconds, int | float) or not seconds >= 0:  # NaN isn't
        raise ValueError(f"{name} must be a number of seconds, 0 or more, got {brief(seconds)}")


def _check(known: bool) -> None:
    if not known:
        raise RequestError("Invalid credentials", 401)


def _base64url(claims: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Sends errors in FastAPI's form, including aiohttp's own, such as for an unknown path."""
    try:
        return await handler(request)
    except RequestError as error:
        dumps = partial(json.dumps, default=str)  # an input can be a file
        return web.json_response({"detail": error.detail}, status=error.status, dumps=dumps)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.json_response({"detail": error.reason}, status=error.status, headers=headers)
