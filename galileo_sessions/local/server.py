"""An aiohttp.web server on loopback that answers as Galileo does, from sessions in memory."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import cached_property
from itertools import chain
from typing import Any, Self, TypeAlias, TypeVar, cast
from uuid import UUID

from aiohttp import web
from aiohttp.http import HttpProcessingError

from galileo_sessions.api.query import CountQuery, scope_of
from galileo_sessions.display import brief
from galileo_sessions.filters.catalog import ColumnCatalog, dump_catalog
from galileo_sessions.filters.matching import matcher
from galileo_sessions.local.records import (
    columns_of,
    filterable_columns,
    read_names,
    read_session,
    uuid4,
)
from galileo_sessions.local.validation import (
    check_strictly,
    read_body,
    read_projects_request,
    read_sessions_request,
    refusing,
)

_PROJECTS = "/{prefix:(v2/|public/v2/)?}projects"
_SESSIONS = _PROJECTS + "/{project_id}/sessions/{endpoint:count|available_columns}"
_STREAMS = _PROJECTS + "/{project_id}/log_streams/paginated"
_STREAM_NAMES = ("production", "staging", "development")
# of all projects and log streams
_DATES = dict.fromkeys(("created_at", "updated_at"), "2026-04-02T00:00:00+00:00")
_NAMED = 5  # projects that an error names

T = TypeVar("T")

_Headers: TypeAlias = Mapping[str, str | float]


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record is about the server, and not a client's mistake or departure."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError)


# Its parent has the handlers and the level that a program gave to aiohttp's log.
_logger = logging.getLogger("aiohttp.server.galileo_sessions")
_logger.addFilter(_is_ours)


class LocalGalileo:
    """
    A local Galileo server on 127.0.0.1, which counts the sessions that you give it.

    `async with LocalGalileo(sessions) as server` starts it; leaving the block closes its sockets.
    `with` runs it in its own thread, for code that isn't asynchronous or runs its event loop
    elsewhere. A project without sessions counts 0; the API doesn't document what the service
    answers to an unknown project. With `strict`, a filter must fit the columns of all sessions, so
    that a test with a typo can't pass.

    It can simulate failures of counts and columns, also from another thread, and for one project
    with `project=`, a name or an id. `slow` delays every answer. Then come the answers that
    `fail_next` and `disconnect` have queued, in the order of the calls; then `fail`; then the
    normal one.

    Args:
        sessions: Mappings of column id to text, number, boolean, aware datetime or its ISO 8601
            text, or list of text. Each has a `project_id`, and can have a `log_stream_id`,
            `experiment_id` and `metrics_testing_id`.
        names: The names of projects and log streams by id. A project that is named here exists,
            even without sessions. The first three log streams of a project without a name are
            called production, staging and development, as far as no other is; the rest have their
            id as their name.
        api_key: The key that requests must send as Galileo-API-Key or Splunk-AO-API-Key. Default: a
            random key.
        port: The port to listen on. Default: any free port.
        strict: Whether a filter on a column that no session has, or of another type than its
            values, gets a 422. Without sessions, every filter is accepted.

    Raises:
        ValueError: if an id isn't a version 4 UUID, if the key or a column id is empty, if a time
            has no UTC offset, or if the port is out of its range.
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
        """
        Whether a filter that doesn't fit the columns gets a 422. A change applies to the next
        request.
        """
        _check_range("port", port, 0, 65_535)
        self._port = port
        self._names = read_names(names or {})
        read = [*map(read_session, sessions)]
        streams = {session.get("log_stream_id") for session in read}
        self._sessions: dict[str, list[dict[str, object]]] = {
            each: [] for each in self._names if each not in streams
        }
        for session in read:
            self._sessions.setdefault(str(session["project_id"]), []).append(session)
        self.recover()
        self._counts: deque[CountQuery] = deque(maxlen=10_000)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)  # 10,000 leaves exceed 1 MiB
        app.add_routes(self._routes())
        # A request ends with its connection; aiohttp forgets its task then, and couldn't end it.
        self._runner = web.AppRunner(
            app, access_log=None, logger=_logger, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        make = cast("web.Server", self._runner.server)
        self._listener = await loop.create_server(make, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        with suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().remove_reader(self._listener.sockets[0])  # accepts no more
        for _ in range(3):  # asyncio would lose a connection that it is still accepting
            await asyncio.sleep(0)
        self._listener.close()
        await self._runner.cleanup()

    def __enter__(self) -> Self:
        began: Future[asyncio.AbstractEventLoop] = Future()

        def serve() -> None:
            with asyncio.Runner() as runner:  # its end cancels requests whose clients are gone
                began.set_result(runner.get_loop())
                runner.get_loop().run_forever()

        thread = threading.Thread(target=serve, name="LocalGalileo", daemon=True)
        thread.start()
        loop = began.result()
        with ExitStack() as stack:
            stack.callback(thread.join)
            stack.callback(loop.call_soon_threadsafe, loop.stop)
            asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result()
            stack.callback(
                lambda: asyncio.run_coroutine_threadsafe(self.__aexit__(), loop).result()
            )
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
            problem = "the port is known inside the block: async with LocalGalileo(...) as server"
            raise RuntimeError(problem)
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
        headers: _Headers | None = None,
        body: object = None,
        times: int = 1,
        project: UUID | str | None = None,
    ) -> None:
        """
        Scripts a failure: the next `times` requests for a count or columns get this answer. Calls
        queue up.

        Args:
            status: The HTTP status; 200 with a `body` scripts an answer that isn't a count.
            headers: Headers such as `{"Retry-After": 1}`.
            body: Text, bytes, or anything that JSON can carry. Default: a `detail` that names this
                method.
            times: The number of requests.
            project: The name or the id of a project, if only its requests are meant.

        Raises:
            ValueError: if a number is out of its range, or if there is no such project.
        """
        _check_range("status", status, 200, 599)
        _check_range("times", times, 1)
        project_id = self._find(project)
        content = {"detail": "Scripted by fail_next"} if body is None else body
        answers = [_failure(status, headers, content) for _ in range(times)]
        self._scripted.extend([(project_id, answer) for answer in answers])

    def fail(
        self,
        status: int = 503,
        *,
        headers: _Headers | None = None,
        project: UUID | str | None = None,
    ) -> None:
        """
        Simulates an outage: each request for a count or columns gets this status, until
        `recover()`.

        Another call for the same project, or for all, replaces it.

        Args:
            status: The HTTP status.
            headers: Such as `{"Retry-After": 1}`.
            project: As for `fail_next`.

        Raises:
            ValueError: if the status is out of its range, or if there is no such project.
        """
        _check_range("status", status, 200, 599)
        self._outages[self._find(project)] = status, dict(headers or {})

    def slow(self, delay: float = 2.0, *, project: UUID | str | None = None) -> None:
        """
        Delays each answer to a request for a count or columns by so many seconds, until
        `recover()`.

        Args:
            delay: Seconds of the server's event loop.
            project: As for `fail_next`. Its delay replaces the one for all projects.

        Raises:
            ValueError: if the delay is negative, or if there is no such project.
        """
        _check_range("delay", delay, 0)
        self._delays[self._find(project)] = delay

    def disconnect(self, times: int = 3, *, project: UUID | str | None = None) -> None:
        """
        Closes the connections of the next `times` requests for a count or columns without an
        answer.

        Args:
            times: The number of requests.
            project: As for `fail_next`.

        Raises:
            ValueError: if `times` is less than 1, or if there is no such project.
        """
        _check_range("times", times, 1)
        self._scripted.extend([(self._find(project), None)] * times)

    def recover(self) -> None:
        """
        Ends all simulated failures, also what `fail_next` queued. A request that is already delayed
        stays so.
        """
        # Each belongs to a project, or with None to all; the answer None closes the connection.
        self._scripted: deque[tuple[str | None, web.Response | None]] = deque()
        self._outages: dict[str | None, tuple[int, _Headers]] = {}
        self._delays: dict[str | None, float] = {}

    def _find(self, project: UUID | str | None) -> str | None:
        """The id of the project with a name or an id; None stands for all projects."""
        if project is None:
            return None
        wanted = str(project)
        for project_id in self._sessions:
            if wanted.lower() == project_id or wanted == self._names.get(project_id):
                return project_id
        names = [self._names.get(each, each) for each in self._sessions]
        known = ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)
        raise ValueError(f"the server has no project {brief(wanted)}; it has {known or 'none'}")

    # ---- answers ---------------------------------------------------------------------------------

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.post(_SESSIONS, self._count_or_columns),
            web.post(_PROJECTS + "/paginated", self._projects_page),
            web.get(_STREAMS, self._log_streams_page),
        ]

    async def _count_or_columns(self, request: web.Request) -> web.Response:
        endpoint = request.match_info["endpoint"]
        is_count = endpoint == "count"
        query = read_sessions_request(
            endpoint, request.match_info["project_id"], await read_body(request)
        )
        if is_count:
            self._counts.append(query)
        failure = await self._simulated(request, query.project_id)
        if failure is not None:
            return failure
        self._check_credentials(request)
        if is_count and self.strict and self._columns:
            check_strictly(query, self._columns)
        found = _selected(query, self._sessions.get(query.project_id, ()))
        if is_count:
            return web.json_response({"total_count": len(found)})
        return web.json_response(dump_catalog(columns_of(found)))

    async def _simulated(self, request: web.Request, project_id: str) -> web.Response | None:
        """The simulated failure that answers a request; None if there is none."""
        await asyncio.sleep(_for(project_id, self._delays) or 0)
        scripted = self._scripted  # recover replaces it, in any thread
        for each in [*scripted]:
            of_project, answer = each
            if of_project in (None, project_id):
                scripted.remove(each)
                return answer or _closed(request)
        outage = _for(project_id, self._outages)
        return outage and _failure(*outage, {"detail": "Simulated by fail"})

    async def _projects_page(self, request: web.Request) -> web.Response:
        """Some of the projects, always in the same order."""
        self._check_credentials(request)
        where = read_projects_request(await read_body(request))
        found = [*filter(matcher(where), map(self._project, self._sessions))]
        return _page(request, "projects", found)

    async def _log_streams_page(self, request: web.Request) -> web.Response:
        """Some of a project's log streams, in the order of their first sessions."""
        self._check_credentials(request)
        with refusing("path", "project_id"):
            project_id = uuid4("project_id", request.match_info["project_id"])
        given = [session.get("log_stream_id") for session in self._sessions.get(project_id, ())]
        ids = dict.fromkeys(str(each) for each in given if each is not None)
        names = {each: self._names[each] for each in ids if each in self._names}
        others = [name for name in _STREAM_NAMES if name not in names.values()]
        names |= zip([each for each in ids if each not in names], others, strict=False)
        streams = [
            {"id": each, "name": names.get(each, each), "project_id": project_id, **_DATES}
            for each in ids
        ]
        return _page(request, "log_streams", streams)

    def _project(self, project_id: str) -> dict[str, Any]:
        """
        A project. Its name is null unless the server was given one, since sessions don't have it.
        """
        return {"id": project_id, "name": self._names.get(project_id), "type": "gen_ai", **_DATES}

    @cached_property
    def _columns(self) -> ColumnCatalog:
        """The columns of all sessions."""
        return filterable_columns([*chain.from_iterable(self._sessions.values())])

    def _check_credentials(self, request: web.Request) -> None:
        """Refuses a request without the key. Newer deployments call it Splunk-AO-API-Key."""
        keys = [request.headers.get(f"{name}-API-Key") for name in ("Galileo", "Splunk-AO")]
        if self.api_key not in keys:
            text = '{"detail": "Invalid credentials"}'
            raise web.HTTPUnauthorized(text=text, content_type="application/json")


