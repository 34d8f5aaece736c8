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
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial
from itertools import repeat
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from galileo_sessions.client.query import CountQuery
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.catalog import dump_catalog
from galileo_sessions.local import pages, schema
from galileo_sessions.local.store import SessionStore

_SESSIONS = f"/projects/{{project_id}}/sessions/{{endpoint:{'|'.join(schema.ENDPOINTS)}}}"
_STACK = 16 * 2**20  # bytes; pydantic takes about one MiB for a tree of 100 levels
_SHALLOW = 64  # brackets in a body that the stack of any thread is enough for


class LocalGalileo:
    """
    A Galileo of your own on 127.0.0.1, which counts the sessions it was given.

    `async with LocalGalileo(sessions) as server` starts it; leaving the block closes its sockets.
    `with` runs it in a thread of its own, for code that isn't asynchronous, or has an event loop somewhere else.
    It accepts the API key, the username with the password (as Basic, or at /login), and the tokens from /login.
    A project without sessions counts 0; what the service answers to an unknown project isn't documented.
    With `strict`, a filter must fit the columns of all its sessions, so that a test can't pass on a typo.

    Args:
        sessions: Mappings of column id to text, number, boolean, aware datetime or its ISO 8601 text, or list of text.
            Each has a `project_id`, and may have a `log_stream_id`, `experiment_id` and `metrics_testing_id`.
        api_key: What requests must send as Galileo-API-Key or Splunk-AO-API-Key; a random one unless given.
        port: The port to listen on; any free port unless given.
        token_lifetime: Seconds until a token from /login expires.
        strict: Whether a count gets a 422 if a leaf asks a column that no session of any project has, or as another
            type than its values have. Without sessions there is nothing to check against.

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
        strict: bool = False,
    ) -> None:
        self.api_key: str = secrets.token_urlsafe() if api_key is None else api_key
        self.username = "developer@example.com"
        self.password: str = secrets.token_urlsafe()
        self.token_lifetime = token_lifetime
        self.strict = strict
        self._port = port
        self._running: AsyncExitStack | None = None
        self._thread = ExitStack()
        self._store = SessionStore(sessions)
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
                *pages.routes(self._store, self.username, self._check_credentials),
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
        return f"<LocalGalileo with {len(self._store):,} sessions{f' at {self.url}' if self._port else ''}>"

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
        body = await request.read()
        return await _answered(body, partial(self._count_or_columns_of, request, body))

    def _count_or_columns_of(self, request: web.Request, body: bytes) -> web.Response:
        endpoint, project_id = request.match_info["endpoint"], request.match_info["project_id"]
        asked: schema.SessionsRequest | schema.RequestError
        try:
            asked = schema.read_sessions_request(endpoint, project_id, body, request.content_type)
            if endpoint == "count":
                self._remember(asked)
        except schema.RequestError as error:
            asked = error
        if self._scripted:
            return self._scripted.popleft()()
        self._check_credentials(request)
        if isinstance(asked, schema.RequestError):
            raise asked
        if endpoint != "count":
            return web.json_response(dump_catalog(self._store.columns(asked)))
        if self.strict and len(self._store):
            schema.check_columns(asked, self._store.all_columns)
        return web.json_response({"total_count": self._store.count(asked)})

    def _remember(self, asked: schema.SessionsRequest) -> None:
        flat = asked.flat if asked.tree is None else ()
        with suppress(FilterError):  # a query can't hold an empty and/or
            where = None if flat else asked.where
            self._counts.append(CountQuery(asked.project_id, where, filters=flat, **asked.scope))

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
        body = await request.read()
        return await _answered(body, partial(self._login_with_key_of, request, body))

    def _login_with_key_of(self, request: web.Request, body: bytes) -> web.Response:
        _check(_same(schema.read_api_key(body, request.content_type), self.api_key))
        return self._token_response()

    def _token_response(self) -> web.Response:
        """A token that looks like a JWT, because clients read its `exp`; the server itself keeps a list."""
        now = time.time()
        expiry = now + self.token_lifetime
        claims = {"sub": self.username, "exp": expiry}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({"alg": "none"}, claims)]
        token = ".".join([*(part.rstrip("=") for part in parts), secrets.token_urlsafe()])
        self._tokens = {old: end for old, end in self._tokens.items() if now < end} | {token: expiry}
        return web.json_response({"access_token": token, "token_type": "bearer"})


def _check(known: bool) -> None:
    if not known:
        raise schema.RequestError("Invalid credentials", 401)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


def _refusal(error: schema.RequestError) -> web.Response:
    return web.json_response({"detail": error.detail}, status=error.status)


async def _answered(body: bytes, answer: Callable[[], web.Response]) -> web.Response:
    """
    What `answer` returns, or the refusal that it raises.

    Reading, counting and echoing recurse as deep as a body does, which would end the process in a small stack.
    """

    def answer_or_refuse() -> web.Response:
        try:
            return answer()
        except schema.RequestError as error:
            return _refusal(error)

    if body.count(b"{") + body.count(b"[") <= _SHALLOW:
        return answer_or_refuse()
    executor = ThreadPoolExecutor(1, "LocalGalileo")
    before = threading.stack_size(_STACK)
    try:
        answering = asyncio.get_running_loop().run_in_executor(executor, answer_or_refuse)  # starts the thread
    finally:
        threading.stack_size(before)
        executor.shutdown(wait=False)
    return await answering


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals in FastAPI's shape, also those of aiohttp itself, such as for an unknown path."""
    try:
        return await handler(request)
    except schema.RequestError as error:
        return _refusal(error)
    except (ConnectionError, web.RequestPayloadError):  # cut off in the middle, or not encoded as its head says
        return _refusal(schema.unreadable_body())
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.json_response({"detail": error.reason}, status=error.status, headers=headers)
