"""What Galileo's SDKs ask beside counts: who they are, and the projects and log streams that sessions name."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from galileo_sessions.local.schema import RequestError, read_project_id
from galileo_sessions.local.store import SessionStore

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


def routes(store: SessionStore, email: str, check: Callable[[web.Request], None]) -> list[web.RouteDef]:
    """
    The routes of GET.

    Args:
        store: The sessions.
        email: That of the user.
        check: Raises a `RequestError` for a request without credentials; not called for the healthcheck.
    """
    pages = _Pages(store, email, check)
    project = "/projects/{project_id}"
    handlers = {
        "/healthcheck": pages.healthcheck,
        "/current_user": pages.current_user,
        "/projects": pages.projects,
        "/projects/all": pages.projects,
        project: pages.project,
        f"{project}/log_streams": pages.log_streams,
        f"{project}/log_streams/paginated": pages.log_streams_page,
    }
    return [web.get(path, handler, allow_head=False) for path, handler in handlers.items()]  # nor has FastAPI HEAD


class _Pages:
    """The handlers."""

    def __init__(self, store: SessionStore, email: str, check: Callable[[web.Request], None]) -> None:
        self._store = store
        self._email = email
        self._check = check

    async def healthcheck(self, _: web.Request) -> web.Response:
        return web.json_response({"api_version": "local", "message": "healthy", "version": "local"})

    async def current_user(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.json_response(_USER | {"email": self._email})

    async def projects(self, request: web.Request) -> web.Response:
        self._check(request)
        query = request.query
        name, kind = query.get("project_name"), query.get("type", query.get("project_type", _KIND))
        found = self._store.projects if kind == _KIND else []
        return web.json_response([self._described(each) for each in found if name in (None, each)])

    async def project(self, request: web.Request) -> web.Response:
        return web.json_response(self._described(self._known_project(request)))

    async def log_streams(self, request: web.Request) -> web.Response:
        return web.json_response(self._streams_of(self._known_project(request)))

    async def log_streams_page(self, request: web.Request) -> web.Response:
        """All of them on one page."""
        streams = self._streams_of(self._known_project(request))
        return web.json_response({"log_streams": streams, "starting_token": 0, "limit": len(streams)})

    def _known_project(self, request: web.Request) -> str:
        self._check(request)
        project_id = read_project_id(request.match_info["project_id"])
        if project_id not in self._store.projects:
            raise RequestError("Not Found", 404)
        return project_id

    def _described(self, project_id: str) -> dict[str, object]:
        """A project, which is called by its id: a session has no name of it."""
        creator = {"created_by": _USER_ID, "created_by_user": {"id": _USER_ID, "email": self._email}}
        return {"id": project_id, "name": project_id, "type": _KIND, "runs": [], **creator, **_TIMES}

    def _streams_of(self, project_id: str) -> list[dict[str, str]]:
        """Log streams, which are called by their ids but for the first: SDKs expect each project to have a default."""
        streams = self._store.log_streams(project_id)
        names = ["default", *streams[1:]]
        described = [{"id": stream, "name": name} for stream, name in zip(streams, names, strict=False)]
        return [{**stream, "project_id": project_id, "created_by": _USER_ID, **_TIMES} for stream in described]
