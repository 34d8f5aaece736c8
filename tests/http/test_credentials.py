"""Credentials: what a server sees of them, what is refused, and that nothing which is raised or logged shows them."""

import asyncio
import contextlib
import errno
import html
import json
import logging
import pickle
import re
import warnings
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, cast
from urllib.parse import quote, quote_plus, unquote

import aiohttp
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients import client, connected, failure
from support.clock import virtual_time
from support.private import state
from support.proxies import tls, tunnelling
from support.sockets import PROJECT, answers, cut, hang_up, http, listening, raw_server, silence
from support.tracebacks import our_frames, visible_text

import galileo_sessions as gs
from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, Col, GalileoSessions, PasswordAuth, Retry, Secret
from galileo_sessions.api.responses import error_of
from galileo_sessions.http.auth import Authentication
from galileo_sessions.http.responses import Response
from galileo_sessions.http.secret import redact, spellings_of

GALILEO = {"GALILEO_API_KEY": "k-1"}
STANDALONE = {"SPLUNK_AO_API_KEY": "k-2", "SPLUNK_AO_CONSOLE_URL": "https://console.ao.acme.com"}
IN_CLOUD = "app.us1.observability.splunkcloud.com/ao/api"
CLOUD = {"SPLUNK_AO_REALM": "us1", "SPLUNK_AO_O11Y_TOKEN": "t-1"}
LOGIN = {"GALILEO_USERNAME": "ann", "GALILEO_PASSWORD": "p w&1"}
MIXED = {"GALILEO_USERNAME": "ann", "SPLUNK_AO_USERNAME": "bob", "SPLUNK_AO_PASSWORD": "p w&1"}
HEADERS = {"X-Gate": "g", "accept": "*/*", "galileo-API-key": "k-9", "Host": "x.io", "Authorization": "x"}
EXTRA = {"GALILEO_EXTRA_HEADERS": json.dumps(HEADERS)}
EXTRA_SENT = {"x-gate": "g", "galileo-api-key": "k-9"}
JWT = {"GALILEO_JWT_TOKEN": "t-3"}
IGNORED = GALILEO | LOGIN | EXTRA | JWT | {"GALILEO_API_URL": "https://x.io"}


def keys(key: str) -> dict[str, str]:
    return {"galileo-api-key": key, "splunk-ao-api-key": key}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


BASIC = {"authorization": "Basic YW5uOnA6dw=="}  # ann:p:w
K3 = {"api_key": "k-3"}
TEAM = {"api_key": "k", "headers": Secret({"X-Team": Secret("b")})}
HALF = {"SPLUNK_AO_REALM": "us1"} | STANDALONE
ROWS: dict[str, tuple[dict[str, str], dict[str, Any], str, dict[str, str]]] = {
    "standalone": (STANDALONE, {}, "api.ao.acme.com", keys("k-2")),
    "standalone, API": (STANDALONE | {"SPLUNK_AO_API_URL": "https://gw.x.io/ao"}, {}, "gw.x.io/ao", keys("k-2")),
    "GALILEO_ first": (STANDALONE | GALILEO | {"GALILEO_API_URL": "https://x.io"}, {}, "x.io", keys("k-1")),
    "an empty one isn't set": (STANDALONE | {"GALILEO_API_KEY": ""}, {}, "api.ao.acme.com", keys("k-2")),
    "Observability Cloud": (CLOUD | {"SPLUNK_AO_O11Y_API_TOKEN": "t-2"}, {}, IN_CLOUD, {"x-sf-token": "t-2"}),
    "Observability Cloud, ingest, beside Galileo's": (CLOUD | IGNORED, {}, IN_CLOUD, {"x-sf-token": "t-1"}),
    "JWT first": (GALILEO | LOGIN | JWT, {}, "api.galileo.ai", bearer("t-3")),
    "key before login": (LOGIN | GALILEO, {}, "api.galileo.ai", keys("k-1")),
    "login": (LOGIN | EXTRA, {}, "api.galileo.ai", EXTRA_SENT | bearer("t0ken")),
    "login, mixed": (MIXED, {}, "api.galileo.ai", bearer("t0ken")),
    "extra headers": (GALILEO | EXTRA, {}, "api.galileo.ai", {"x-gate": "g"} | keys("k-1")),
    "given headers": (EXTRA, {"headers": {"X-GATE": "h"}, **K3}, "api.galileo.ai", {"x-gate": "h"} | keys("k-3")),
    "arguments first": (CLOUD, K3 | {"base_url": "https://console-a.x.io/p"}, "api-a.x.io", keys("k-3")),
    "half a pair": (HALF, {"api_key": Secret("k-3"), "base_url": Secret("https://x.io")}, "x.io", keys("k-3")),
    "one header": (STANDALONE, {"auth": ApiKeyAuth("k-4", "X-Key")}, "api.ao.acme.com", {"x-key": "k-4"}),
    "basic": ({}, {"auth": BasicAuth("ann", "p:w")}, "api.galileo.ai", BASIC),
    "password": ({}, {"auth": PasswordAuth(Secret("ann"), Secret("p w&1"))}, "api.galileo.ai", bearer("t0ken")),
    "headers": ({}, TEAM, "api.galileo.ai", keys("k") | {"x-team": "b"}),
    "an address for the token": (CLOUD, {"base_url": "https://x.io/a"}, "x.io/a", {"x-sf-token": "t-1"}),
}


