"""No key, token or password is reachable from what the package raises, logs or prints."""

import asyncio
import logging
import pickle
import traceback
from base64 import b64encode

import attrs
import cattrs
import pytest
from support.servers import PROJECT, http, raw_server

from galileo_sessions import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    Col,
    GalileoError,
    GalileoSessions,
    PasswordAuth,
    Retry,
    Timeouts,
)

KEY, TOKEN, PASSWORD = "k3y-5f0c", "t0ken-77aa", "pa55 word&"
SECRETS = [KEY, TOKEN, PASSWORD, "pa55+word%26", b64encode(f"ann:{PASSWORD}".encode()).decode()]
AUTHS = {
    "key": ApiKeyAuth(KEY),
    "bearer": BearerAuth(TOKEN),
    "basic": BasicAuth("ann", PASSWORD),
    "password": PasswordAuth("ann", PASSWORD),
}


def everything(error: BaseException) -> str:
    """
    All text that tools make of an error: with local variables, with what it came from, pickled, as plain data.

    Only what a server sent is passed over in local variables, for it may have sent anything.
    """
    texts = [repr(error), str(error), repr(pickle.dumps(error)), repr(vars(error)), repr(cattrs.unstructure(error))]
    texts += traceback.format_exception(error)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals["__name__"].startswith(("galileo_sessions", "aiohttp")):
            texts += [repr(value) for name, value in frame.f_locals.items() if name not in ("answer", "body", "data")]
    texts += [repr(attrs.asdict(attempt)) for attempt in getattr(error, "attempts", ())]
    for linked in (error.__cause__, error.__context__, getattr(error, "last", None)):
        if linked is not None:
            texts.append(everything(linked))
    for attempt in getattr(error, "attempts", ()):
        if attempt.error is not None:
            texts.append(everything(attempt.error))
    return "\n".join(texts)


async def echo(number: int, writer: asyncio.StreamWriter) -> None:
    """Repeats all that could be secret, in the body and in the headers, after a login that works."""
    if number == 1:
        writer.write(http(200, f'{{"access_token": "{TOKEN}"}}'))
        return
    said = " ".join(SECRETS)
    writer.write(http(422, f'{{"detail": [{{"loc": ["body"], "msg": "{said}", "type": "x"}}]}}', X_Echo=said))


async def echo_at_once(number: int, writer: asyncio.StreamWriter) -> None:
    """The same without a login."""
    await echo(2, writer)


async def silence(number: int, writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.sleep(60)


async def hang_up(number: int, writer: asyncio.StreamWriter) -> None:
    """Closes the connection."""
    writer.close()


BEHAVIOURS = {
    "echo": echo_at_once,
    "echo after login": echo,
    "redirect": http(302, "", Location=f"https://x.io/?key={KEY}&token={TOKEN}"),
    "not a count": http(200, f'{{"your": "{KEY} {TOKEN} {PASSWORD}"}}'),
    "silence": silence,
    "hang up": hang_up,
    "not HTTP": f"{KEY} {TOKEN} {PASSWORD}\r\n\r\n".encode(),
    "401": http(401, " ".join(SECRETS)),
}


@pytest.mark.parametrize("behave", BEHAVIOURS.values(), ids=BEHAVIOURS)
@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
async def test_no_error_holds_a_secret(auth, behave, caplog):
    """Whatever the server does, the error and the log hold no credential, even if the server repeats it."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    async with raw_server(behave) as server:
        async with GalileoSessions(
            auth=auth, base_url=server.url, timeouts=Timeouts(attempt=0.1), retry=Retry(attempts=1)
        ) as galileo:
            with pytest.raises(GalileoError) as caught:
                await galileo.count(PROJECT, Col("input").contains("x"))
    told = everything(caught.value) + caplog.text
    known = SECRETS[1:] if behave is echo else SECRETS[2:]  # the token, once a login has brought it
    ours = {"key": [KEY], "bearer": [TOKEN], "basic": SECRETS[2:], "password": known}
    mine = next(secrets for name, secrets in ours.items() if AUTHS[name] is auth)
    assert [secret for secret in mine if secret in told] == []


LONG = "kD9" + "".join(f"{number:x}" for number in range(1_000, 1_020))


@pytest.mark.parametrize("before", range(0, 120, 10))
@pytest.mark.parametrize("form", ['{"columns": "%s"}', '{"columns": [{"category": "x", "id": ["%s"]}]}', '"%s"', "%s"])
async def test_what_is_cut_leaves_no_part_of_a_secret(form, before):
    """Wherever in an answer a long key stands, no piece of it is quoted."""
    async with raw_server(http(body=form % ("." * before + LONG + "." * 20))) as server:
        async with GalileoSessions(LONG, base_url=server.url) as galileo:
            for asked in (galileo.columns, galileo.count):
                with pytest.raises(GalileoError) as caught:
                    await asked(PROJECT)
                told = everything(caught.value)
                assert [at for at in range(len(LONG) - 8) if LONG[at : at + 8] in told] == []


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
def test_no_repr_holds_a_secret(auth):
    """Credentials and clients don't show them."""
    told = repr(auth) + str(auth) + repr(GalileoSessions(auth=auth)) + repr(vars(GalileoSessions(auth=auth)._counter))
    assert [secret for secret in SECRETS if secret in told] == []


async def test_refused_connections_hold_none():
    """Errors of the connection name the origin only, also behind a proxy with a password."""
    for arguments in ({}, {"proxy": "http://ann:pr0xy-pw@127.0.0.1:9"}):
        async with GalileoSessions(KEY, base_url="http://127.0.0.1:9", retry=Retry(attempts=1), **arguments) as galileo:
            with pytest.raises(GalileoError) as caught:
                await galileo.count(PROJECT)
        told = everything(caught.value)
        assert (KEY in told, "pr0xy-pw" in told) == (False, False)
