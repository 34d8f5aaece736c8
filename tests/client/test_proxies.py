"""Proxies given as an argument, named by the environment, and refusing."""

import asyncio
import contextlib

import pytest
from support.clients import client
from support.projects import ids
from support.proxies import HOST, tls, tunnelling
from support.servers import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import (
    ConfigurationError,
    GalileoSessions,
    Retry,
    Secret,
    Timeouts,
)
from galileo_sessions.client.address import proxy_of


@pytest.mark.parametrize("how", ["argument", "environment", "environment, bare", "ignored", "bypassed"])
async def test_proxies(monkeypatch, how, tmp_path):
    """A proxy is used if given, or if the environment names one and `trust_env` is set; netrc is never used."""
    (tmp_path / "netrc").write_text(f"machine {HOST} login ann password netrc-password")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    serving, trusting = tls()
    async with raw_server(http(), ssl=serving) as server, tunnelling(int(server.url.rpartition(":")[2])) as proxy:
        url = f"http://ann:pr0xy-pw@{proxy.address}"
        arguments = {"proxy": url} if how == "argument" else {"trust_env": how != "ignored"}
        if how != "argument":
            monkeypatch.setenv("HTTPS_PROXY", proxy.address if how == "environment, bare" else url)
        if how == "bypassed":
            monkeypatch.setenv("NO_PROXY", HOST)
        async with client(f"https://{HOST}", ssl=trusting, retry=Retry(attempts=1), **arguments) as galileo:
            report = await galileo.count_all(ids(3), concurrency=1)
    proxied = how not in ("ignored", "bypassed")
    assert [type(error) for error in report.errors] == (
        [] if proxied else [gs.ConnectError] * 3
    )  # there is no such host
    assert len(server.requests) == (3 if proxied else 0)
    assert [head.split(b"\r\n")[0] for head in proxy.heads] == [f"CONNECT {HOST}:443 HTTP/1.1".encode()] * proxied
    assert b"authorization" not in b"".join(server.requests).lower()


@pytest.mark.parametrize("how", ["argument", "environment"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_loopback_never_uses_a_proxy(monkeypatch, how, host):
    """What is asked on loopback, where plain http is allowed, doesn't go to a proxy with the key in clear."""
    async with raw_server(http()) as proxy, raw_server(http()) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        arguments = {"proxy": proxy.url} if how == "argument" else {"trust_env": True}
        url = server.url.replace("127.0.0.1", host)
        async with client(url, retry=Retry(attempts=1), timeouts=Timeouts(attempt=2), **arguments) as galileo:
            with contextlib.suppress(gs.TransportError):  # where there is no IPv6
                await galileo.count(PROJECT)
    assert (proxy.connections, len(server.requests)) == (0, 0 if host == "[::1]" else 1)


def test_plain_http_through_a_proxy_is_refused():
    """A target elsewhere that isn't https is refused, for the proxy could read the key."""
    proxy = Secret("http://proxy.example.com:8080")
    with pytest.raises(ConfigurationError, match=r"http://api\.x\.io .*unencrypted.*https://"):
        proxy_of("http://api.x.io", proxy, trust_env=False)
    assert proxy_of("https://api.x.io", proxy, trust_env=False) == proxy
    assert proxy_of("https://127.0.0.1:1", proxy, trust_env=False) is None


async def test_a_proxy_that_cannot_be_reached():
    """A proxy that can't be reached raises ConnectError without its password."""
    async with client("https://api.x.io", proxy="http://ann:pr0xy-pw@127.0.0.1:9") as galileo:
        with pytest.raises(gs.ConnectError, match="proxy") as caught:
            await galileo.count(PROJECT)
    assert "pr0xy-pw" not in str(caught.value)


@pytest.mark.parametrize("url", ["socks5://proxy.x.io", "http://", "http://proxy.x.io:port", "http://proxy.x.io:0"])
def test_a_proxy_of_the_environment_that_cannot_be(monkeypatch, url):
    """What the environment names and can't be used is refused at construction, by the variable's name."""
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY is no http\(s\) URL"):
        GalileoSessions("k", trust_env=True)
    assert GalileoSessions("k")


async def test_a_proxy_that_refuses_the_tunnel():
    """If a proxy refuses CONNECT, the ConnectError has its status."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, client("https://api.x.io", proxy=proxy) as galileo:
        with pytest.raises(gs.ConnectError, match=r"proxy.*403"):
            await galileo.count(PROJECT)


@pytest.mark.parametrize("proxy", [3, "nonsense", "127.0.0.1:8080"], ids=repr)
async def test_a_proxy_that_cannot_be(proxy):
    """A `proxy` that is no URL raises a ConfigurationError that names it."""
    with pytest.raises(ConfigurationError, match="proxy"):
        async with client("http://127.0.0.1:9", proxy=proxy) as galileo:
            await galileo.count(PROJECT)