@pytest.mark.parametrize(("environment", "arguments", "address", "expected"), ROWS.values(), ids=ROWS)
async def test_from_the_environment_to_the_request(monkeypatch, environment, arguments, address, expected):
    """The server of each deployment gets its path and its credentials, and no others."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    answer = http(body='{"access_token": "t0ken", "total_count": 7}')
    async with raw_server(answer, ssl=tls()[0]) as server, tunnelling(int(server.url.rpartition(":")[2])) as proxy:
        async with GalileoSessions(ssl=False, proxy=f"http://{proxy.address}", **arguments) as galileo:
            assert await galileo.count(PROJECT) == 7
    line, *fields = server.requests[-1].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    host, _, path = address.partition("/")
    assert line == f"POST {path and '/' + path}/v2/projects/{PROJECT}/sessions/count HTTP/1.1"
    sent = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    assert (sent["host"], sent["accept"]) == (host, "application/json")
    ours = ("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent")
    assert {name: value for name, value in sent.items() if name not in (*ours, "connection")} == expected
    assert {b"\r\nx-gate: " in request.lower() for request in server.requests} == {"x-gate" in expected}
    logins = [request for request in server.requests[:-1] if b"uthorization" not in request]
    forms = [login.rpartition(b"\r\n")[2] for login in logins]
    assert forms == ([b"username=ann&password=p+w%261"] if "t0ken" in str(expected) else [])
    assert all(b"Content-Type: application/x-www-form-urlencoded\r\n" in login for login in logins)


# ---- where the API is ------------------------------------------------------------------------------------------------

AS_IT_IS = None
ADDRESSES: dict[str, tuple[str | None, str | None]] = {
    # written: the API's URL if it is the console's URL, and if it is the API's; "" for an error
    "https://app.galileo.ai": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "https://APP.galileo.ai/project/1/log-streams?tab=2#x": ("https://api.galileo.ai", "https://api.galileo.ai"),
    "http://app.galileo.ai:80": ("https://api.galileo.ai", "https://api.galileo.ai"),
    " app.galileo.ai\n": ("https://api.galileo.ai", ""),
    "https://eu.app.galileo.ai": ("https://api.galileo.ai", AS_IT_IS),
    "https://console.acme.com/foo/?a=b#c": ("https://api.acme.com", "https://api.acme.com"),
    "console.acme.com:8443/foo": ("https://api.acme.com:8443", ""),
    "https://eu.galileo-console.acme.com": ("https://eu.galileo-api.acme.com", "https://eu.galileo-api.acme.com"),
    "https://api.consoleworks.com/console/": ("https://api.apiworks.com", "https://api.consoleworks.com/console"),
    "https://a-console-b.acme.com": ("https://a-api-b.acme.com", AS_IT_IS),
    "https://gateway.acme.com/galileo/api/": ("https://gateway.acme.com", "https://gateway.acme.com/galileo/api"),
    "https://galileo.acme.com/#c": ("https://galileo.acme.com", ""),
    "https://10.0.0.5:8088/x": ("https://10.0.0.5:8088", AS_IT_IS),
    "localhost:8088": ("http://localhost:8088", ""),
    "http://localhost:8088/console": (AS_IT_IS, AS_IT_IS),
    "127.0.0.1": ("http://127.0.0.1", ""),
    "https://[::1]:8/x": (AS_IT_IS, AS_IT_IS),
    "HTTP://127.0.0.9\n": ("http://127.0.0.9", "http://127.0.0.9"),
    "http://console.acme.com": ("", ""),
    "https://ann@console.acme.com": ("", ""),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk": ("", ""),
}
NAMES = {"GALILEO_CONSOLE_URL": 0, "SPLUNK_AO_CONSOLE_URL": 0}
NAMES |= dict.fromkeys(("GALILEO_API_URL", "SPLUNK_AO_API_URL", "base_url"), 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("written", ADDRESSES)
def test_where_the_api_is(monkeypatch, written, name):
    """A console's URL is turned into its API's; elsewhere, only an unmistakable one. Else the address stays."""
    expected = ADDRESSES[written][NAMES[name]]
    if name != "base_url":
        monkeypatch.setenv(name, written)
    arguments = {"base_url": written} if name == "base_url" else {}
    if expected == "":
        with pytest.raises(gs.ConfigurationError, match=f"^{name} ") as caught:
            GalileoSessions("k", **arguments)
        assert written not in str(caught.value)
    else:
        assert repr(GalileoSessions("k", **arguments)) == f"GalileoSessions(base_url='{expected or written}')"


# ---- what is refused -------------------------------------------------------------------------------------------------

SECRET = "s3cr3t-" + "-".join(f"{number:x}" for number in range(1_000, 1_040))
PARTS = [SECRET[:10], SECRET[40:50], SECRET[-10:]]
USERINFO = f"ann:{SECRET}"
NOTHING = "no credentials: GALILEO_API_KEY isn't set\nhint: "
NO_JWT = "isn't read: exchange it for a JWT, and pass auth=B"
EMPTY = "must be text that isn't empty"
SECRET_STR = "is a SecretStr, not text\nhint: Pass its .get_secret_value()"
NO_UTF_8 = "isn't valid UTF-8\nhint: Check how the environment or the file was encoded"
SPACE = "begins or ends with white space, perhaps a line break from a file\nhint: Strip it"
NOT_ASCII = "has a character that isn't printable ASCII"
NO_NAME = "has a name that HTTP doesn't allow"
OURS = "is set by the client itself\nhint: For credentials pass auth="
NO_URL = (
    "must be an http(s) URL such as https://api.galileo.ai\n"
    "hint: Write https:// before a host; a key belongs in GALILEO_API_KEY, or api_key="
)
CREDENTIALS = "holds credentials\nhint: Set GALILEO_USERNAME and GALILEO_PASSWORD, or pass auth=BasicAuth(...)"
NO_QUERY = "has a query or a fragment\nhint: Leave out what follows the path"
NO_OBJECT = "GALILEO_EXTRA_HEADERS must be a JSON object\nhint: Write it as "
A_HEADER = "a header in GALILEO_EXTRA_HEADERS"
NO_PROXY = "must be an http(s) URL such as http://proxy.example.com:8080"
NO_LOGIN = "must have no colon in its user name, and only Latin-1 in its credentials"
NO_AUTH = "auth must be an ApiKeyAuth, a BearerAuth, a PasswordAuth or a BasicAuth\nhint: For an API key write api_key="

SECRET_TEXT = type("SecretStr", (), {"get_secret_value": lambda _: SECRET})()  # as pydantic's, which isn't text

CREDENTIAL_ROWS: dict[str, tuple[Callable[[], object], str]] = {
    "no key": (lambda: ApiKeyAuth(""), f"the API key {EMPTY}"),
    "key as SecretStr": (lambda: GalileoSessions(SECRET_TEXT), f"the API key {SECRET_STR}"),
    "key, line break": (lambda: GalileoSessions(SECRET + "\n"), f"the API key {SPACE}"),
    "key, NUL": (lambda: ApiKeyAuth(SECRET + "\0"), f"the API key {NOT_ASCII}"),
    "name of its header": (lambda: ApiKeyAuth(SECRET, header="a b"), f"the header {NO_NAME}"),
    "token": (lambda: BearerAuth(SECRET + "€"), f"the token {NOT_ASCII}"),
    "password as bytes": (lambda: PasswordAuth("ann", SECRET.encode()), f"the password {EMPTY}"),
    "no UTF-8": (lambda: BasicAuth("ann", SECRET + "\udcff"), f"the password {NO_UTF_8}"),
    "user with a colon": (lambda: BasicAuth(Secret(SECRET + ":"), "p"), "the user name of a BasicAuth must not have a"),
    "key and auth": (lambda: GalileoSessions(SECRET, auth=BearerAuth(SECRET)), "api_key and auth can't both be given"),
    "key as auth": (lambda: GalileoSessions(auth=SECRET), NO_AUTH),
}

NO_URLS = {
    "a key": SECRET,
    "Secret": Secret(SECRET),
    "bytes": f"https://{USERINFO}@x.io".encode(),
    "no scheme": f"{USERINFO}@api.x.io",
    "odd host": f"https://{USERINFO}@[::1]x",
    "nothing after @": f"https://{SECRET}[::1]@",
    "no Punycode": f"https://xn--.{SECRET}",
    "placeholder": f"https://<{SECRET}>.x.io",
    "bad port": f"https://{USERINFO}@api.x.io:port",
}
NO_PROXIES = [SECRET, Secret(SECRET), [SECRET], f"socks5://{USERINFO}@proxy.x.io", f"http://<{SECRET}>", "http://"]
ARGUMENT_ROWS: dict[str, tuple[dict[str, object], str]] = {
    **{f"base_url, {name}": ({"base_url": url}, f"base_url {NO_URL}") for name, url in NO_URLS.items()},
    **{f"proxy {number}": ({"proxy": url}, f"proxy {NO_PROXY}") for number, url in enumerate(NO_PROXIES)},
    "base_url, query for host": ({"base_url": f"https://h?key={SECRET}@x"}, f"base_url {NO_QUERY}"),
    "base_url, password": ({"base_url": f"https://{USERINFO}@api.x.io"}, f"base_url {CREDENTIALS}"),
    "base_url, http": ({"base_url": f"http://{SECRET}.io"}, "base_url would send the key unencrypted\nhint: Write"),
    "proxy, user with a colon": ({"proxy": f"http://ann%3A:{SECRET}@proxy.x.io"}, f"proxy {NO_LOGIN}"),
    "proxy, password": ({"proxy": f"http://{USERINFO}%E2%82%AC@proxy.x.io"}, f"proxy {NO_LOGIN}"),
    "header, name": ({"headers": {"X-Key": SECRET, "a b": SECRET}}, f"the header 'a b' {NO_NAME}"),
    "header, value": ({"headers": {"X-Key": Secret(" " + SECRET)}}, f"the header 'X-Key' {SPACE}"),
    "header, of the key": ({"headers": {"galileo-api-key": SECRET}}, f"the header 'galileo-api-key' {OURS}"),
    "header, reserved": ({"headers": {"X-Key": SECRET, "Authorization": SECRET}}, f"the header 'Authorization' {OURS}"),
}

NO_TOKEN = "SPLUNK_AO_REALM is set without SPLUNK_AO_O11Y_API_TOKEN or SPLUNK_AO_O11Y_TOKEN\nhint: Set both"
NO_REALM = "SPLUNK_AO_O11Y_TOKEN is set without SPLUNK_AO_REALM\nhint: Set both"
REALM = {"SPLUNK_AO_REALM": "us1", "SPLUNK_AO_O11Y_API_TOKEN": SECRET}
VARIABLE_ROWS: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, f"{NOTHING}Set it, in Python also api_key=..."),
    "SSO": ({"SSO_ID_TOKEN": SECRET}, f"{NOTHING}GALILEO_SSO_ID_TOKEN {NO_JWT}"),
    "no password": ({"USERNAME": SECRET}, "GALILEO_USERNAME is set without GALILEO_PASSWORD or SPLUNK_AO_PASSWORD"),
    "key and URL swapped": ({"API_KEY": "https://api.x.io", "API_URL": SECRET}, f"GALILEO_API_URL {NO_URL}"),
    "realm alone": ({"SPLUNK_AO_REALM": "us1", "API_KEY": SECRET}, NO_TOKEN),
    "token alone": ({"SPLUNK_AO_O11Y_TOKEN": SECRET, "API_KEY": SECRET}, NO_REALM),
    "realm and key": (
        REALM | {"SPLUNK_AO_API_KEY": SECRET, "SPLUNK_AO_CONSOLE_URL": SECRET},
        "SPLUNK_AO_REALM and SPLUNK_AO_O11Y_API_TOKEN conflict with SPLUNK_AO_CONSOLE_URL and SPLUNK_AO_API_KEY: "
        "they name different deployments\nhint: Unset the variables of one of them",
    ),
    "realm, a token": (REALM | {"SPLUNK_AO_REALM": SECRET}, "SPLUNK_AO_REALM must be a realm such as us1"),
    "extra headers, a list": ({"API_KEY": "k", "EXTRA_HEADERS": f'["{SECRET}"]'}, NO_OBJECT),
    "extra headers, deep": ({"API_KEY": "k", "EXTRA_HEADERS": f'["{SECRET}", {"[" * 60_000}'}, NO_OBJECT),
    "more headers, null": ({"API_KEY": "k", "EXTRA_HEADERS": f'{{"X": "{SECRET}", "Y": null}}'}, f"{A_HEADER} {EMPTY}"),
    "extra headers, name": ({"API_KEY": "k", "EXTRA_HEADERS": f'{{"{SECRET} ": "v"}}'}, f"{A_HEADER} {NO_NAME}"),
    "proxy for all": ({"API_KEY": SECRET, "ALL_PROXY": f"socks5://{USERINFO}@proxy.x.io"}, f"ALL_PROXY {NO_PROXY}"),
    "proxy": ({"API_KEY": SECRET, "HTTPS_PROXY": f"socks5://{USERINFO}@proxy.x.io"}, f"HTTPS_PROXY {NO_PROXY}"),
}

REFUSED: dict[str, tuple[dict[str, str], Callable[[], object], str]] = {
    **{name: ({}, make, text) for name, (make, text) in CREDENTIAL_ROWS.items()},
    **{name: ({}, partial(GalileoSessions, "k", **given), text) for name, (given, text) in ARGUMENT_ROWS.items()},
    **{name: (given, partial(GalileoSessions, trust_env=True), text) for name, (given, text) in VARIABLE_ROWS.items()},
}


@pytest.mark.parametrize(("variables", "make", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_shows_no_secret(monkeypatch, variables, make, text):
    """The error names what is wrong, and nothing that it leads to has a part of the secret, or of a variable."""
    monkeypatch.setenv("OTHER", SECRET)
    for name, value in variables.items():
        monkeypatch.setenv(name if name.startswith(("ALL", "HTTPS", "SPLUNK")) else f"GALILEO_{name}", value)
    with pytest.raises(gs.ConfigurationError) as caught:
        make()
    assert str(caught.value).startswith(text)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert [part for part in PARTS if part in visible_text(caught.value)] == []


def test_a_plain_mistake_beside_a_secret_shows_none():
    with pytest.raises(gs.ConfigurationError, match="got list") as caught:
        GalileoSessions(SECRET, headers=[SECRET])
    assert our_frames(caught.value)
    assert [part for part in PARTS if part in visible_text(caught.value)] == []


@pytest.mark.parametrize("setting", ["auth", "trust_env", "headers"])
async def test_a_session_that_sends_credentials_of_its_own_is_refused(setting):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp deprecates what is tested
        basic = aiohttp.BasicAuth("u", "p")
        settings = {"auth": basic, "trust_env": True, "headers": {"authorization": basic.encode()}}
        async with aiohttp.ClientSession(**{setting: settings[setting]}) as session:
            with pytest.raises(gs.ConfigurationError, match="Leave out its auth, Authorization and trust_env"):
                GalileoSessions("k", session=session)


# ---- what is shown ---------------------------------------------------------------------------------------------------

KEY, TOKEN, PASSWORD = "k3y-5f0c", "t0ken-77aa", "pa55 word&"
ONCE = Retry(attempts=1)
SECRETS = [KEY, TOKEN, PASSWORD, "pa55+word%26", b64encode(f"ann:{PASSWORD}".encode()).decode()]
ALL = " ".join(SECRETS)


async def get_token(token: str = TOKEN) -> str:
    return token


AUTHS = {
    "key": ApiKeyAuth(KEY),
    "bearer": BearerAuth(TOKEN),
    "function": BearerAuth(partial(get_token, TOKEN)),
    "basic": BasicAuth("ann", PASSWORD),
    "password": PasswordAuth("ann", PASSWORD),
}
ISSUE = f'{{"detail": [{{"loc": ["body", "password"], "msg": "{ALL}", "type": "x"}}]}}'
TOKEN_ANSWER = http(200, f'{{"access_token": "{TOKEN}"}}')

BEHAVIOURS = {
    "echo": http(422, ISSUE, X_Echo=ALL),
    "echo after login": answers(TOKEN_ANSWER, http(422, ISSUE, X_Echo=ALL)),
    "redirect": http(302, ALL, Location=f"https://x.io/?key={KEY}&token={TOKEN}&password=pa55+word%26"),
    "not a count": http(200, f'{{"your": "{KEY} {TOKEN} {PASSWORD}"}}', X_Echo=ALL),
    "no token": http(200, f'{{"access_token": "{PASSWORD} \\u00e9"}}'),
    "not JSON": http(200, ALL),
    "silence": silence,
    "hang up": hang_up,
    "not HTTP": cut(f"{KEY} {TOKEN} {PASSWORD}\r\n\r\n".encode()),
    "503": http(503, ALL, X_Echo=ALL),
    "429": http(429, json.dumps({"detail": ALL}), Retry_After="0", X_Echo=ALL),
    "429 above the cap": http(429, ALL, Retry_After="100"),
    "too long": http(200, ALL * 10_000),
    "no connection": None,
}


@pytest.mark.parametrize("behave", BEHAVIOURS.values(), ids=BEHAVIOURS)
@pytest.mark.parametrize("auth", AUTHS)
async def test_no_error_holds_a_secret(auth, behave, caplog):
    """Neither the error, its frames, its attempts nor the log has a credential, even if the server repeats it."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    heard: list[gs.Attempt] = []
    limits = {"timeouts": gs.Timeouts(attempt=0.05), "retry": Retry(attempts=2, patience=0.3)}
    given = {"auth": AUTHS[auth], "headers": {"X-Gateway-Key": "g4teway-key"}, "on_attempt": heard.append, **limits}
    async with raw_server(behave or b"") as server:
        async with client(server.url if behave else "http://127.0.0.1:9", **given) as galileo:
            error = await failure(galileo, where=Col("input").contains("x"))
    told = visible_text(error) + repr(heard) + caplog.text
    has_token = behave is BEHAVIOURS["echo after login"]
    ours = {"key": [KEY], "basic": SECRETS[2:], "password": SECRETS[1 if has_token else 2 :]}
    assert [secret for secret in [*ours.get(auth, [TOKEN]), "g4teway-key"] if secret in told] == []


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
@pytest.mark.parametrize("proxy", [None, f"ann:{PASSWORD}@"], ids=["direct", "proxy"])
@virtual_time
async def test_no_frame_of_a_request_that_is_ended_holds_a_secret(auth, proxy):
    """A timeout of the caller's, and the cancellation before it, have no frame with headers or a login."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(hold) as url:
        way = {"url": "https://api.x.io", "proxy": url.replace("//", f"//{proxy}")} if proxy else {"url": url}
        async with client(auth=auth, **way) as galileo:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(5):
                    await galileo.count(PROJECT)
    assert our_frames(caught.value)
    told = visible_text(caught.value)
    assert [secret for secret in SECRETS if secret in told] == []


RAISED = [
    (LookupError(KEY), gs.ConfigurationError),
    (ValueError(KEY), gs.ConfigurationError),
    (aiohttp.NonHttpUrlClientError(KEY), gs.ConfigurationError),
    (aiohttp.InvalidURL(KEY), gs.ConfigurationError),
    (ExceptionGroup("several", [KeyError(KEY)]), gs.ConfigurationError),
    (aiohttp.ClientConnectorError(None, OSError(errno.EMFILE, KEY)), gs.ConnectError),
    (OSError(KEY), gs.DisconnectedError),
    (aiohttp.ClientError(KEY), gs.ProtocolError),
    (aiohttp.SocketTimeoutError(KEY), gs.AttemptTimeoutError),
    (aiohttp.ServerFingerprintMismatch(b"a", b"b", KEY, 1), gs.TLSError),
    (gs.ProtocolError("mine"), gs.ProtocolError),
    (asyncio.CancelledError(), asyncio.CancelledError),
]


@pytest.mark.parametrize("where", ["trace_configs", "middlewares"])
@pytest.mark.parametrize(("error", "expected"), RAISED, ids=[type(error).__name__ for error, _ in RAISED])
async def test_what_a_session_raises_is_an_error_without_secrets(where, error, expected):
    """Whatever a TraceConfig, a middleware or aiohttp raises becomes an error of ours, and no frame has the key."""

    async def fail(*_: object) -> None:
        raise error

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(fail)
    async with aiohttp.ClientSession(**{where: [trace if where == "trace_configs" else fail]}) as session:
        async with client("http://127.0.0.1:9", auth=AUTHS["key"], session=session, retry=ONCE) as galileo:
            with pytest.raises(expected) as caught:
                await galileo.count(PROJECT)
    assert our_frames(caught.value)
    assert KEY not in visible_text(caught.value)


LONG = "kD9-" + "-".join(f"{number:x}" for number in range(1_000, 1_020))


@pytest.mark.parametrize("before", [*range(0, 120, 20), 2_000, 65_400])
@pytest.mark.parametrize("form", ['{"columns": "%s"}', '{"columns": [{"category": "x", "id": ["%s"]}]}', '"%s"', "%s"])
@pytest.mark.parametrize("status", [200, 400])
async def test_what_is_cut_leaves_no_part_of_a_secret(status, form, before):
    body = form % ("." * before + f"{LONG}." * (2_000 if before == 65_400 else 1) + "." * 20)
    async with connected(http(status, body), api_key=LONG, retry=ONCE) as (_, galileo):
        for asked in (galileo.columns, galileo.count):
            with pytest.raises(gs.GalileoError) as caught:
                await asked(PROJECT)
            told = visible_text(caught.value)
            assert [at for at in range(len(LONG) - 8) if LONG[at : at + 8] in told] == []


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
def test_no_repr_holds_a_secret(auth):
    told = repr(auth) + str(auth) + repr(GalileoSessions(auth=auth)) + state(GalileoSessions(auth=auth))
    assert [secret for secret in SECRETS if secret in told] == []


OF_CREDENTIALS = re.findall(
    r"\S+",
    """
