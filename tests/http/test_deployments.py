"""Each deployment, from arguments and variables to the request that a server sees; and the spellings of its URL."""

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver
from support.proxies import tls
from support.shown import visible_text
from support.sockets import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import ApiKeyAuth, BasicAuth, GalileoSessions, Secret
from galileo_sessions.http.environment import VARIABLES

A, B = "https://a.io", "https://b.io"
GALILEO = {"GALILEO_API_KEY": "k-1"}
STANDALONE = {"SPLUNK_AO_API_KEY": "k-2", "SPLUNK_AO_CONSOLE_URL": "https://console.ao.acme.com"}
IN_CLOUD = "app.us1.observability.splunkcloud.com/ao/api"
CLOUD = {"SPLUNK_AO_REALM": "us1", "SPLUNK_AO_O11Y_TOKEN": "t-1"}
LOGIN = {"GALILEO_USERNAME": "ann", "GALILEO_PASSWORD": "pw"}
HEADERS = {"X-Gate": "g", "accept": "*/*", "galileo-API-key": "k-9", "Host": "x.io", "Authorization": "x"}
EXTRA = {"GALILEO_EXTRA_HEADERS": json.dumps(HEADERS)}


def keys(key: str) -> dict[str, str]:
    """The two headers of a key."""
    return {"galileo-api-key": key, "splunk-ao-api-key": key}


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"authorization": f"Bearer {token}"}


BASIC = {"authorization": f"Basic {b64encode(b'ann:p:w').decode()}"}
SENT = keys("k") | {"x-team": "bill"}
ROWS: dict[str, tuple[dict[str, str], dict[str, Any], str, dict[str, str]]] = {
    "Galileo's cloud": (GALILEO, {}, "api.galileo.ai", keys("k-1")),
    "its console": (GALILEO | {"GALILEO_CONSOLE_URL": "app.galileo.ai"}, {}, "api.galileo.ai", keys("k-1")),
    "self-hosted": (GALILEO | {"GALILEO_CONSOLE_URL": "console.x.io/p/1"}, {}, "api.x.io", keys("k-1")),
    "standalone": (STANDALONE, {}, "api.ao.acme.com", keys("k-2")),
    "standalone, API": (STANDALONE | {"SPLUNK_AO_API_URL": "https://gw.x.io/ao"}, {}, "gw.x.io/ao", keys("k-2")),
    "GALILEO_ first": (STANDALONE | GALILEO | {"GALILEO_API_URL": "https://x.io"}, {}, "x.io", keys("k-1")),
    "API before console": (GALILEO | {"GALILEO_CONSOLE_URL": A, "SPLUNK_AO_API_URL": B}, {}, "b.io", keys("k-1")),
    "GALILEO_ console": (GALILEO | {"GALILEO_CONSOLE_URL": A, "SPLUNK_AO_CONSOLE_URL": B}, {}, "a.io", keys("k-1")),
    "GALILEO_ API": (GALILEO | {"GALILEO_API_URL": A, "SPLUNK_AO_API_URL": B}, {}, "a.io", keys("k-1")),
    "an empty one isn't set": (STANDALONE | {"GALILEO_API_KEY": ""}, {}, "api.ao.acme.com", keys("k-2")),
    "Observability Cloud": (CLOUD | {"SPLUNK_AO_O11Y_API_TOKEN": "t-2"}, {}, IN_CLOUD, {"x-sf-token": "t-2"}),
    "Observability Cloud, ingest, beside Galileo's": (
        GALILEO | LOGIN | EXTRA | CLOUD | {"GALILEO_API_URL": "https://x.io", "GALILEO_JWT_TOKEN": "t"},
        {},
        IN_CLOUD,
        {"x-sf-token": "t-1"},
    ),
    "JWT first": (GALILEO | LOGIN | {"GALILEO_JWT_TOKEN": "t-3"}, {}, "api.galileo.ai", bearer("t-3")),
    "JWT, SPLUNK_AO_": (STANDALONE | {"SPLUNK_AO_JWT_TOKEN": "t-4"}, {}, "api.ao.acme.com", bearer("t-4")),
    "key before login": (LOGIN | GALILEO, {}, "api.galileo.ai", keys("k-1")),
    "login": (LOGIN | EXTRA, {}, "api.galileo.ai", {"x-gate": "g", "galileo-api-key": "k-9"} | bearer("t0ken")),
    "login, mixed": (
        {"GALILEO_USERNAME": "ann", "SPLUNK_AO_USERNAME": "bob", "SPLUNK_AO_PASSWORD": "pw"},
        {},
        "api.galileo.ai",
        bearer("t0ken"),
    ),
    "extra headers": (GALILEO | EXTRA, {}, "api.galileo.ai", {"x-gate": "g"} | keys("k-1")),
    "extra headers, JWT": (
        EXTRA | {"GALILEO_JWT_TOKEN": "t-3"},
        {"headers": {"X-GATE": "h"}},
        "api.galileo.ai",
        {"x-gate": "h", "galileo-api-key": "k-9"} | bearer("t-3"),
    ),
    "arguments first": (CLOUD, {"api_key": "k-3", "base_url": "https://console-a.x.io/p"}, "api-a.x.io", keys("k-3")),
    "arguments, half a pair": (
        {"SPLUNK_AO_REALM": "us1"} | STANDALONE,
        {"api_key": Secret("k-3"), "base_url": "https://x.io"},
        "x.io",
        keys("k-3"),
    ),
    "one header": (STANDALONE, {"auth": ApiKeyAuth("k-4", "X-Key")}, "api.ao.acme.com", {"x-key": "k-4"}),
    "key": ({}, {"api_key": Secret("k-1"), "base_url": Secret("https://x.io")}, "x.io", keys("k-1")),
    "bearer": ({}, {"auth": gs.BearerAuth("t-1")}, "api.galileo.ai", bearer("t-1")),
    "basic": ({}, {"auth": BasicAuth("ann", "p:w")}, "api.galileo.ai", BASIC),
    "basic, Secret": ({}, {"auth": BasicAuth(Secret("ann"), Secret("p:w"))}, "api.galileo.ai", BASIC),
    "password": ({}, {"auth": gs.PasswordAuth(Secret("ann"), Secret("pw"))}, "api.galileo.ai", bearer("t0ken")),
    "header": ({}, {"api_key": "k", "headers": {"X-Team": Secret("bill")}}, "api.galileo.ai", SENT),
    "headers": ({}, {"api_key": "k", "headers": Secret({"X-Team": "bill"})}, "api.galileo.ai", SENT),
    "both": ({}, {"api_key": "k", "headers": Secret({"X-Team": Secret("bill")})}, "api.galileo.ai", SENT),
    "an address for the token": (CLOUD, {"base_url": "https://x.io/a"}, "x.io/a", {"x-sf-token": "t-1"}),
}


