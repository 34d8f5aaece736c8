"""Proxies given as an argument, named by the environment, and refusing."""

import contextlib
import traceback
from base64 import b64encode

import aiohttp
import pytest
from support.clients import client, failure, ids
from support.clock import virtual_time
from support.proxies import HOST, refuse, tls, tunnelling
from support.sockets import PROJECT, http, listening, raw_server

import galileo_sessions as gs
from galileo_sessions import Retry, Secret, Timeouts

LOGIN = "a%6En:pr0xy%3A%40+%C3%A4"
AS_HEADER = b"Proxy-Authorization: Basic " + b64encode("ann:pr0xy:@+ä".encode("latin-1"))


@pytest.mark.parametrize("how", ["argument", "Secret", "environment", "environment, bare", "ignored", "bypassed"])
async def test_proxies(monkeypatch, how, tmp_path):
    """A proxy is used if given, or if the environment names one and `trust_env` is set; netrc is never used."""
    (tmp_path / "netrc").write_text(f"machine {HOST} login ann password netrc-password")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    serving, trusting = tls()
    async with raw_server(http(), ssl=serving) as server, tunnelling(int(server.url.rpartition(":")[2])) as proxy:
        url = f"http://{LOGIN}@{proxy.address}"
        given = {"argument": {"proxy": url}, "Secret": {"proxy": Secret(url)}}
        arguments = given.get(how, {"trust_env": how != "ignored"})
        if how not in given:
            monkeypatch.setenv("HTTPS_PROXY", proxy.address if how == "environment, bare" else url)
        if how == "bypassed":
            monkeypatch.setenv("NO_PROXY", HOST)
        async with client(f"https://{HOST}", ssl=trusting, retry=Retry(attempts=1), **arguments) as galileo:
            report = await galileo.count_all(ids(3), concurrency=1)
    proxied = how not in ("ignored", "bypassed")
    assert [type(error) for error in report.errors] == (
        [] if proxied else [gs.ConnectError] * 3
    )  # there is no such host
    hint = "HTTPS_PROXY is set, but not used; pass trust_env=True"
    assert [error.hint == hint for error in report.errors] == ([] if proxied else [how == "ignored"] * 3)
    assert len(server.requests) == (3 if proxied else 0)
    assert [head.split(b"\r\n")[0] for head in proxy.heads] == [f"CONNECT {HOST}:443 HTTP/1.1".encode()] * proxied
    logins = [line for head in proxy.heads for line in head.split(b"\r\n") if b"authorization" in line.lower()]
    assert logins == [AS_HEADER] * (proxied and how != "environment, bare")
    assert b"authorization" not in b"".join(server.requests).lower()


@pytest.mark.parametrize("how", ["argument", "environment"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_loopback_never_uses_a_proxy(monkeypatch, how, host):
    """Requests to loopback, where plain http is allowed, don't send the key through a proxy."""
    async with raw_server(http()) as proxy, raw_server(http()) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        arguments = {"proxy": proxy.url} if how == "argument" else {"trust_env": True}
        url = server.url.replace("127.0.0.1", host)
        async with client(url, retry=Retry(attempts=1), timeouts=Timeouts(attempt=2), **arguments) as galileo:
            with contextlib.suppress(gs.TransportError):  # where there is no IPv6
                await galileo.count(PROJECT)
    assert (proxy.connections, len(server.requests)) == (0, 0 if host == "[::1]" else 1)


@pytest.mark.parametrize("value", ["http://ann:pr0xy-pw@127.0.0.1:9", "pr0xy-pw.invalid"], ids=["password", "a key"])
@virtual_time
async def test_a_proxy_that_cannot_be_reached(monkeypatch, value):
    """A proxy that can't be reached raises ConnectError; it shows no password, and no key in the wrong variable."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    async with client("https://api.x.io", trust_env=True) as galileo:
        error = await failure(galileo)
    assert type(error) is gs.ConnectError
    assert error.hint == "Check base_url (GALILEO_API_URL), the network, and any proxy"
    assert "pr0xy-pw" not in "".join(traceback.format_exception(error)) + repr(error.attempts)


@pytest.mark.parametrize("trouble", ["refused", "not trusted"])
async def test_what_aiohttp_raises_has_no_password_of_a_proxy(trouble):
    """Tracers get aiohttp's own exception: its text, traceback, repr and URLs show neither user nor password."""
    seen: list[aiohttp.TraceRequestExceptionParams] = []

    async def see(session: object, context: object, params: aiohttp.TraceRequestExceptionParams) -> None:
        seen.append(params)

    tracer = aiohttp.TraceConfig()
    tracer.on_request_exception.append(see)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(trace_configs=[tracer]))
        if trouble == "refused":
            address = (await stack.enter_async_context(listening(refuse))).removeprefix("http://")
        else:
            server = await stack.enter_async_context(raw_server(http(), ssl=tls()[0]))
            address = (await stack.enter_async_context(tunnelling(int(server.url.rpartition(":")[2])))).address
        arguments = {"session": session, "proxy": f"http://us3r:pr0xy-pw@{address}/?p4th", "retry": Retry(attempts=1)}
        async with client(f"https://{HOST}", **arguments) as galileo:
            raised = await failure(galileo)
    assert (isinstance(raised, gs.ConnectError), "407" in raised.message) == (True, trouble == "refused")
    (error,) = [params.exception for params in seen]
    told = [str(error), repr(error), repr(error.args), repr(vars(error)), *traceback.format_exception(error)]
    assert [secret for secret in ("us3r", "pr0xy-pw", "p4th") if secret in "".join(told)] == []
    assert isinstance(error, aiohttp.ClientHttpProxyError) is (trouble == "refused")
    login = b64encode(b"us3r:pr0xy-pw").decode()  # the headers of a refused request have it, and so its repr
    assert login not in "".join([str(error), *traceback.format_exception(error)])