Authorization Proxy-Authorization Cookie X-API-Key apikey Api-Token Galileo-API-Key X-Goog-Api-Key DD-APPLICATION-KEY
X-Amz-Security-Token X-Amz-Credential X-Amz-Signature X-Amzn-Oidc-Data CF-Access-Client-Secret Cf-Access-Jwt-Assertion
Ocp-Apim-Subscription-Key X-Functions-Key X-MS-TOKEN-AAD-ID-TOKEN X-Auth-Token X-Auth-Key X-Sentry-Auth X-Vault-Token
PRIVATE-TOKEN X-Shopify-Access-Token X-Forwarded-Access-Token X-Goog-IAP-JWT-Assertion X-Hub-Signature-256 X-CSRF-Token
OK-ACCESS-PASSPHRASE OK-ACCESS-SIGN X-Passwd X-Proxy-Password X-Parse-Session-Token X-Session-Id X-Bearer X-Gateway-Pwd
""",
)
"""Names of headers with credentials, in use at well-known services."""
ORDINARY = re.findall(
    r"\S+",
    """
Accept Accept-Language Content-Language User-Agent X-Env X-Environment X-Team X-Tenant-Id X-Scope-OrgID X-Request-Id
X-Correlation-Id X-Trace-Id X-B3-SpanId Traceparent Tracestate Baggage From Origin Referer Forwarded X-Forwarded-For Via
Cache-Control Pragma Priority Prefer If-Match Date DNT X-Region X-Cluster X-Namespace X-Client-Name X-App-Version
X-Requested-With X-Real-IP X-Feature X-Assigned-To X-Design X-Bypass-Cache X-Significance
""",
)
"""Names of headers without credentials."""
SPELLINGS: list[Callable[[str], str]] = [str, str.lower, str.upper, lambda name: name.replace("-", "_")]
SPELLED = [(spell(name), name in OF_CREDENTIALS) for name in OF_CREDENTIALS + ORDINARY for spell in SPELLINGS]
VALUES = ["application/json", "acme", "v-" * 50]
GIVEN_HEADERS: dict[str, Callable[[str, str], object]] = {
    "text": lambda name, value: {name: value},
    "Secret": lambda name, value: {name: Secret(value)},
    "all in a Secret": lambda name, value: Secret({name: value}),
}


@pytest.mark.parametrize("given_as", [*GIVEN_HEADERS, "variable"])
async def test_headers_of_credentials_are_hidden_and_others_change_no_error(monkeypatch, caplog, given_as):
    """However a name is spelled, and even if a value is a common word. What is given as a Secret is always hidden."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    for number, (name, is_of_credentials) in enumerate(SPELLED):
        value = VALUES[number % len(VALUES)]
        arguments: dict[str, Any] = {"auth": BasicAuth("ann", PASSWORD)}
        if given_as == "variable":
            monkeypatch.setenv("GALILEO_EXTRA_HEADERS", json.dumps({name: value}))
        elif name.lower() == "authorization":  # the client's own
            continue
        else:
            arguments["headers"] = GIVEN_HEADERS[given_as](name, value)
        async with connected(http(404, f"no project in {value}", X_Echo=value), **arguments) as (server, galileo):
            error = await failure(galileo)
            told = f"{error} {error!r} {error.args} {caplog.text} {galileo} {state(galileo)}"
        assert given_as == "variable" or f"\r\n{name}: {value}\r\n".encode() in server.requests[0]
        if given_as.endswith("Secret") or is_of_credentials:
            assert (error.body, error.headers["x-echo"]) == ("no project in ***", "***"), name
            assert value not in told
        else:
            assert (error.body, error.headers["x-echo"]) == (f"no project in {value}", value), name
            assert error.headers["content-type"] == "application/json"
            assert "***" not in f"{error} {error.headers}"


