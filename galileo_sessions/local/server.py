"""An aiohttp.web server on loopback that answers as Galileo does, from sessions in memory."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, ExitStack
from functools import lru_cache, partial
from itertools import repeat
from threading import Thread
from typing import Any, Self
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler

from galileo_sessions.client.query import CountQuery
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.catalog import dump_catalog
from galileo_sessions.filters.evaluation import matches
from galileo_sessions.local.sample import columns_of, read_session
from galileo_sessions.local.schema import ASKED, Entry, Question, judge_texts, judge_uuid, read, read_api_key

_SESSIONS = f"/projects/{{project_id}}/sessions/{{asked:{'|'.join(ASKED)}}}"
_USER = {
    "id": "5e7c1f0a-2b8d-4c63-9a4e-d1f0b6a3c852",
    "role": "user",
    "organization_id": "c2a9e4d6-7b1f-4e05-8d3c-6f9a0b5e1d74",
    "organization_name": "Local Galileo",
    **dict.fromkeys(("created_at", "updated_at"), "2026-04-02T00:00:00+00:00"),
}


class LocalGalileo:
    """
    A Galileo of your own on 127.0.0.1, which counts the sessions it was given.

    `async with LocalGalileo(sessions) as server` starts it; leaving the block closes its sockets.
    `with` runs it in a thread of its own, for code that isn't asynchronous, or has an event loop somewhere else.
    It knows the API key, the username with the password (as Basic, or at /login), and the tokens from /login.
    A project without sessions counts 0; what the service answers to an unknown project isn't documented.

    Args:
        sessions: Mappings of column id to text, number, boolean, aware datetime or its ISO 8601 text, or list of text.
            Each has a `project_id`, and may have a `log_stream_id`, `experiment_id` and `metrics_testing_id`.
        api_key: What requests must bring as Galileo-API-Key or Splunk-AO-API-Key; a random one unless given.
        port: Where to listen; at any free port unless given.
        token_lifetime: Seconds for which a token from /login is good.

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
        self._troubles: deque[partial[web.Response]] = deque()
        self._asked: deque[tuple[str, Question]] = deque(maxlen=10_000)
        self._read = lru_cache(maxsize=64)(read)  # a fan-out asks each project the same
        self._answer = lru_cache(maxsize=10_000)(self._look)  # and a benchmark asks the same again

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError("this server runs already; make a second LocalGalileo")
        app = web.Application(client_max_size=2**26, middlewares=[_refusal_as_json])  # 10,000 leaves exceed 1 MiB
        app.add_routes(self._routes())
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
        thread = Thread(target=loop.run_forever, name="LocalGalileo", daemon=True)
        thread.start()
        with ExitStack() as stack:
            stack.callback(loop.close)
            stack.callback(thread.join)
            stack.callback(loop.call_soon_threadsafe, loop.stop)
            _ = asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result()
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
        """The base URL, such as http://127.0.0.1:8080; before the start, a RuntimeError if the port is to be found."""
        if not self._port:
            raise RuntimeError("the port is known inside the block: async with LocalGalileo(...) as server")
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[CountQuery]:
        """
        The last 10,000 counts that were asked, oldest first, whatever the answer was.

        Not among them is what the schema refuses, or what `CountQuery` can't hold: an empty and/or.
        Where flat filters stood beside a tree, both are in `where`.
        """
        asked = tuple(self._asked)  # from a thread of its own the server may add to them
        queries = {question: _query(project_id, question) for project_id, question in asked}
        found = [(queries[question], project_id) for project_id, question in asked]
        return [query.for_project(project_id) for query, project_id in found if query is not None]

    def fail_next(
        self, status: int = 429, *, headers: Mapping[str, str] | None = None, body: object = None, times: int = 1
    ) -> None:
        """
        Scripts trouble: the next `times` requests for a count or columns get this answer. Calls queue up.

        Args:
            status: The HTTP status; 200 with a `body` scripts an answer that is no count.
            headers: Such as `{"Retry-After": "1"}`.
            body: Text or bytes, or anything that JSON can carry; None is a `detail` that names this method.
            times: The number of requests.
        """
        plain = isinstance(body, str | bytes)
        text = body if plain else json.dumps({"detail": "Scripted by fail_next"} if body is None else body)
        merged = {"Content-Type": "text/plain" if plain else "application/json"}
        merged |= {name.title(): value for name, value in (headers or {}).items()}
        payload = text.encode() if isinstance(text, str) else text
        self._troubles.extend(repeat(partial(web.Response, status=status, headers=merged, body=payload), times))

    def _routes(self) -> list[web.RouteDef]:
        return [
            *(web.post(prefix + _SESSIONS, self._answer_question) for prefix in ("", "/v2", "/public/v2")),
            web.post("/login", self._answer_login),
            web.post("/login/api_key", self._answer_api_key),
            web.get("/healthcheck", self._answer_healthcheck),
            web.get("/current_user", self._answer_current_user),
        ]

    # ---- sessions ----------------------------------------------------------------------------------------------------

    async def _answer_question(self, request: web.Request) -> web.Response:
        project_id, asked = request.match_info["project_id"], request.match_info["asked"]
        faults = judge_uuid(project_id, ("path", "project_id"))
        question = self._read(await request.read(), request.content_type, asked)
        if isinstance(question, Question) and not faults:
            project_id = str(UUID(project_id))
            if asked == "count":
                self._asked.append((project_id, question))
        if self._troubles:
            return self._troubles.popleft()()
        if not self._knows(request):
            return _unauthorized()
        if isinstance(question, list) or faults:
            return _unprocessable(faults + (question if isinstance(question, list) else []))
        return web.json_response(self._answer(asked, project_id, question))

    def _look(self, asked: str, project_id: str, question: Question) -> dict[str, Any]:
        scope = question.scope.items()
        scoped = (s for s in self._sessions.get(project_id, ()) if all(s.get(name) == value for name, value in scope))
        found = (session for session in scoped if matches(question.where, session))
        return {"total_count": sum(1 for _ in found)} if asked == "count" else dump_catalog(columns_of(found))

    # ---- credentials -------------------------------------------------------------------------------------------------

    def _knows(self, request: web.Request) -> bool:
        for header in ("Galileo-API-Key", "Splunk-AO-API-Key"):
            if header in request.headers:
                return _same(request.headers[header], self.api_key)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return any(_same(given, token) and time.time() < end for token, end in self._tokens.items())
        basic = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return scheme.lower() == "basic" and _same(given, basic)

    async def _answer_login(self, request: web.Request) -> web.Response:
        try:
            posted = await request.post()
        except (LookupError, ValueError):  # an unknown charset, bytes that it hasn't, a broken multipart body
            return web.json_response({"detail": "There was an error parsing the body"}, status=400)
        form = {name: value for name, value in posted.items() if isinstance(value, str) and value}
        faults = judge_texts(("username", "password"), form, ("body",))  # they echo a password, as the service does
        if faults:
            return _unprocessable(faults)
        return self._answer_token(_same(form["username"], self.username) & _same(form["password"], self.password))

    async def _answer_api_key(self, request: web.Request) -> web.Response:
        key = read_api_key(await request.read(), request.content_type)
        return _unprocessable(key) if isinstance(key, list) else self._answer_token(_same(key, self.api_key))

    def _answer_token(self, known: bool) -> web.Response:
        return web.json_response({"access_token": self._token(), "token_type": "bearer"}) if known else _unauthorized()

    async def _answer_healthcheck(self, _: web.Request) -> web.Response:
        return web.json_response({"api_version": "local", "message": "healthy", "version": "local"})

    async def _answer_current_user(self, request: web.Request) -> web.Response:
        return web.json_response(_USER | {"email": self.username}) if self._knows(request) else _unauthorized()

    def _token(self) -> str:
        """Shaped like a JWT, for clients read its `exp`; it is good because this server remembers it."""
        now = time.time()
        claims: list[dict[str, Any]] = [{"alg": "none"}, {"sub": self.username, "exp": now + self.token_lifetime}]
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in claims]
        token = ".".join([*parts, secrets.token_urlsafe()])
        self._tokens = {old: end for old, end in self._tokens.items() if now < end} | {token: now + self.token_lifetime}
        return token


def _query(project_id: str, question: Question) -> CountQuery | None:
    try:
        if question.filters:
            return CountQuery(project_id, filters=question.filters, **question.scope)
        return CountQuery(project_id, question.where, **question.scope)
    except FilterError:
        return None


def _unauthorized() -> web.Response:
    return web.json_response({"detail": "Invalid credentials"}, status=401)


def _unprocessable(entries: list[Entry]) -> web.Response:
    return web.json_response({"detail": entries}, status=422)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


@web.middleware
async def _refusal_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What aiohttp refuses by itself, such as an unknown path, in FastAPI's shape."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.json_response({"detail": error.reason}, status=error.status)
