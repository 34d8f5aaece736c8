"""Credentials and headers, plain or as a `Secret`, and what is sent."""

from base64 import b64encode

import pytest
from support.sockets import PROJECT, http, raw_server

from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, GalileoSessions, PasswordAuth, Secret

BASIC = f"Authorization: Basic {b64encode(b'ann:p:w').decode()}"
ROWS: dict[str, tuple[dict[str, object], str]] = {
    "key": ({"api_key": "k-1"}, "Galileo-API-Key: k-1"),
    "key, Secret": ({"api_key": Secret("k-1")}, "Galileo-API-Key: k-1"),
    "key, both headers": ({"api_key": "k-1"}, "Splunk-AO-API-Key: k-1"),
    "another header": ({"auth": ApiKeyAuth("k-1", header="Splunk-AO-API-Key")}, "Splunk-AO-API-Key: k-1"),
    "bearer": ({"auth": BearerAuth("t-1")}, "Authorization: Bearer t-1"),
    "basic": ({"auth": BasicAuth("ann", "p:w")}, BASIC),
    "basic, Secret": ({"auth": BasicAuth(Secret("ann"), Secret("p:w"))}, BASIC),
    "password, Secret": ({"auth": PasswordAuth(Secret("ann"), Secret("p:w"))}, "Authorization: Bearer t0ken"),
    "header": ({"api_key": "k", "headers": {"X-Team": Secret("bill")}}, "X-Team: bill"),
    "headers": ({"api_key": "k", "headers": Secret({"X-Team": "bill"})}, "X-Team: bill"),
    "both": ({"api_key": "k", "headers": Secret({"X-Team": Secret("bill")})}, "X-Team: bill"),
}


@pytest.mark.parametrize(("arguments", "line"), ROWS.values(), ids=ROWS)
async def test_what_is_sent(arguments, line):
    """Each kind of credentials has its own header."""
    async with raw_server(http(body='{"access_token": "t0ken", "total_count": 7}')) as server:
        async with GalileoSessions(base_url=Secret(server.url), **arguments) as galileo:
            assert await galileo.count(PROJECT) == 7
    assert f"\r\n{line}\r\n".encode() in server.requests[-1]
    logins = [request.rpartition(b"\r\n")[2] for request in server.requests[:-1]]
    assert logins == [b"username=ann&password=p%3Aw"] * ("t0ken" in line)