ENVIRONMENT = {"GALILEO_USERNAME": "us3r-0815", "GALILEO_PASSWORD": "pw"}
USERS = [(kind, user) for kind in (BasicAuth, PasswordAuth) for user in ("us3r-0815", Secret("us3r-0815"))]


@pytest.mark.parametrize(
    ("arguments", "value", "shown"),
    [
        *[({"auth": kind(user, "pw")}, "us3r-0815", isinstance(user, str)) for kind, user in USERS],
        ({"api_key": None}, "us3r-0815", False),
    ],
)
async def test_which_user_names_are_secrets(monkeypatch, arguments, value, shown):
    """Those that are given as a secret, and those of the environment."""
    for name, text in ENVIRONMENT.items() if "api_key" in arguments else ():
        monkeypatch.setenv(name, text)
    first = http(200, '{"access_token": "t", "total_count": 7}')
    echo = http(503, f"who is {value}?", X_Echo=value)
    async with connected(answers(first, echo), retry=ONCE, **arguments) as (_, galileo):
        with contextlib.suppress(gs.ServerError):  # after a login
            await galileo.count(PROJECT)
        told = visible_text(await failure(galileo)) + repr(arguments.get("auth")) + repr(galileo)
    assert (value in told) == shown


CREDENTIALS = [
    *[
        f"{product}_{name}"
        for name in ("JWT_TOKEN", "API_KEY", "USERNAME", "PASSWORD", "SSO_ID_TOKEN")
        for product in ("GALILEO", "SPLUNK_AO")
    ],
    "SPLUNK_AO_O11Y_API_TOKEN",
    "SPLUNK_AO_O11Y_TOKEN",
    "GALILEO_EXTRA_HEADERS",
]


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("realm", [False, True])
async def test_credentials_in_the_environment_that_are_not_used_are_hidden(monkeypatch, name, realm):
    """Each of them, and the values of headers, sent or not."""
    secret = "un-used 5ecret"
    monkeypatch.setenv(name, json.dumps({"Authorization": secret, "X": "v"}) if name.endswith("HEADERS") else secret)
    if realm:
        monkeypatch.setenv("SPLUNK_AO_REALM", "us1")
    async with connected(http(404, secret, X_Echo=secret)) as (_, galileo):
        told = visible_text(await failure(galileo))
    assert secret not in told
    assert "***" in told


