"""A `LocalGalileo` with the pages that Galileo's own SDK asks for before it counts."""

import base64
import json
import time
from typing import Any

from aiohttp import web

from galileo_sessions.local import LocalGalileo

EMAIL = "developer@example.com"
USER_ID = "5e7c1f0a-2b8d-4c63-9a4e-d1f0b6a3c852"
TIMES = dict.fromkeys(("created_at", "updated_at"), "2026-04-02T00:00:00+00:00")
ORGANIZATION = {"organization_id": "c2a9e4d6-7b1f-4e05-8d3c-6f9a0b5e1d74", "organization_name": "Local Galileo"}
USER = {"id": USER_ID, "email": EMAIL, "role": "user", **ORGANIZATION, **TIMES}


def _json(text: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(text).encode()).decode().rstrip("=")


class SDKGalileo(LocalGalileo):
    """It also takes the token that it gives for the key."""

    _token = ""

    def _routes(self) -> list[web.RouteDef]:
        pages = [web.get("/healthcheck", self._health), web.get("/current_user", self._user)]
        return [*super()._routes(), *pages, web.post("/login/api_key", self._login)]

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"api_version": "local", "message": "healthy", "version": "local"})

    async def _user(self, _: web.Request) -> web.Response:
        return web.json_response(USER)

    async def _login(self, request: web.Request) -> web.Response:
        assert self.api_key == (await request.json())["api_key"]
        self._token = f"{_json({'alg': 'none'})}.{_json({'sub': EMAIL, 'exp': time.time() + 3_600})}.c2ln"
        return web.json_response({"access_token": self._token, "token_type": "bearer"})

    def _check_credentials(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            super()._check_credentials(request)