class ToPort(AbstractResolver):
    """Leads each host to a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        """The port, whatever the host."""
        return [{"hostname": host, "host": "127.0.0.1", "port": self.port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("environment", "arguments", "address", "expected"), ROWS.values(), ids=ROWS)
async def test_from_the_environment_to_the_request(monkeypatch, environment, arguments, address, expected):
    """The server of each deployment gets its path and its credentials, and no others."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    answer = http(body='{"access_token": "t0ken", "total_count": 7}')
    async with raw_server(answer, ssl=tls()[0]) as server:
        connector = aiohttp.TCPConnector(resolver=ToPort(int(server.url.rpartition(":")[2])), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with GalileoSessions(session=session, ssl=False, **arguments) as galileo:
                assert await galileo.count(PROJECT) == 7
            await asyncio.sleep(0.01)  # for TLS to say goodbye
    line, *fields = server.requests[-1].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    host, _, path = address.partition("/")
    assert line == f"POST {path and '/' + path}/v2/projects/{PROJECT}/sessions/count HTTP/1.1"
    sent = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    assert (sent["host"], sent["accept"]) == (host, "application/json")
    ours = ("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent")
    assert {name: value for name, value in sent.items() if name not in (*ours, "connection")} == expected
    assert {b"\r\nx-gate: " in request.lower() for request in server.requests} == {"x-gate" in expected}
    logins = [request.rpartition(b"\r\n")[2] for request in server.requests[:-1]]
    assert logins == [b"username=ann&password=pw"] * ("t0ken" in str(expected))


@pytest.mark.parametrize(
    "environment",
    [
        {"GALILEO_USERNAME": "us3r-0815", "GALILEO_PASSWORD": "pa55-w0rd"},
        {"SPLUNK_AO_API_KEY": "k3y-5f0c"},
        {"SPLUNK_AO_JWT_TOKEN": "k3y-5f0c"},
    ],
    ids=["login", "key", "JWT"],
)
@pytest.mark.parametrize("status", [200, 401, 403, 422, 503])
async def test_nothing_from_the_environment_is_shown(monkeypatch, caplog, environment, status):
    """A value from the environment is a secret, a user name and a short header, too, even if the server repeats it."""
    caplog.set_level("DEBUG", "galileo_sessions")
    extra = {"GALILEO_EXTRA_HEADERS": '{"X-Gate": "g8"}'}
    echo = " ".join({*environment.values(), "g8", "k3y-5f0c"})

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        is_login = server.requests[number - 1].startswith(b"POST /login ")
        writer.write(http(200, '{"access_token": "k3y-5f0c"}') if is_login else http(status, echo, X_Echo=echo))

    async with raw_server(behave) as server:
        for name, value in (environment | extra | {"GALILEO_API_URL": server.url}).items():
            monkeypatch.setenv(name, value)
        async with GalileoSessions(retry=gs.Retry(attempts=1)) as galileo:
            with pytest.raises(gs.GalileoError) as caught:
                await galileo.count(PROJECT)
    told = visible_text(caught.value) + repr(galileo) + caplog.text
    assert [word for word in {*environment.values(), "g8", "k3y-5f0c"} if word in told] == []


def test_the_page_has_each_variable_in_the_order_in_which_they_win():
    """The table on the page has all variables that are read; of the credentials and addresses, the upper row wins."""
    page = (Path(__file__).parents[2] / "docs" / "counting.md").read_text("utf-8")
    table = page.partition("## Credentials and addresses")[2]
    ranked = ["O11Y_TOKEN", "JWT_TOKEN", "API_KEY", "USERNAME", "PASSWORD", "REALM", "API_URL", "CONSOLE_URL"]
    places = [table.index(f"`{VARIABLES[setting][0]}`") for setting in ranked]
    assert places == sorted(places)
    assert [name for names in VARIABLES.values() for name in names[:1] if name not in page] == []


# ---- where the API is ------------------------------------------------------------------------------------------------

AS_IT_IS = None
SPELLINGS: dict[str, tuple[str | None, str | None]] = {
    # written: the API's URL if it is the console's URL, and if it is the API's; "" for an error
    "https://app.galileo.ai": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "https://app.galileo.ai/": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "https://APP.galileo.ai/project/1/log-streams?tab=2#x": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "http://app.galileo.ai:80": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "app.galileo.ai": ("https://api.galileo.ai", ""),
    " app.galileo.ai\n": ("https://api.galileo.ai", ""),
    "https://eu.app.galileo.ai": ("https://api.galileo.ai", AS_IT_IS),
    "https://api.galileo.ai/": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "https://console.acme.com": ("https://api.acme.com", "https://api.acme.com"),
    "https://console.acme.com/foo/bar": ("https://api.acme.com", "https://api.acme.com"),
    "https://console.acme.com/foo/?a=b#c": ("https://api.acme.com", "https://api.acme.com"),
    "console.acme.com:8443/foo": ("https://api.acme.com:8443", ""),
    "https://Console.Acme.com": ("https://api.acme.com", "https://api.acme.com"),
    "https://console-dev.acme.com:8443/": ("https://api-dev.acme.com:8443", "https://api-dev.acme.com:8443"),
    "https://galileo-console.acme.com": ("https://galileo-api.acme.com", "https://galileo-api.acme.com"),
    "galileo-console.acme.com": ("https://galileo-api.acme.com", ""),
    "https://console.galileo.acme.com/x": ("https://api.galileo.acme.com", "https://api.galileo.acme.com"),
    "https://eu.console.acme.com": ("https://eu.api.acme.com", "https://eu.api.acme.com"),
    "https://console.consoleworks.com": ("https://api.apiworks.com", "https://api.consoleworks.com"),
    "https://api.consoleworks.com": ("https://api.apiworks.com", AS_IT_IS),
    "https://api.consoleworks.com/console/": ("https://api.apiworks.com", "https://api.consoleworks.com/console"),
    "https://myconsole.acme.com/x": ("https://myapi.acme.com", AS_IT_IS),
    "https://a-console-b.acme.com": ("https://a-api-b.acme.com", AS_IT_IS),
    "https://gateway.acme.com/galileo/api/": ("https://gateway.acme.com", "https://gateway.acme.com/galileo/api"),
    "https://galileo.acme.com/?a=b": ("https://galileo.acme.com", ""),
    "https://galileo.acme.com/#c": ("https://galileo.acme.com", ""),
    "https://10.0.0.5:8088/x": ("https://10.0.0.5:8088", AS_IT_IS),
    "10.0.0.5:8088": ("https://10.0.0.5:8088", ""),
    "localhost:8088": ("http://localhost:8088", ""),
    "http://localhost:8088/console": (AS_IT_IS, AS_IT_IS),
    "http://127.0.0.1:3000/": ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
    "127.0.0.1": ("http://127.0.0.1", ""),
    "https://[::1]:8/x": (AS_IT_IS, AS_IT_IS),
    "http://[::1]:8": (AS_IT_IS, AS_IT_IS),
    "HTTP://127.0.0.9\n": ("http://127.0.0.9", "http://127.0.0.9"),
    "http://console.acme.com": ("", ""),
    "https://ann@console.acme.com": ("", ""),
    "console": ("", ""),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk": ("", ""),
}
NAMES = {"GALILEO_CONSOLE_URL": 0, "SPLUNK_AO_CONSOLE_URL": 0}
NAMES |= dict.fromkeys(("GALILEO_API_URL", "SPLUNK_AO_API_URL", "base_url"), 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("written", SPELLINGS)
def test_where_the_api_is(monkeypatch, written, name):
    """A console's URL is turned into its API's; elsewhere, only an unmistakable one. Else the address stays."""
    expected = SPELLINGS[written][NAMES[name]]
    if name != "base_url":
        monkeypatch.setenv(name, written)
    arguments = {"base_url": written} if name == "base_url" else {}
    if expected == "":
        with pytest.raises(gs.ConfigurationError, match=f"^{name} ") as caught:
            GalileoSessions("k", **arguments)
        assert written not in str(caught.value)
    else:
        assert repr(GalileoSessions("k", **arguments)) == f"GalileoSessions(base_url='{expected or written}')"


async def test_a_url_that_aiohttp_refuses():
    """A base URL that only aiohttp rejects raises a ConfigurationError, too."""
    async with GalileoSessions("k", base_url="https://x..y") as galileo:
        with pytest.raises(gs.ConfigurationError, match="base_url"):
            await galileo.count(PROJECT)