@pytest.mark.parametrize("extra", ['["a"]', '{"X": 3}', '{"X": "\\ud800"}', "no JSON"])
async def test_what_is_not_used_of_the_environment_needs_no_form(monkeypatch, extra):
    monkeypatch.setenv("GALILEO_EXTRA_HEADERS", extra)
    monkeypatch.setenv("SPLUNK_AO_REALM", "us1")
    monkeypatch.setenv("GALILEO_PASSWORD", "pa\udcffss")
    async with connected(http()) as (_, galileo):
        assert await galileo.count(PROJECT) == 7


ODD = "pa55 w/rd&<\"'+€=é\\\U0001f600"


def test_a_secret_has_no_part_that_can_be_shown():
    """Text, formats and reprs of a Secret are `***`; it has no length, no items, no sums and no attributes to list."""
    secret = Secret(ODD)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:.5}", f"{secret:>200}", "%s" % secret, repr([secret])]  # noqa: UP031
    assert {text.strip("[]'") for text in shown} == {"***"}
    assert {"__len__", "__getitem__", "__iter__", "__add__", "__radd__", "__dict__"} & {*dir(secret)} == set()
    assert not isinstance(secret, str)
    assert secret.reveal() == ODD


def test_a_secret_compares_and_pickles():
    assert Secret("a") == Secret("a") != Secret("b")
    assert (Secret("a") == "a") is False
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    for auth in [AUTHS[kind] for kind in ("key", "bearer", "basic", "password")] + [BearerAuth(get_token)]:
        assert pickle.loads(pickle.dumps(auth)) == attrs.evolve(auth) == auth
        assert hash(attrs.evolve(auth)) == hash(auth)
        assert [secret for secret in SECRETS if secret in repr(attrs.asdict(auth))] == []
    assert ApiKeyAuth(Secret(KEY)) == ApiKeyAuth(KEY)


