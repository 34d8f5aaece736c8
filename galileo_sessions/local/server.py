"""An aiohttp.web server on loopback that answers as Galileo does, from sessions in memory."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial
from itertools import repeat
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from galileo_sessions.client.query import CountQuery
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.catalog import dump_catalog
from galileo_sessions.filters.evaluation import matches
from galileo_sessions.local import schema
from galileo_sessions.local.sample import columns_of, read_session

_SESSIONS = f"/projects/{{project_id}}/sessions/{{endpoint:{'|'.join(schema.ENDPOINTS)}}}"
_STACK = 16 * 2**20  # bytes; pydantic takes about one MiB for a tree of 100 levels
_USER = {
    "id": "5e7c1f0a-2b8d-4c63-9a4e-d1f0b6a3c852",
    "role": "user",
    "organization_id": "c2a9e4d6-7b1f-4e05-8d3c-6f9a0b5e1d74",
    "organization_name": "Local Galileo",
    "created_at": "2026-04-02T00:00:00+00:00",
    "updated_at": "2026-04-02T00:00:00+00:00",
}


class LocalGalileo:
    """
    A Galileo of your own on 127.0.0.1, which counts the sessions it was given.

    `async with LocalGalileo(sessions) as server` starts it; leaving the block closes its sockets.
    `with` runs it in a thread of its own, for code that isn't asynchronous, or has an event loop somewhere else.
    It accepts the API key, the username with the password (as Basic, or at /login), and the tokens from /login.
    A project without sessions counts 0; what the service answers to an unknown project isn't documented.

    Args:
        sessions: Mappings of column id to text, number, boolean, aware datetime or its ISO 8601 text, or list of text.
            Each has a `project_id`, and may have a `log_stream_id`, `experiment_id` and `metrics_testing_id`.
        api_key: What requests must send as Galileo-API-Key or Splunk-AO-API-Key; a random one unless given.
        port: The port to listen on; any free port unless given.
        token_lifetime: Seconds until a token from /login expires.

    Raises:
        ValueError: if an id of a session is no version 4 UUID.
    """

    def __init__(
        self,
        sessions: Iterable[Mapping[str, object]] = (),
        *,
        api_key: str | None = None,
        port: int = 0,
        token_lifetime: float = 3600.0,
    ) -> None:
        self.api_key: str = secrets.token_urlsafe() if api_key is None else api_key
        self.username = "developer@example.com"
        self.password: str = secrets.token_urlsafe()
        self.token_lifetime = token_lifetime
        self._port = port
        self._running: AsyncExitStack | None = None
        self._thread = ExitStack()
        self._sessions: dict[str, list[dict[str, object]]] = {}
        for session in map(read_session, sessions):
            self._sessions.setdefault(str(session["project_id"]), []).append(session)
        self._tokens: dict[str, float] = {}
        self._scripted: deque[partial[web.Response]] = deque()
        self._counts: deque[CountQuery] = deque(maxlen=10_000)

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError("this server runs already; make a second LocalGalileo")
        app = web.Application(client_max_size=2**26, middlewares=[_errors_as_json])  # 10,000 leaves exceed 1 MiB
        app.add_routes(
            [
                *(web.post(prefix + _SESSIONS, self._count_or_columns) for prefix in ("", "/v2", "/public/v2")),
                web.post("/login", self._login),
                web.post("/login/api_key", self._login_with_key),
                web.get("/healthcheck", self._healthcheck),
                web.get("/current_user", self._current_user),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self._port = runner.addresses[0][1]
            self._running = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()

    def __enter__(self) -> Self:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="LocalGalileo", daemon=True)
        before = threading.stack_size(_STACK)
        thread.start()
        threading.stack_size(before)
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
        """The base URL, such as http://127.0.0.1:8080. Without a chosen port, a RuntimeError before the start."""
        if not self._port:
            raise RuntimeError("the port is known inside the block: async with LocalGalileo(...) as server")
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[CountQuery]:
        """
        The last 10,000 counts that clients asked for, oldest first, whatever the answer was.

        Requests that the schema refuses aren't among them, nor is a filter that `CountQuery` refuses: an empty and/or.
        If flat filters stood beside a tree, both are in `where`.
        """
        return list(self._counts)

    def fail_next(
        self, status: int = 429, *, headers: Mapping[str, str] | None = None, body: object = None, times: int = 1
    ) -> None:
        """
        Scripts a failure: the next `times` requests for a count or columns get this answer. Calls queue up.

        Args:
            status: The HTTP status; 200 with a `body` scripts an answer that is no count.
            headers: Such as `{"Retry-After": "1"}`.
            body: Text or bytes, or anything that JSON can carry; None is a `detail` that names this method.
            times: The number of requests.
        """
        content_type, payload = "text/plain", body
        if not isinstance(body, str | bytes):
            content_type = "application/json"
            payload = json.dumps({"detail": "Scripted by fail_next"} if body is None else body)
        merged = {"Content-Type": content_type} | {name.title(): value for name, value in (headers or {}).items()}
        self._scripted.extend(repeat(partial(web.Response, status=status, headers=merged, body=payload), times))

    # ---- sessions ----------------------------------------------------------------------------------------------------

    async def _count_or_columns(self, request: web.Request) -> web.Response:
        endpoint, project_id = request.match_info["endpoint"], request.match_info["project_id"]
        asked: schema.SessionsRequest | schema.RequestError
        try:
            asked = schema.read_sessions_request(endpoint, project_id, await request.read(), request.content_type)
            if endpoint == "count":
                self._remember(asked)
        except schema.RequestError as error:
            asked = error
        if self._scripted:
            return self._scripted.popleft()()
        self._check_credentials(request)
        if isinstance(asked, schema.RequestError):
            raise asked
        found = self._find(asked)
        answer = {"total_count": len(found)} if endpoint == "count" else dump_catalog(columns_of(found))
        return web.json_response(answer)

    def _remember(self, asked: schema.SessionsRequest) -> None:
        where = None if asked.filters else asked.where
        with suppress(FilterError):  # a query can't hold an empty and/or
            self._counts.append(CountQuery(asked.project_id, where, filters=asked.filters, **asked.scope))

    def _find(self, asked: schema.SessionsRequest) -> list[Mapping[str, object]]:
        sessions, scope = self._sessions.get(asked.project_id, []), asked.scope.items()
        return [session for session in sessions if scope <= session.items() and matches(asked.where, session)]

    # ---- credentials -------------------------------------------------------------------------------------------------

    def _check_credentials(self, request: web.Request) -> None:
        key = request.headers.get("Galileo-API-Key", request.headers.get("Splunk-AO-API-Key"))
        if key is not None:
            return _check(_same(key, self.api_key))
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _check(time.time() < self._tokens.get(given, 0))
        basic = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return _check(scheme.lower() == "basic" and _same(given, basic))

    async def _login(self, request: web.Request) -> web.Response:
        try:
            form = await request.post()
        except (LookupError, ValueError):  # an unknown charset, bytes that it hasn't, a broken multipart body
            raise schema.unreadable_body() from None
        username, password = schema.read_login({name: value for name, value in form.items() if value})
        _check(_same(username, self.username) & _same(password, self.password))
        return self._token_response()

    async def _login_with_key(self, request: web.Request) -> web.Response:
        _check(_same(schema.read_api_key(await request.read(), request.content_type), self.api_key))
        return self._token_response()

    def _token_response(self) -> web.Response:
        """A token that looks like a JWT, because clients read its `exp`; the server itself keeps a list."""
        expiry = time.time() + self.token_lifetime
        claims = {"sub": self.username, "exp": expiry}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({"alg": "none"}, claims)]
        token = ".".join([*(part.rstrip("=") for part in parts), secrets.token_urlsafe()])
        self._tokens[token] = expiry
        return web.json_response({"access_token": token, "token_type": "bearer"})

    async def _healthcheck(self, _: web.Request) -> web.Response:
        return web.json_response({"api_version": "local", "message": "healthy", "version": "local"})

    async def _current_user(self, request: web.Request) -> web.Response:
        self._check_credentials(request)
        return web.json_response(_USER | {"email": self.username})


def _check(known: bool) -> None:
    if not known:
        raise schema.RequestError("Invalid credentials", 401)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals in FastAPI's shape, also those of aiohttp itself, such as for an unknown path."""
    try:
        return await handler(request)
    except schema.RequestError as error:
        return web.json_response({"detail": error.detail}, status=error.status)
    except web.HTTPException as error:
        return web.json_response({"detail": error.reason}, status=error.status)
