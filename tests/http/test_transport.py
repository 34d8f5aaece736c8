"""Connections that aren't made, the proxies on their way, broken or long answers, and the deadlines of attempts."""

import asyncio
import contextlib
import gzip
import os
import ssl
import sys
import traceback
import tracemalloc
from base64 import b64encode
from time import process_time

import aiohttp
import pytest
import trustme
from support import sockets
from support.clients import ANN, client, connected, failure, ids, statuses
from support.clock import run, virtual_time
from support.private import MAX_BODY, idle
from support.proxies import HOST, tls, tunnelling
from support.sockets import PROJECT, cut, http, listening, raw_server, silence, until
from support.tracebacks import visible_text

import galileo_sessions as gs
from galileo_sessions import DisconnectedError, ProtocolError, Retry, Secret, Timeouts
from galileo_sessions.flow.deadlines import Deadline, Deadlines

ONCE = Retry(attempts=1)

# ---- connections -----------------------------------------------------------------------------------------------------

NO_HOST = {
    # the environment, the address, and whether the attempt is repeated
    "refused port": ({"HTTPS_PROXY": "http://proxy.x.io"}, "http://127.0.0.1:9", True),  # loopback uses no proxy
    "unknown host": ({}, "https://nowhere.invalid", False),
    "proxy": ({"HTTPS_PROXY": "http://ann:pr0xy-pw@127.0.0.1:9"}, "https://api.x.io", True),
}


@pytest.mark.parametrize(("environment", "url", "is_repeated"), NO_HOST.values(), ids=NO_HOST)
def test_a_host_that_cannot_be_reached(monkeypatch, environment, url, is_repeated):
    """The error names the URL and what to check, and shows nothing of a proxy. An unknown name fails at once."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def count() -> gs.GalileoError:
        async with client(url, trust_env=True) as galileo:
            return await failure(galileo)

    error = run(count()) if is_repeated else asyncio.run(count())  # names are looked up in real time
    assert (type(error), len(error.attempts) > 1) == (gs.ConnectError, is_repeated)
    assert f"no connection to {url}: " in error.message
    assert error.hint == "Check base_url (GALILEO_API_URL), the network, and any proxy"
    assert "pr0xy-pw" not in visible_text(error)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy that doesn't answer CONNECT."""
    await reader.read()
    writer.close()


NO_CONNECTION: dict[str, tuple[dict[str, object], float]] = {
    "by default": ({"auth": ANN}, 10),  # the login's
    "connect": ({"timeouts": Timeouts(connect=0.1)}, 0.1),
    "attempt": ({"timeouts": Timeouts(attempt=0.3)}, 0.27),
    "proxy": ({"timeouts": Timeouts(connect=6.3), "url": "https://api.x.io"}, 6.3),
}


@pytest.mark.parametrize("how", NO_CONNECTION)
@virtual_time
async def test_a_full_backlog(how):
    """A connection that isn't made times out in phase connect, also a proxy's; this costs two attempts of the four."""
    arguments, seconds = NO_CONNECTION[how]
    async with listening(silent) as proxy:
        with sockets.full_backlog() as url:
            way = {"url": url, "proxy": proxy if how == "proxy" else None, **arguments}
            async with client(**way) as galileo:
                error = await failure(galileo)
                assert idle(galileo)
    assert type(error) is gs.AttemptTimeoutError
    assert [seconds <= attempt.elapsed < seconds + 0.05 for attempt in error.attempts] == [True] * 2
    assert [attempt.error.phase for attempt in error.attempts] == ["connect"] * 2


@pytest.mark.parametrize("trouble", ["unknown CA", "wrong name", "no TLS"])
async def test_tls_that_is_not_trusted(trouble):
    serving, trusting = tls("127.0.0.1" if trouble == "unknown CA" else HOST)
    context = trusting if trouble == "wrong name" else True

    def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(400))
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=None if trouble == "no TLS" else serving) as server:
        async with client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", ssl=context) as galileo:
            error = await failure(galileo)
    assert (type(error), statuses(error)) == (gs.TLSError, [None])
    assert "Check that the port has TLS; for your own CA, set SSL_CERT_FILE, or pass ssl=" in error.hint


