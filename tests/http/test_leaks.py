"""No key, token or password can be reached from what the package raises, logs or prints."""

import asyncio
import json
import logging
from base64 import b64encode
from functools import partial
from uuid import UUID

import aiohttp
import pytest
from support.clients import ANN, client, failure
from support.inside import state
from support.leaks import our_frames, visible_text
from support.proxies import refuse
from support.sockets import PROJECT, answers, cut, hang_up, http, listening, number_of, raw_server, silence, until

import galileo_sessions as gs
from galileo_sessions import BasicAuth, Col, ConfigurationError, GalileoSessions, PasswordAuth, Retry, Secret

KEY, TOKEN, PASSWORD = "k3y-5f0c", "t0ken-77aa", "pa55 word&"
SECRETS = [KEY, TOKEN, PASSWORD, "pa55+word%26", b64encode(f"ann:{PASSWORD}".encode()).decode()]
ALL = " ".join(SECRETS)


async def get_token() -> str:
    """A user's function."""
    return TOKEN


AUTHS = {
    "key": gs.ApiKeyAuth(KEY),
    "bearer": gs.BearerAuth(TOKEN),
    "function": gs.BearerAuth(get_token),
    "basic": BasicAuth("ann", PASSWORD),
    "password": PasswordAuth("ann", PASSWORD),
}
ISSUE = f'{{"detail": [{{"loc": ["body", "password"], "msg": "{ALL}", "type": "x"}}]}}'
TOKEN_ANSWER = http(200, f'{{"access_token": "{TOKEN}"}}')

BEHAVIOURS = {
    "echo": http(422, ISSUE, X_Echo=ALL),
    "echo after login": answers(TOKEN_ANSWER, http(422, ISSUE, X_Echo=ALL)),
    "redirect": http(302, ALL, Location=f"https://x.io/?key={KEY}&token={TOKEN}&password=pa55+word%26"),
    "redirect unquoted": http(302, "", Location=f"https://x.io/?password={PASSWORD}"),
    "not a count": http(200, f'{{"your": "{KEY} {TOKEN} {PASSWORD}"}}', X_Echo=ALL),
    "no token": http(200, f'{{"access_token": "{PASSWORD} \\u00e9"}}'),
    "not JSON": http(200, ALL),
    "silence": silence,
    "hang up": hang_up,
    "not HTTP": cut(f"{KEY} {TOKEN} {PASSWORD}\r\n\r\n".encode()),
    "401": http(401, ALL, X_Echo=ALL),
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
    arguments = {
        "timeouts": gs.Timeouts(attempt=0.05),
        "retry": Retry(attempts=2, patience=0.3),
        "on_attempt": heard.append,
    }
    headers = {"X-Gateway": "g4teway-key"}
    async with raw_server(behave or b"") as server:
        url = server.url if behave else "http://127.0.0.1:9"
        async with client(url, auth=AUTHS[auth], headers=headers, **arguments) as galileo:
            error = await failure(galileo, where=Col("input").contains("x"))
    told = visible_text(error) + repr(heard) + caplog.text
    has_token = behave is BEHAVIOURS["echo after login"]
    ours = {"key": [KEY], "basic": SECRETS[2:], "password": SECRETS[1 if has_token else 2 :]}
    assert [secret for secret in [*ours.get(auth, [TOKEN]), "g4teway-key"] if secret in told] == []


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
@pytest.mark.parametrize("how", ["cancelled", "timeout", "proxy"])
async def test_no_frame_of_a_request_that_is_ended_holds_a_secret(auth, how):
    """A cancellation, or a timeout of the caller's, has no frame with headers, a login or a proxy's password."""
    has_begun = asyncio.Event()

    async def count() -> None:
        async with asyncio.timeout(0.05 if how == "timeout" else None):
            await galileo.count(PROJECT)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        has_begun.set()
        await reader.read()
        writer.close()

    async with listening(hold) as url:
        way = {"proxy": url.replace("//", f"//ann:{PASSWORD}@")} if how == "proxy" else {}
        async with client("https://api.x.io" if way else url, auth=auth, **way) as galileo:
            counting = asyncio.create_task(count())
            await has_begun.wait()
            if how != "timeout":
                counting.cancel()
            with pytest.raises((asyncio.CancelledError, TimeoutError)) as caught:
                await counting
    assert our_frames(caught.value)
    told = visible_text(caught.value)
    assert [secret for secret in SECRETS if secret in told] == []


class OwnError(gs.GalileoError):
    """An error of ours that a middleware raises."""


@pytest.mark.parametrize("where", ["trace_configs", "middlewares"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LookupError, ConfigurationError),
        (ValueError, ConfigurationError),
        (OSError, gs.TransportError),
        (partial(ExceptionGroup, "several", [KeyError(KEY)]), ConfigurationError),
        (OwnError, OwnError),
        (asyncio.CancelledError, asyncio.CancelledError),
    ],
    ids=["LookupError", "ValueError", "OSError", "ExceptionGroup", "GalileoError", "CancelledError"],
)
async def test_what_a_session_raises_is_an_error_without_secrets(where, error, expected):
    """Whatever a TraceConfig or a middleware raises becomes an error of ours, and no frame has the key."""

    async def fail(*_: object) -> None:
        raise error(KEY) if isinstance(error, type) else error()

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(fail)
    async with aiohttp.ClientSession(**{where: [trace if where == "trace_configs" else fail]}) as session:
        async with client("http://127.0.0.1:9", auth=AUTHS["key"], session=session, retry=Retry(attempts=1)) as galileo:
            with pytest.raises(expected) as caught:
                await galileo.count(PROJECT)
    assert our_frames(caught.value)
    if expected in (ConfigurationError, gs.TransportError):
        assert KEY not in visible_text(caught.value)


