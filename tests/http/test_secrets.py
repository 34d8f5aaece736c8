"""No key, token or password can be reached from what the package raises, logs or prints."""

import asyncio
import json
import logging
from base64 import b64encode
from uuid import UUID

import aiohttp
import pytest
from support.clients import ANN, client, failure
from support.inside import state
from support.projects import number_of
from support.proxies import refuse
from support.servers import PROJECT, answers, http, raw_server, until
from support.troubles import cut, hang_up, listening, silence
from support.visible import visible_text

import galileo_sessions as gs
from galileo_sessions import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    Col,
    GalileoError,
    GalileoSessions,
    PasswordAuth,
    Retry,
    Secret,
    Timeouts,
    ValidationError,
)

KEY, TOKEN, PASSWORD = "k3y-5f0c", "t0ken-77aa", "pa55 word&"

SECRETS = [KEY, TOKEN, PASSWORD, "pa55+word%26", b64encode(f"ann:{PASSWORD}".encode()).decode()]

AUTHS = {
    "key": ApiKeyAuth(KEY),
    "bearer": BearerAuth(TOKEN),
    "basic": BasicAuth("ann", PASSWORD),
    "password": PasswordAuth("ann", PASSWORD),
}


async def echo_after_login(number: int, writer: asyncio.StreamWriter) -> None:
    """Repeats all that could be secret, in the body and in a header, after a successful login."""
    if number == 1:
        writer.write(http(200, f'{{"access_token": "{TOKEN}"}}'))
        return
    said = " ".join(SECRETS)
    writer.write(http(422, f'{{"detail": [{{"loc": ["body"], "msg": "{said}", "type": "x"}}]}}', X_Echo=said))


async def echo_at_once(number: int, writer: asyncio.StreamWriter) -> None:
    """Repeats all secrets in the first answer."""
    await echo_after_login(2, writer)


BEHAVIOURS = {
    "echo": echo_at_once,
    "echo after login": echo_after_login,
    "redirect": http(302, "", Location=f"https://x.io/?key={KEY}&token={TOKEN}"),
    "not a count": http(200, f'{{"your": "{KEY} {TOKEN} {PASSWORD}"}}'),
    "silence": silence,
    "hang up": hang_up,
    "not HTTP": f"{KEY} {TOKEN} {PASSWORD}\r\n\r\n".encode(),
    "401": http(401, " ".join(SECRETS)),
    "503": http(503, " ".join(SECRETS), X_Echo=" ".join(SECRETS)),
    "429": http(429, json.dumps({"detail": " ".join(SECRETS)}), Retry_After="0"),
    "429 above the cap": http(429, " ".join(SECRETS), Retry_After="100"),
    "too long": http(200, " ".join(SECRETS) * 10_000),
}


