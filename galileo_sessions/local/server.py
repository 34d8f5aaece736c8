"""An aiohttp.web server on loopback that answers as Galileo does, from sessions in memory."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from functools import cached_property
from itertools import chain
from typing import Any, Self
from uuid import UUID

from aiohttp import web

from galileo_sessions.api.query import CountQuery, scope_of
from galileo_sessions.display import brief
from galileo_sessions.filters.catalog import ColumnCatalog, dump_catalog
from galileo_sessions.filters.matching import matches
from galileo_sessions.local.records import columns_of, filterable_columns, read_names, read_session, uuid4
from galileo_sessions.local.validation import check_strictly, read_projects_request, read_sessions_request, refusing

_PREFIXES = ("", "/v2", "/public/v2")
_SESSIONS = "/projects/{project_id}/sessions/{endpoint:count|available_columns}"
_STREAMS = "/projects/{project_id}/log_streams/paginated"
_STREAM_NAMES = ("production", "staging", "development")
_DATES = dict.fromkeys(("created_at", "updated_at"), "2026-04-02T00:00:00+00:00")  # of all projects and log streams


class LocalGalileo:
    """
    A local Galileo server on 127.0.0.1, which counts the sessions that you give it.

    `async with LocalGalileo(sessions) as server` starts it; leaving the block closes its sockets.
    `with` runs it in its own thread, for code that isn't asynchronous or runs its event loop elsewhere.
    A project without sessions counts 0; the API doesn't document what the service answers to an unknown project.
    With `strict`, a filter must fit the columns of all sessions, so that a test with a typo can't pass.

    It can simulate failures of counts and columns, also from another thread. `slow` delays every answer. Then come the
    answers that `fail_next` and `disconnect` have queued, in the order of the calls; then `fail`; then the normal one.

    Args:
        sessions: Mappings of column id to text, number, boolean, aware datetime or its ISO 8601 text, or list of text.
            Each has a `project_id`, and can have a `log_stream_id`, `experiment_id` and `metrics_testing_id`.
        names: The names of projects and log streams by id. A project that is named here exists, even without sessions.
            The first three log streams without a name are called production, staging and development; others have
            their id as their name.
        api_key: The key that requests must send as Galileo-API-Key or Splunk-AO-API-Key. Default: a random key.
        port: The port to listen on. Default: any free port.
        strict: Whether a filter on a column that no session has, or of another type than its values, gets a 422.
            Without sessions, every filter is accepted.

    Raises:
        ValueError: if an id isn't a version 4 UUID, or if the key is empty.
    """

    def __init__(
        self,
        sessions: Iterable[Mapping[str, object]] = (),
        *,
        names: Mapping[str, str] | Mapping[UUID, str] | None = None,
        api_key: str | None = None,
        port: int = 0,
        strict: bool = False,
    ) -> None:
        if api_key == "":
            raise ValueError("api_key must be text that isn't empty")
        self.api_key: str = secrets.token_urlsafe() if api_key is None else api_key
        """The key to send as Galileo-API-Key or Splunk-AO-API-Key."""
        self.strict: bool = strict
        """Whether a filter that doesn't fit the columns gets a 422. A change applies to the next request."""
        self._port = port
        self._names = read_names(names or {})
        read = [*map(read_session, sessions)]
        streams = {session.get("log_stream_id") for session in read}
        self._sessions: dict[str, list[dict[str, object]]] = {each: [] for each in self._names if each not in streams}
        for session in read:
            self._sessions.setdefault(str(session["project_id"]), []).append(session)
        self._clock: Callable[[], float] = time.monotonic
        self.recover()
        self._counts: deque[CountQuery] = deque(maxlen=10_000)

    async def __aenter__(self) -> Self:
        self._clock = asyncio.get_running_loop().time
        app = web.Application(client_max_size=2**26)  # 10,000 leaves exceed 1 MiB
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def __enter__(self) -> Self:
        began: Future[asyncio.AbstractEventLoop] = Future()

        def serve() -> None:
            with asyncio.Runner() as runner:  # at its end, it cancels requests whose clients are gone
                began.set_result(runner.get_loop())
                runner.get_loop().run_forever()

        thread = threading.Thread(target=serve, name="LocalGalileo", daemon=True)
        thread.start()
        loop = began.result()
        with ExitStack() as stack:
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

        Requests that get a 422 because they can't be read aren't listed.
        """
        return list(self._counts)

    def fail_next(
        self,
        status: int = 429,
        *,
        headers: Mapping[str, str | float] | None = None,
        body: object = None,
        times: int = 1,
    ) -> None:
        """
        Scripts a failure: the next `times` requests for a count or columns get this answer. Calls queue up.

        Args:
            status: The HTTP status; 200 with a `body` scripts an answer that isn't a count.
            headers: Headers such as `{"Retry-After": 1}`.
            body: Text, bytes, or anything that JSON can carry. Default: a `detail` that names this method.
            times: The number of requests.

        Raises:
            ValueError: if a number is out of its range.
        """
        _check_range("status", status, 200, 599)
        _check_range("times", times, 1)
        content = {"detail": "Scripted by fail_next"} if body is None else body
        self._scripted.extend([_failure(status, headers, content) for _ in range(times)])

    def fail(
        self, status: int = 503, *, seconds: float = 5.0, headers: Mapping[str, str | float] | None = None
    ) -> None:
        """
        Simulates an outage: each request for a count or columns gets this status, until the seconds have passed.

        Another call replaces it. Its clock is that of the server's event loop.

        Args:
            status: The HTTP status.
            seconds: From now; `float("inf")` until `recover()`.
            headers: Such as `{"Retry-After": 1}`.

        Raises:
            ValueError: if a number is out of its range.
        """
        _check_range("status", status, 200, 599)
        _check_range("seconds", seconds, 0)
        self._outage = (self._clock() + seconds, status, dict(headers or {}))

    def slow(self, delay: float = 2.0) -> None:
        """
        Delays each answer to a request for a count or columns by so many seconds, until `recover()`.

        Raises:
            ValueError: if the delay is negative.
        """
        _check_range("delay", delay, 0)
        self._delay = delay

    def disconnect(self, times: int = 3) -> None:
        """
        Closes the connections of the next `times` requests for a count or columns without an answer.

        Raises:
            ValueError: if `times` is less than 1.
        """
        _check_range("times", times, 1)
        self._scripted.extend([None] * times)

    def recover(self) -> None:
        """Ends all simulated failures, also what `fail_next` queued. A request that is already delayed stays so."""
        self._scripted: deque[web.Response | None] = deque()  # None closes the connection
        self._outage = (0.0, 0, dict[str, str | float]())
        self._delay = 0.0

    # ---- answers -----------------------------------------------------------------------------------------------------

    def _routes(self) -> list[web.RouteDef]:
        sessions = [web.post(prefix + _SESSIONS, self._count_or_columns) for prefix in _PREFIXES]
        projects = [web.post(f"{prefix}/projects/paginated", self._projects_page) for prefix in _PREFIXES]
        return sessions + projects + [web.get(prefix + _STREAMS, self._log_streams_page) for prefix in _PREFIXES]

    async def _count_or_columns(self, request: web.Request) -> web.Response:
        endpoint, project_id = request.match_info["endpoint"], request.match_info["project_id"]
        query = read_sessions_request(endpoint, project_id, await _body(request))
        is_count = endpoint == "count"
        if is_count:
            self._counts.append(query)
        failure = await self._simulated(request)
        if failure is not None:
            return failure
        self._check_credentials(request)
        if is_count and self.strict and self._columns:
            check_strictly(query, self._columns)
        found = _selected(query, self._sessions.get(query.project_id, ()))
        return web.json_response({"total_count": len(found)} if is_count else dump_catalog(columns_of(found)))

    async def _simulated(self, request: web.Request) -> web.Response | None:
        """The simulated failure that answers a request; None if there is none."""
        await asyncio.sleep(self._delay)
        scripted, (until, status, headers) = self._scripted, self._outage  # recover replaces them, in any thread
        if scripted:
            answer = scripted.popleft()
            if answer is None:
                request.protocol.force_close()
                return web.Response()  # it isn't sent, since the connection is closed
            return answer
        return _failure(status, headers, {"detail": "Simulated by fail"}) if self._clock() < until else None

    async def _projects_page(self, request: web.Request) -> web.Response:
        """Some of the projects, always in the same order."""
        self._check_credentials(request)
        where = read_projects_request(await _body(request))
        projects = map(self._project, self._sessions)
        return _page(request, "projects", [project for project in projects if matches(where, project)])

    async def _log_streams_page(self, request: web.Request) -> web.Response:
        """Some of a project's log streams, in the order of their first sessions."""
        self._check_credentials(request)
        with refusing("path", "project_id"):
            project_id = uuid4("project_id", request.match_info["project_id"])
        given = [session.get("log_stream_id") for session in self._sessions.get(project_id, ())]
        ids = dict.fromkeys(str(each) for each in given if each is not None)
        names = dict(zip(ids, _STREAM_NAMES, strict=False)) | self._names
        streams = [{"id": each, "name": names.get(each, each), "project_id": project_id, **_DATES} for each in ids]
        return _page(request, "log_streams", streams)

    def _project(self, project_id: str) -> dict[str, Any]:
        """A project. Its name is null unless the server was given one, since sessions don't have it."""
        return {"id": project_id, "name": self._names.get(project_id), "type": "gen_ai", **_DATES}

    @cached_property
    def _columns(self) -> ColumnCatalog:
        """The columns of all sessions."""
        return filterable_columns([*chain.from_iterable(self._sessions.values())])

    def _check_credentials(self, request: web.Request) -> None:
        """Refuses a request without the key. Newer deployments call it Splunk-AO-API-Key."""
        if self.api_key not in (request.headers.get("Galileo-API-Key"), request.headers.get("Splunk-AO-API-Key")):
            raise web.HTTPUnauthorized(text='{"detail": "Invalid credentials"}', content_type="application/json")