def _for(project_id: str, table: Mapping[str | None, T]) -> T | None:
    """What a table has for a project, else for all of them."""
    return table.get(project_id, table.get(None))


def _closed(request: web.Request) -> web.Response:
    """Closes a connection; the response isn't sent."""
    request.protocol.force_close()
    return web.Response()


def _selected(
    query: CountQuery, sessions: Iterable[Mapping[str, object]]
) -> list[Mapping[str, object]]:
    """The sessions of a project that are in a query's scope and satisfy its filter."""
    scope = scope_of(query).items()
    found = [session for session in sessions if scope <= session.items()]
    return [*filter(matcher(query.where), found)]


def _page(request: web.Request, key: str, found: list[dict[str, Any]]) -> web.Response:
    """The entries that a request for a list asks for."""
    with refusing("query"):
        start = _number(request, "starting_token", 0, least=0)
        limit = _number(request, "limit", 100, least=1)
    following = start + limit if start + limit < len(found) else None
    more = {"paginated": following is not None, "next_starting_token": following}
    return web.json_response({key: found[start : start + limit], **more})


def _number(request: web.Request, name: str, default: int, *, least: int) -> int:
    """A number in the query of a request."""
    text = request.query.get(name, str(default))
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        problem = f"{name} must be a whole number such as {default}, got {brief(text)}"
        raise ValueError(problem)
    number = int(text)
    _check_range(name, number, least)
    return number


def _failure(status: int, headers: _Headers | None, body: object) -> web.Response:
    if isinstance(body, str | bytes):
        response = web.Response(status=status, body=body, content_type="text/plain")
    else:
        response = web.json_response(body, status=status)
    for name, value in (headers or {}).items():
        response.headers[name] = str(value)
    return response


def _check_range(name: str, number: float, least: int, most: float = math.inf) -> None:
    if not least <= number <= most:  # so NaN is refused, too
        allowed = f"{least} or more" if most == math.inf else f"from {least:,} to {most:,}"
        raise ValueError(f"{name} must be {allowed}, got {brief(number)}")