@pytest.mark.parametrize("behave", BEHAVIOURS.values(), ids=BEHAVIOURS)
@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
async def test_no_error_holds_a_secret(auth, behave, caplog):
    """Neither the error, its attempts nor the log has a credential, even if the server repeats it."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    heard: list[gs.Attempt] = []
    arguments = {"auth": auth, "timeouts": Timeouts(attempt=0.05), "retry": Retry(attempts=2, patience=0.3)}
    async with raw_server(behave) as server, client(server.url, on_attempt=heard.append, **arguments) as galileo:
        error = await failure(galileo, where=Col("input").contains("x"))
    told = visible_text(error) + repr(heard) + caplog.text
    known = SECRETS[1:] if behave is echo_after_login else SECRETS[2:]  # the token, once a login has brought it
    ours = {"key": [KEY], "bearer": [TOKEN], "basic": SECRETS[2:], "password": known}
    mine = next(secrets for name, secrets in ours.items() if AUTHS[name] is auth)
    assert [secret for secret in mine if secret in told] == []


LONG = "kD9" + "".join(f"{number:x}" for number in range(1_000, 1_020))


@pytest.mark.parametrize("before", range(0, 120, 10))
@pytest.mark.parametrize(
    "form",
    ['{"columns": "%s"}', '{"columns": [{"category": "x", "id": ["%s"]}]}', '"%s"', "%s"],
    ids=["object", "column", "text", "bare"],
)
async def test_what_is_cut_leaves_no_part_of_a_secret(form, before):
    """No error quotes a part of a long key, wherever the answer contains it."""
    async with raw_server(http(body=form % ("." * before + LONG + "." * 20))) as server:
        async with GalileoSessions(LONG, base_url=server.url, retry=Retry(attempts=1)) as galileo:
            for asked in (galileo.columns, galileo.count):
                with pytest.raises(GalileoError) as caught:
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


# ---- after retries and logins ----------------------------------------------------------------------------------------


LOGIN_TROUBLE = {
    "redirect": http(302, "", Location="https://x.io/login?user=ann&password=pa55+word%26"),
    "redirect unquoted": http(302, "", Location=f"https://x.io/login?password={PASSWORD}"),
    "503": http(503, PASSWORD, X_Echo=PASSWORD),
    "429": http(429, PASSWORD, X_Echo=PASSWORD, Retry_After="0"),
    "422": http(422, f'{{"detail": [{{"loc": ["body", "password"], "msg": "{PASSWORD}", "type": "x"}}]}}'),
    "no token": http(200, PASSWORD, X_Echo=PASSWORD),
    "garbage": cut(f"{PASSWORD}\r\n\r\n".encode()),
}


@pytest.mark.parametrize("trouble", LOGIN_TROUBLE.values(), ids=LOGIN_TROUBLE)
async def test_no_password_in_what_a_login_meets(trouble, caplog):
    """Whatever /login answers, the error and the log don't show the password."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    arguments = {"auth": PasswordAuth("ann", PASSWORD), "retry": Retry(patience=0.3)}
    async with raw_server(trouble) as server, client(server.url, **arguments) as galileo:
        told = visible_text(await failure(galileo)) + caplog.text
    assert [form for form in (PASSWORD, "pa55+word%26") if form in told] == []


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
        with pytest.raises(ValidationError) as caught:
            await held
    assert "t0ken-1-77aa" not in visible_text(caught.value)


@pytest.mark.parametrize(
    ("value", "wrap", "shown"),
    [
        ("s3cr3t-team-token", str, False),
        ("blue-team", str, False),
        ("blue", str, True),
        ("blue", Secret, False),
    ],
)
async def test_no_secret_of_headers_of_ones_own(value, wrap, shown):
    """The value of a header of one's own is a secret from 8 characters on, or if it is given as one."""
    async with raw_server(http(403, f"who is {value}?", X_Echo=value)) as server:
        async with GalileoSessions("the-key", base_url=server.url, headers={"X-Team": wrap(value)}) as galileo:
            told = visible_text(await failure(galileo))
    assert (value in told) == shown


@pytest.mark.parametrize("auth", [BasicAuth, PasswordAuth])
@pytest.mark.parametrize("wrap", [str, Secret])
async def test_a_user_name_can_be_a_secret(auth, wrap):
    """A user name that is given as a Secret isn't shown; plain text isn't treated as one."""
    async with raw_server(http(503, "who is us3r-0815?")) as server:
        login = auth(wrap("us3r-0815"), "pw")
        async with client(server.url, auth=login, retry=Retry(attempts=1)) as galileo:
            told = visible_text(await failure(galileo)) + repr(login)
    assert ("us3r-0815" in told) == (wrap is str)


def test_a_base_url_that_is_a_secret_is_not_quoted():
    """What is wrong with a base URL is quoted, unless it is given as a Secret."""
    for url, words in (("s3cr3t", ", got 's3cr3t'"), (Secret("s3cr3t"), "")):
        with pytest.raises(gs.ConfigurationError) as caught:
            GalileoSessions("k", base_url=url)
        assert str(caught.value) == f"base_url must be an http(s) URL such as https://api.galileo.ai{words}"