LONG = "kD9" + "".join(f"{number:x}" for number in range(1_000, 1_020))


@pytest.mark.parametrize("before", [*range(0, 120, 20), 2_000, 65_400])
@pytest.mark.parametrize(
    ("status", "form"),
    [
        (200, '{"columns": "%s"}'),
        (200, '{"columns": [{"category": "x", "id": ["%s"]}]}'),
        (200, '"%s"'),
        (200, "%s"),
        (400, "%s"),
    ],
    ids=["object", "column", "text", "bare", "400"],
)
async def test_what_is_cut_leaves_no_part_of_a_secret(status, form, before):
    """No error has a part of a long key, wherever the answer contains it."""
    body = form % ("." * before + f"{LONG}." * (2_000 if before == 65_400 else 1) + "." * 20)
    async with raw_server(http(status, body)) as server:
        async with GalileoSessions(LONG, base_url=server.url, retry=Retry(attempts=1)) as galileo:
            for asked in (galileo.columns, galileo.count):
                with pytest.raises(gs.GalileoError) as caught:
                    await asked(PROJECT)
                told = visible_text(caught.value)
                assert [at for at in range(len(LONG) - 8) if LONG[at : at + 8] in told] == []


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
def test_no_repr_holds_a_secret(auth):
    """The repr of credentials, of a client and of all that it holds shows no secret."""
    told = repr(auth) + str(auth) + repr(GalileoSessions(auth=auth)) + state(GalileoSessions(auth=auth))
    assert [secret for secret in SECRETS if secret in told] == []


async def test_no_span_holds_a_secret():
    """OpenTelemetry's spans, of any session, have the URL and the status, but no key and no proxy's password."""
    for name in ("opentelemetry.sdk", "opentelemetry.instrumentation.aiohttp_client"):
        pytest.importorskip(name, reason=f"{name} isn't installed; it is in the extra `examples`")
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with raw_server(answers(http(429), http(), http(), http())) as server, aiohttp.ClientSession() as earlier:
        AioHttpClientInstrumentor().instrument(tracer_provider=provider)
        try:
            async with aiohttp.ClientSession() as later:
                for session in (None, later, earlier):
                    async with client(server.url, auth=AUTHS["key"], session=session) as galileo:
                        await galileo.count(PROJECT, Col("input").contains("x"))
                async with listening(refuse) as url:
                    way = {"proxy": url.replace("//", "//us3r:pr0xy-pw@"), "retry": Retry(attempts=1)}
                    for session in (None, later):
                        async with client("https://api.x.io", session=session, **way) as galileo:
                            await failure(galileo)
        finally:
            AioHttpClientInstrumentor().uninstrument()
    *spans, own, injected = exporter.get_finished_spans()
    assert [span.attributes["http.status_code"] for span in spans] == [429, 200, 200]
    assert [span.status.is_ok for span in spans] == [False, True, True]
    assert all(PROJECT in span.attributes["http.url"] and KEY not in span.to_json() for span in spans)
    told = own.to_json() + injected.to_json()
    assert told.count("ClientHttpProxyError: 407") == 2
    assert [form for form in ("us3r", "pr0xy-pw", b64encode(b"us3r:pr0xy-pw").decode()) if form in told] == []


async def test_no_token_of_yesterday():
    """A token that has been replaced isn't shown either."""
    hold = asyncio.Event()
    logins = 0

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        nonlocal logins
        request = server.requests[number - 1]
        if request.startswith(b"POST /login "):
            logins += 1
            writer.write(http(200, f'{{"access_token": "t0ken-{logins}-77aa"}}'))
        elif number_of(request) == 1:
            await hold.wait()
            writer.write(http(422, '{"detail": "what is t0ken-1-77aa?"}'))
        else:
            writer.write(http(401, "") if b"t0ken-1-77aa" in request else http())

    async with raw_server(behave) as server, client(server.url, auth=ANN) as galileo:
        held = asyncio.create_task(galileo.count(UUID(int=1)))
        await until(lambda: len(server.requests) == 2)
        assert await galileo.count(UUID(int=2)) == 7
        assert logins == 2
        hold.set()
        with pytest.raises(gs.ValidationError) as caught:
            await held
    assert "t0ken-1-77aa" not in visible_text(caught.value)


@pytest.mark.parametrize(
    ("arguments", "value", "shown"),
    [
        ({"api_key": "k", "headers": {"X-Team": "s3cr3t-team-token"}}, "s3cr3t-team-token", False),
        ({"api_key": "k", "headers": {"X-Team": "blue-team"}}, "blue-team", False),
        ({"api_key": "k", "headers": {"X-Team": "blue"}}, "blue", True),
        ({"api_key": "k", "headers": {"X-Team": Secret("blue")}}, "blue", False),
        ({"auth": BasicAuth("us3r-0815", "pw")}, "us3r-0815", True),
        ({"auth": BasicAuth(Secret("us3r-0815"), "pw")}, "us3r-0815", False),
        ({"auth": PasswordAuth("us3r-0815", "pw")}, "us3r-0815", True),
        ({"auth": PasswordAuth(Secret("us3r-0815"), "pw")}, "us3r-0815", False),
    ],
)
async def test_headers_and_user_names_that_are_secrets(arguments, value, shown):
    """A header's value is a secret from 8 characters on, or if it is given as one; a user name, if given as one."""
    async with raw_server(http(503, f"who is {value}?", X_Echo=value)) as server:
        async with client(server.url, retry=Retry(attempts=1), **arguments) as galileo:
            told = visible_text(await failure(galileo)) + repr(arguments.get("auth"))
    assert (value in told) == shown
