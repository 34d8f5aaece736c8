"""The endpoints that Galileo's SDKs call before they count: the user, and the sessions' projects and log streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from aiohttp import web
from attrs import frozen

from galileo_sessions.local.schema import RequestError, validated

_KIND = "gen_ai"  # of all projects
_USER_ID = "5e7c1f0a-2b8d-4c63-9a4e-d1f0b6a3c852"
_TIMES = {"created_at": "2026-04-02T00:00:00+00:00", "updated_at": "2026-04-02T00:00:00+00:00"}
_USER = {
    "id": _USER_ID,
    "role": "user",
    "organization_id": "c2a9e4d6-7b1f-4e05-8d3c-6f9a0b5e1d74",
    "organization_name": "Local Galileo",
    **_TIMES,
}


@frozen
class Pages:
    """The handlers of GET requests."""

    sessions: Mapping[str, Sequence[Mapping[str, object]]]
    """The sessions by project."""
    email: str
    """The user's address."""
    check: Callable[[web.Request], None]
    """Raises a `RequestError` for a request without credentials."""

    def routes(self) -> list[web.RouteDef]:
        """All routes; like FastAPI, they don't answer HEAD."""
        project = "/projects/{project_id}"
        pages: dict[str, Callable[[web.Request], object]] = {
            "/current_user": lambda _: _USER | {"email": self.email},
            "/projects": self._projects,
            "/projects/all": self._projects,
            project: lambda request: self._described(self._project_id(request)),
            f"{project}/log_streams": self._streams,
            f"{project}/log_streams/paginated": self._streams_page,
        }
        handlers = {path: partial(self._answer, page) for path, page in pages.items()} | {"/healthcheck": _healthcheck}
        return [web.get(path, handler, allow_head=False) for path, handler in handlers.items()]

    async def _answer(self, page: Callable[[web.Request], object], request: web.Request) -> web.Response:
        self.check(request)
        return web.json_response(page(request))

    def _projects(self, request: web.Request) -> list[dict[str, object]]:
        """All projects, or those of a name and a type."""
        name = request.query.get("project_name")
        kind = request.query.get("type", request.query.get("project_type", _KIND))
        found = [project_id for project_id in self.sessions if kind == _KIND and name in (None, project_id)]
        return [self._described(project_id) for project_id in found]

    def _streams_page(self, request: web.Request) -> dict[str, object]:
        """The log streams of a project, all on one page."""
        streams = self._streams(request)
        return {"log_streams": streams, "starting_token": 0, "limit": len(streams)}

    def _project_id(self, request: web.Request) -> str:
        project_id = str(validated("project", path=request.match_info)["path"]["project_id"])
        if project_id not in self.sessions:
            raise RequestError("Not Found", 404)
        return project_id

    def _described(self, project_id: str) -> dict[str, object]:
        """A project. Sessions don't know its name, so its id is its name."""
        creator = {"created_by": _USER_ID, "created_by_user": {"id": _USER_ID, "email": self.email}}
        return {"id": project_id, "name": project_id, "type": _KIND, "runs": [], **creator, **_TIMES}

    def _streams(self, request: web.Request) -> list[dict[str, str]]:
        """Log streams, named after their ids; the first is `default`, because SDKs expect each project to have one."""
        project_id = self._project_id(request)
        ids = dict.fromkeys(str(session.get("log_stream_id") or "") for session in self.sessions[project_id])
        streams = [stream for stream in ids if stream]
        about = {"project_id": project_id, "created_by": _USER_ID, **_TIMES}
        return [{"id": stream, "name": stream if i else "default", **about} for i, stream in enumerate(streams)]


async def _healthcheck(_: web.Request) -> web.Response:
    """The only page without credentials."""
    return web.json_response({"api_version": "local", "message": "healthy", "version": "local"})