async def test_ssl_cert_file_names_the_authorities_to_trust(tmp_path):
    authority, serving = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with raw_server(http(), ssl=serving) as server:
        settings = {"GALILEO_API_URL": server.url, "GALILEO_API_KEY": "k", "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        counting = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "galileo_sessions", "count", PROJECT),
            env={**os.environ, **settings},
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await counting.wait() == 0


# ---- proxies ---------------------------------------------------------------------------------------------------------

LOGIN = "a%6En:pr0xy%3A%40+%C3%A4"
AS_HEADER = b"Proxy-Authorization: Basic " + b64encode("ann:pr0xy:@+ä".encode("latin-1"))


@pytest.mark.parametrize("how", ["argument", "Secret", "environment", "environment, bare", "ignored", "bypassed"])
async def test_which_proxy_is_used(monkeypatch, how, tmp_path):
    """The one that is given, or that the environment names if `trust_env` is set; netrc is never used."""
    (tmp_path / "netrc").write_text(f"machine {HOST} login ann password netrc-password")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    serving, trusting = tls()
    async with raw_server(http(), ssl=serving) as server, tunnelling(int(server.url.rpartition(":")[2])) as proxy:
        url = f"http://{LOGIN}@{proxy.address}"
        given = {"argument": {"proxy": url}, "Secret": {"proxy": Secret(url)}}
        if how not in given:
            monkeypatch.setenv("HTTPS_PROXY", proxy.address if how == "environment, bare" else url)
        if how == "bypassed":
            monkeypatch.setenv("NO_PROXY", HOST)
        arguments = given.get(how, {"trust_env": how != "ignored"})
        async with client(f"https://{HOST}", ssl=trusting, retry=ONCE, **arguments) as galileo:
            report = await galileo.count_all(ids(3), concurrency=1)
    is_used = how not in ("ignored", "bypassed")
    assert len(server.requests) == (3 if is_used else 0)
    assert [type(error) for error in report.errors] == [gs.ConnectError] * (3 - len(server.requests))  # no such host
    assert [head.split(b"\r\n")[0] for head in proxy.heads] == [f"CONNECT {HOST}:443 HTTP/1.1".encode()] * is_used
    logins = [line for head in proxy.heads for line in head.split(b"\r\n") if b"authorization" in line.lower()]
    assert logins == [AS_HEADER] * (is_used and how != "environment, bare")
    assert b"authorization" not in b"".join(server.requests).lower()


@pytest.mark.parametrize("how", ["argument", "environment"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_loopback_never_uses_a_proxy(monkeypatch, how, host):
    async with raw_server(http()) as proxy, raw_server(http()) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        arguments = {"proxy": proxy.url} if how == "argument" else {"trust_env": True}
        url = server.url.replace("127.0.0.1", host)
        async with client(url, retry=ONCE, timeouts=Timeouts(attempt=2), **arguments) as galileo:
            with contextlib.suppress(gs.TransportError):  # where there is no IPv6
                await galileo.count(PROJECT)
    assert (proxy.connections, len(server.requests)) == (0, 0 if host == "[::1]" else 1)


async def test_a_sessions_own_proxy_is_used_also_to_loopback():
    serving, trusting = tls()
    async with raw_server(http(), ssl=serving) as server, tunnelling(int(server.url.rpartition(":")[2])) as proxy:
        async with aiohttp.ClientSession(proxy=f"http://{proxy.address}") as session:
            for host in (HOST, "localhost"):
                async with client(f"https://{host}", session=session, ssl=trusting, retry=ONCE) as galileo:
                    with contextlib.suppress(gs.TLSError):  # the certificate is HOST's
                        await galileo.count(PROJECT)
    connects = [head.partition(b" HTTP")[0] for head in proxy.heads]
    assert connects == [f"CONNECT {HOST}:443".encode(), b"CONNECT localhost:443"]


@pytest.mark.parametrize(("status", "hint"), [(403, "doesn't allow this host"), (407, "the password of the proxy")])
async def test_a_proxy_that_refuses_is_asked_once(status, hint):
    async with raw_server_of_connects(status) as (url, heads), client(f"https://{HOST}", proxy=url) as galileo:
        error = await failure(galileo)
    assert (type(error), len(error.attempts), len(heads)) == (gs.ConnectError, 1, 1)
    assert hint in error.hint


@contextlib.asynccontextmanager
async def raw_server_of_connects(status):
    """A proxy that answers each CONNECT with a status; its URL, and the heads of the requests."""
    heads = list[bytes]()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http(status, "no"))
        writer.close()

    async with listening(refuse) as url:
        yield url, heads


@pytest.mark.parametrize("trouble", ["refused", "not trusted"])
async def test_what_aiohttp_raises_has_no_password_of_a_proxy(trouble):
    """Tracers get aiohttp's own exception: its text, traceback, repr and URLs show neither user nor password."""
    seen: list[BaseException] = []

    async def see(_: object, __: object, params: aiohttp.TraceRequestExceptionParams) -> None:
        seen.append(params.exception)

    tracer = aiohttp.TraceConfig()
    tracer.on_request_exception.append(see)
    async with aiohttp.ClientSession(trace_configs=[tracer]) as session, raw_server(http(), ssl=tls()[0]) as server:
        port = int(server.url.rpartition(":")[2])
        async with tunnelling(port, most=0 if trouble == "refused" else 1) as proxy:
            url = f"http://us-3r:pr0xy-pw@{proxy.address}/?p4-th"
            async with client(f"https://{HOST}", session=session, proxy=url) as galileo:
                raised = await failure(galileo)
    assert (isinstance(raised, gs.ConnectError), "407" in raised.message) == (True, trouble == "refused")
    (error,) = seen  # one attempt
    told = [str(error), repr(error), repr(error.args), repr(vars(error)), *traceback.format_exception(error)]
    assert [secret for secret in ("us-3r", "pr0xy-pw", "p4-th") if secret in "".join(told)] == []
    login = b64encode(b"us-3r:pr0xy-pw").decode()  # the headers of a refused request have it, and so its repr
    assert login not in "".join([str(error), *traceback.format_exception(error)])


# ---- answers ---------------------------------------------------------------------------------------------------------

BOMB = gzip.compress(bytes(50_000_000))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def a_gibibyte(number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(http(200, b"", Content_Length=str(1 << 30)))
    for _ in range(1 << 14):
        writer.write(b" " * 65_536)
        await writer.drain()


# What is done, the error that it becomes, and how many attempts are made; a lost connection isn't tried again here.
TROUBLES = {
    "FIN": (sockets.hang_up, DisconnectedError, 1),
    "RST": (sockets.reset, DisconnectedError, 1),
    "half a head": (cut(b"HTTP/1.1 200 OK\r\nX-Secret: s3-ret"), DisconnectedError, 1),
    "half a body": (cut(http(200, b'{"s3-ret":1234567', Content_Length="99")), DisconnectedError, 1),
    "not HTTP": (cut(b"s3-ret\r\n\r\n"), ProtocolError, 4),
    "bad chunk size": (cut(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"), ProtocolError, 4),
    "20 kB header": (http(200, X="s3-ret" * 3500), ProtocolError, 4),
    "gzip bomb": (http(200, BOMB, Content_Encoding="gzip"), ProtocolError, 1),
    "broken gzip": (http(200, b"\x1f\x8bs3-ret", Content_Encoding="gzip"), ProtocolError, 1),
    "long body": (http(200, b" " * (MAX_BODY + 1)), ProtocolError, 1),
    "1 GiB body": (a_gibibyte, ProtocolError, 1),
}


@pytest.mark.parametrize(("behave", "error", "attempts"), TROUBLES.values(), ids=TROUBLES)
@virtual_time
async def test_broken_answers(behave, error, attempts):
    """Each raises its TransportError, which shows nothing of the answer, and needs at most 1 s of CPU and 5 MB."""
    async with connected(behave, retry=Retry(attempts=1 if error is DisconnectedError else 4)) as (server, galileo):
        tracemalloc.start()
        try:
            began = process_time()
            async with asyncio.timeout(1):
                caught = await failure(galileo)
            took = process_time() - began
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert type(caught) is error
    assert [(attempt.status, type(attempt.error)) for attempt in caught.attempts] == [(None, error)] * attempts
    assert len(server.requests) == attempts
    assert "s3-ret" not in visible_text(caught)
    assert server.url in str(caught) or error is ProtocolError
    assert (took < 1, peak < 5_000_000) == (True, True)


UNREAD = "(compressed, so not read)"
ENTRY = '{"detail": [{"loc": ["body"], "msg": "refused", "type": "x", "input": "'  # FastAPI repeats parts of the filter
PAGES = {
    "gzip": (http(404, BOMB, Content_Encoding="gzip"), 404, UNREAD, 0),
    "br": (http(503, BOMB, Content_Encoding="br"), 503, UNREAD, 0),
    "long": (http(404, "x" * (2 * MAX_BODY)), 404, "x" * 2048, 0),
    "422 of 1000 KiB": (http(422, f'{ENTRY}{"x" * (1000 << 10)}"}}]}}'), 422, f"{ENTRY:x<2048}", 1),
    "422 of more than 1 MiB": (http(422, f'{ENTRY}{"x" * (1 << 20)}"}}]}}'), 422, f"{ENTRY:x<2048}", 0),
}


@pytest.mark.parametrize(("answer", "status", "shown", "issues"), PAGES.values(), ids=PAGES)
async def test_a_page_is_the_error_of_its_status(answer, status, shown, issues):
    """Nothing is read of one that is compressed; of a long one, the beginning is kept, and the connection isn't."""
    async with connected(answer, retry=ONCE) as (_, galileo):
        error = await failure(galileo)
    assert (error.status, error.body, len(getattr(error, "issues", ()))) == (status, shown, issues)
    assert ("refused" in str(error)) == bool(issues)
    assert len(str(error)) < 500


async def test_a_body_of_just_the_limit_is_read():
    body = b'{"total_count":7' + b" " * (MAX_BODY - 17) + b"}"
    async with connected(http(200, body)) as (_, galileo):
        assert await galileo.count(PROJECT) == 7


# ---- deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [asyncio.CancelledError, LookupError])
@virtual_time
async def test_another_end_of_a_block_wins_over_its_deadline(end):
    """A task that is cancelled from elsewhere just then is cancelled, and an error that its block raises is raised."""
    loop = asyncio.get_running_loop()

    async def block() -> None:
        with Deadline(Deadlines(), loop.time() + 1):
            try:
                await asyncio.sleep(100_000)
            finally:
                if end is LookupError:
                    raise LookupError

    task = asyncio.create_task(block())
    if end is asyncio.CancelledError:
        loop.call_at(loop.time() + 1, task.cancel)
    with pytest.raises(end):
        await task


@virtual_time
async def test_counts_with_timeouts_of_their_own_end_in_time():
    """Counts at once with several `timeout=` end after just that time, and the others go on until the attempt ends."""
    limits = [4, None, 2, 1, 3]
    async with connected(silence, timeouts=Timeouts(attempt=9)) as (_, galileo):
        errors = await asyncio.gather(*(failure(galileo, timeout=limit) for limit in limits))
    assert [round(error.attempts[0].elapsed, 2) for error in errors] == [limit or 9 for limit in limits]
    expected = [gs.AttemptTimeoutError if limit is None else gs.DeadlineExceededError for limit in limits]
    assert [type(error) for error in errors] == expected


@virtual_time
async def test_an_injected_sessions_request_times_out_after_the_client_is_closed():
    async with raw_server(silence) as server, aiohttp.ClientSession() as session:
        galileo = client(server.url, session=session, timeouts=Timeouts(attempt=5))
        count = asyncio.create_task(failure(galileo))
        await until(lambda: server.requests)
        await galileo.close()
        async with asyncio.timeout(6):
            await count


def test_deadlines_end_counts_in_uvloop():
    import uvloop

    async def count() -> None:
        async with connected(silence, timeouts=Timeouts(attempt=0.1), retry=ONCE) as (_, galileo):
            assert type(await failure(galileo)) is gs.AttemptTimeoutError

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(count())
