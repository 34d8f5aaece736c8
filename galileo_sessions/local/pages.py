"""The endpoints that clients call before they count: the user, the projects, and the sessions' log streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from attrs import frozen

from galileo_sessions.local.schema import PageQuery, Path, ProjectsBody, RequestError, decoded, validated

PREFIXES = ("", "/v2", "/public/v2")  # of the endpoints that this package calls
_KIND = "gen_ai"  # of all projects
_PROJECT = "/projects/{project_id}"
_HEALTH = {"api_version": "local", "message": "healthy", "version": "local"}
_TIMES = {"created_at": "2026-04-02T00:00:00+00:00", "updated_at": "2026-04-02T00:00:00+00:00"}
_USER_ID = "5e7c1f0a-2b8d-4c63-9a4e-d1f0b6a3c852"
_USER = {
    "id": _USER_ID,
    "role": "user",
    "organization_id": "c2a9e4d6-7b1f-4e05-8d3c-6f9a0b5e1d74",
    "organization_name": "Local Galileo",
    **_TIMES,
}


@frozen
class Pages:
    """The handlers of requests for anything but counts, columns and tokens."""

    sessions: Mapping[str, Sequence[Mapping[str, object]]]
    """The sessions of each project."""
    names: Mapping[str, str]
    """The projects' names; some have none."""
    email: str
    """The user's email address."""
    check: Callable[[web.Request], None]
    """Raises a `RequestError` for a request without credentials."""

    def routes(self) -> list[web.RouteDef]:
        """All routes; like FastAPI, they don't answer HEAD."""
        return [
            web.get("/healthcheck", _healthcheck, allow_head=False),
            self._route("/current_user", lambda _: {**_USER, "email": self.email}),
            self._route("/projects", self._projects),
            self._route("/projects/all", self._projects),
            self._route(_PROJECT, lambda request: self._described(self._project_id(request))),
            self._route(f"{_PROJECT}/log_streams", self._streams),
            self._route(f"{_PROJECT}/log_streams/paginated", self._streams_page),
            *[web.post(f"{prefix}/projects/paginated", self._projects_page) for prefix in PREFIXES],
        ]

    def _route(self, path: str, page: Callable[[web.Request], object]) -> web.RouteDef:
        async def answer(request: web.Request) -> web.Response:
            self.check(request)
            return web.json_response(page(request))

        return web.get(path, answer, allow_head=False)

    def _projects(self, request: web.Request) -> list[dict[str, Any]]:
        """All projects, or those of a name and a type; one without a name is found by its id."""
        name = request.query.get("project_name")
        kind = request.query.get("type", request.query.get("project_type", _KIND))
        if kind != _KIND:
            return []
        return [self._described(each) for each in self.sessions if name in (None, self.names.get(each, each))]

    async def _projects_page(self, request: web.Request) -> web.Response:
        """Some of the projects, always in the same order."""
        self.check(request)
        body = decoded(await request.read(), request.content_type)
        page = validated(query=(PageQuery, {**request.query}), body=(ProjectsBody, body))["query"]
        end = page["starting_token"] + page["limit"]
        projects = [self._described(project_id) for project_id in [*self.sessions][page["starting_token"] : end]]
        more = end < len(self.sessions)
        following = {"paginated": more, "next_starting_token": end if more else None}
        return web.json_response({"projects": projects, **page, **following})

    def _streams(self, request: web.Request) -> list[dict[str, Any]]:
        """Log streams, named after their ids; the first is `default`, because SDKs expect each project to have one."""
        project_id = self._project_id(request)
        streams: dict[object, dict[str, Any]] = {}
        about = {"project_id": project_id, "created_by": _USER_ID, **_TIMES}
        for session in self.sessions[project_id]:
            stream = session.get("log_stream_id")
            if stream is not None and stream not in streams:
                streams[stream] = {"id": stream, "name": stream if streams else "default", **about}
        return list(streams.values())

    def _streams_page(self, request: web.Request) -> dict[str, Any]:
        """The log streams of a project, all on one page."""
        streams = self._streams(request)
        return {"log_streams": streams, "starting_token": 0, "limit": len(streams)}

    def _project_id(self, request: web.Request) -> str:
        project_id = str(validated(path=(Path, request.match_info))["path"]["project_id"])
        if project_id not in self.sessions:
            raise RequestError("Not Found", 404)
        return project_id

    def _described(self, project_id: str) -> dict[str, Any]:
        """A project. Its name is null unless the server was given one, since sessions don't have it."""
        creator = {"created_by": _USER_ID, "created_by_user": {"id": _USER_ID, "email": self.email}}
        return {"id": project_id, "name": self.names.get(project_id), "type": _KIND, "runs": [], **creator, **_TIMES}


async def _healthcheck(_: web.Request) -> web.Response:
    """The only page without credentials."""
    return web.json_response(_HEALTH)