# ---- how others spell a secret ---------------------------------------------------------------------------------------


def unicode(letter: str, case: Callable[[str], str] = str.lower) -> str:
    return re.sub("....", r"\\u\g<0>", case(letter.encode("utf-16-be").hex()))


def percent(letter: str) -> str:
    return "%" + letter.encode().hex("%")


def escaped(letters: str, spell: Callable[[str], str]) -> Callable[[str], str]:
    """A writer that spells these letters, and all that aren't ASCII, in its own way."""
    return lambda text: "".join(spell(one) if one in letters or one > "~" else one for one in text)


def json_in_utf8(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


WRITERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON of Python": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": json_in_utf8,
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON of Gson": lambda text: escaped("=<>&'", unicode)(json_in_utf8(text)),
    "JSON of .NET": lambda text: escaped("+<>&'`", partial(unicode, case=str.upper))(json_in_utf8(text)),
    "path": quote,
    "query": partial(quote, safe=""),
    "form": quote_plus,
    "URL of JavaScript": partial(quote, safe="!'()*"),
    "URL in lower case": escaped("+/=&<>\"'% \\", percent),
    "HTML": html.escape,
    "HTML, numbers": escaped("+/=&<>\"'", lambda one: f"&#{ord(one)};"),
    "HTML, hexadecimal": escaped("+/=&<>\"'", lambda one: f"&#x{ord(one):X};"),
}


