"""Proxies given as an argument, named by the environment, and refusing."""

import asyncio

import pytest
from support.clients import client
from support.projects import ids
from support.servers import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import (
    ConfigurationError,
)


@pytest.mark.parametrize("how", ["argument", "environment", "ignored", "bypassed"])
async def test_proxies(monkeypatch, how, tmp_path):
    """A proxy is used if given, or if the environment names one and `trust_env` is set; netrc is never used."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password netrc-password")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with (
        raw_server(http(200, '{"total_count":1}')) as proxy,
        raw_server(http(200, '{"total_count":2}')) as server,
    ):
        if how != "argument":
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
        if how == "bypassed":
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        arguments = {"proxy": proxy.url} if how == "argument" else {"trust_env": how != "ignored"}
        async with client(server.url, **arguments) as galileo:
            report = await galileo.count_all(ids(10))
    proxied = how in ("argument", "environment")
    assert report.counts == (1 if proxied else 2,) * 10
    assert (len(proxy.requests), len(server.requests)) == ((10, 0) if proxied else (0, 10))
    assert b"authorization" not in b"".join(proxy.requests + server.requests).lower()


async def test_a_proxy_that_refuses():
    """A proxy that can't be reached raises ConnectError without its password; a 407 is a ResponseError."""
    async with raw_server(http(407, "no")) as server:
        closed = client("https://api.x.io", proxy="http://ann:pr0xy-pw@127.0.0.1:9")
        asked = client("http://127.0.0.1:9", proxy=server.url)
        async with closed, asked:
            with pytest.raises(gs.ConnectError, match="proxy") as caught:
                await closed.count(PROJECT)
            assert "pr0xy-pw" not in str(caught.value)
            with pytest.raises(gs.ResponseError, match="407"):
                await asked.count(PROJECT)


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
