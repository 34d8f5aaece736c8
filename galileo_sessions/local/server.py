"""An aiohttp.web server on loopback that answers as Galileo does, from sessions in memory."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from functools import lru_cache, partial
from itertools import repeat
from typing import Any, Self
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler

from galileo_sessions.errors import FilterError
from galileo_sessions.evaluation import matches
from galileo_sessions.local.sample import read_session
from galileo_sessions.local.schema import Question, judge_uuid, read
from galileo_sessions.query import CountQuery

_COUNT = "/projects/{project_id}/sessions/count"


class LocalGalileo:
    """
    A Galileo of your own on 127.0.0.1, which counts the sessions it was given.

    `async with LocalGalileo(sessions) as server` starts it; leaving the block closes its sockets.
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
        self._sessions: dict[str, list[dict[str, object]]] = {}
        for session in map(read_session, sessions):
            self._sessions.setdefault(str(session["project_id"]), []).append(session)
        self._tokens: dict[str, float] = {}
        self._troubles: deque[partial[web.Response]] = deque()
        self._asked: deque[tuple[str, Question]] = deque(maxlen=10_000)
        self._read = lru_cache(maxsize=64)(read)  # a fan-out asks each project the same
        self._total = lru_cache(maxsize=10_000)(self._count)  # and a benchmark asks the same again

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
        queries = {question: _query(project_id, question) for project_id, question in self._asked}
        asked = [(queries[question], project_id) for project_id, question in self._asked]
        return [query.for_project(project_id) for query, project_id in asked if query is not None]

    def fail_next(
        self, status: int = 429, *, headers: Mapping[str, str] | None = None, body: object = None, times: int = 1
    ) -> None:
        """
        Scripts trouble: the next `times` count requests get this answer, whatever they ask. Calls queue up.

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
        counts = [web.post(prefix + _COUNT, self._answer_count) for prefix in ("", "/v2", "/public/v2")]
        return [*counts, web.post("/login", self._answer_login)]

    # ---- counting ----------------------------------------------------------------------------------------------------

    async def _answer_count(self, request: web.Request) -> web.Response:
        project_id = request.match_info["project_id"]
        faults = judge_uuid(project_id, ("path", "project_id"))
        question = self._read(await request.read(), request.content_type)
        if isinstance(question, Question) and not faults:
            project_id = str(UUID(project_id))
            self._asked.append((project_id, question))
        if self._troubles:
            return self._troubles.popleft()()
        if not self._knows(request):
            return web.json_response({"detail": "Invalid credentials"}, status=401)
        if isinstance(question, list) or faults:
            faults += question if isinstance(question, list) else []
            return web.json_response({"detail": faults}, status=422)
        return web.json_response({"total_count": self._total(project_id, question)})

    def _count(self, project_id: str, question: Question) -> int:
        scope = question.scope.items()
        scoped = (s for s in self._sessions.get(project_id, ()) if all(s.get(name) == value for name, value in scope))
        return sum(matches(question.where, session) for session in scoped)

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
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        absent = [name for name in ("username", "password") if not form.get(name)]
        if absent:  # `input` echoes a password, as the service does
            fault = {"type": "missing", "msg": "Field required", "input": form}
            return web.json_response({"detail": [{**fault, "loc": ["body", name]} for name in absent]}, status=422)
        if not (_same(form["username"], self.username) & _same(form["password"], self.password)):
            return web.json_response({"detail": "Invalid credentials"}, status=401)
        return web.json_response({"access_token": self._token(), "token_type": "bearer"})

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


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), expected.encode())


@web.middleware
async def _refusal_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What aiohttp refuses by itself, such as an unknown path, in FastAPI's shape."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.json_response({"detail": error.reason}, status=error.status)