async def _body(request: web.Request) -> bytes:
    """The body of a request, unpacked. aiohttp logs a traceback for what it can't unpack."""
    body = await request.read()
    if request.headers.get("Content-Encoding") not in ("gzip", "deflate"):
        return body
    try:
        return zlib.decompress(body, wbits=47)  # which reads gzip and zlib
    except zlib.error as error:
        detail = json.dumps({"detail": f"The body can't be unpacked: {error}"})
        raise web.HTTPBadRequest(text=detail, content_type="application/json") from None


def _selected(query: CountQuery, sessions: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The sessions in the query's scope that satisfy all its filters."""
    scope = scope_of(query).items()
    found = [session for session in sessions if scope <= session.items()]
    return [session for session in found if all(matches(where, session) for where in (query.where, *query.filters))]


def _page(request: web.Request, key: str, found: list[dict[str, Any]]) -> web.Response:
    """The entries that a request for a list asks for."""
    with refusing("query"):
        start, limit = [int(request.query.get(*each)) for each in (("starting_token", 0), ("limit", 100))]
        _check_range("starting_token", start, 0)
        _check_range("limit", limit, 1)
    following = start + limit if start + limit < len(found) else None
    more = {"paginated": following is not None, "next_starting_token": following}
    return web.json_response({key: found[start : start + limit], **more})


def _failure(status: int, headers: Mapping[str, str | float] | None, body: object) -> web.Response:
    if isinstance(body, str | bytes):
        response = web.Response(status=status, body=body, content_type="text/plain")
    else:
        response = web.json_response(body, status=status)
    response.headers.update({name: str(value) for name, value in (headers or {}).items()})
    return response


def _check_range(name: str, number: float, least: int, most: float = math.inf) -> None:
    if not least <= number <= most:  # so NaN is refused, too
        allowed = f"{least} or more" if most == math.inf else f"from {least:,} to {most:,}"
        raise ValueError(f"{name} must be {allowed}, got {brief(number)}")