def redacted(text: str, *secrets: str) -> str:
    return redact(text.encode(), spellings_of(map(Secret, secrets))).decode()


@pytest.mark.parametrize("inner", WRITERS)
@pytest.mark.parametrize("outer", WRITERS)
def test_a_secret_that_two_writers_wrote_is_replaced(outer, inner):
    """In whatever JSON, URL or page, also if that is a part of another one."""
    assert redacted(f"⟦{WRITERS[outer](WRITERS[inner](ODD))}⟧", ODD) == "⟦***⟧"


@pytest.mark.parametrize(
    ("secret", "written", "shown"), [("ab%2Fc", "is ab/c here", "is *** here"), ("%41bc", "Abc page", "Abc page")]
)
def test_what_a_secret_says_is_replaced_if_it_is_four_bytes_long(secret, written, shown):
    """A secret can contain escapes itself. What is shorter is in many texts."""
    assert redacted(written, secret) == shown


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """A text, each letter of which is spelled in a way of its own."""
    written = []
    for letter in text:
        ways = [letter, unicode(letter), unicode(letter, str.upper), percent(letter), percent(letter).upper()]
        ways += [f"&#{ord(letter)};", f"&#x{ord(letter):x};", html.escape(letter)]
        if letter == "\\":  # who escapes others by a backslash, escapes it alike
            ways = [unicode(letter)]
        ways += ["+"] if letter == " " else []
        ways += [f"\\{letter}"] if letter in '"\\/' else []
        written.append(draw(st.sampled_from(ways)))
    return "".join(written)


PRINTABLE = st.characters(exclude_categories=["C", "Zl", "Zp"]) | st.sampled_from("\\/+=%&!'()*\"<>#;: uUn5kK\u00e9")
LONG_ENOUGH = st.text(PRINTABLE, min_size=8, max_size=16)


@given(LONG_ENOUGH.flatmap(lambda text: st.tuples(st.just(text), spelled(text))), st.sampled_from([302, 401, 422, 503]))
def test_no_error_shows_a_password_in_any_spelling(drawn, status):
    """Neither the text, the issues, the headers nor the body, nor what they say once they are decoded."""
    password, written = drawn
    authentication = Authentication(BasicAuth("ann", password), Secret({}), cast("Any", None), cast("Any", None), 1.0)
    issue = {"loc": ["body", written], "msg": f"no {written}!", "type": written, "input": f'"{written}"'}
    for body in (json.dumps({"detail": [issue]}), f'{{"detail": "{written}"}}', f"<p>{written}</p>", written):
        response = Response(status, {"Location": f"/?k={quote(written)}", "X-Echo": written}, body.encode())
        error = error_of(authentication.without_secrets(response))
        shown = [str(error), repr(error), error.body, *error.headers.values(), repr(getattr(error, "issues", ()))]
        for told in shown:
            assert written not in told
            assert password not in told
            assert password not in html.unescape(unquote(told))


def test_what_is_not_a_secret_stays():
    """Words that look like one when they are decoded, or hold a part of one, and an empty secret."""
    words = "status=ok au003db a\\b keys ke 100%25 C:\\new &amp; a+b %6 %zz \\u00 u0041 &#x; ***"
    assert redacted(words, "", "a=b", "keyz", "A-key", "100%&", "\\u00e9") == words
    assert redacted("a", "") == "a"


def test_a_longer_secret_comes_first():
    assert redacted("abcdef abc", "abc", "abcdef") == "*** ***"


@pytest.mark.parametrize("text", ["\\", "%5c", "%25", "&amp;", "&#0", "k", "ke", "+", "%6b%65", "\\\\u006b"])
@pytest.mark.parametrize("secret", ["kekekekex", "\\\\%&k =x" * 4])
def test_a_long_text_takes_a_time_that_grows_with_its_length(text, secret):
    """It would take minutes if it grew with the square."""
    data = (text * 100_000)[:100_000].encode()
    assert redact(data, spellings_of([Secret(secret)])) == data


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
async def test_a_secret_in_another_encoding_of_json_is_not_shown(encoding):
    body = json.dumps({"detail": [{"loc": ["body"], "msg": f"no {KEY}", "type": "x"}]}).encode(encoding)
    async with connected(http(422, body), api_key=KEY, retry=ONCE) as (_, galileo):
        error = await failure(galileo)
    assert "no ***" in str(error)
    assert KEY not in visible_text(error).replace("\\x00", "")


async def test_a_common_word_that_is_a_secret_changes_no_answer():
    """A 200 is read unchanged, even if it contains a header given as a secret or a digit that is the password."""
    catalog = gs.ColumnCatalog.of({"metrics/customer_satisfaction": "number"}, customer="text")
    answer = json.dumps(gs.dump_catalog(catalog) | {"total_count": 7})
    arguments = {"auth": BasicAuth("ann", "7"), "headers": {"X-Team": Secret("customer")}}
    async with connected(http(200, answer), **arguments) as (_, galileo):
        assert await galileo.columns(PROJECT) == catalog
        assert await galileo.count(PROJECT) == 7
