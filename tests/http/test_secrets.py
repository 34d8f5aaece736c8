"""`Secret`; and no key, token or password can be reached from what the package raises, logs or prints."""

import asyncio
import contextlib
import errno
import json
import logging
import pickle
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, quote_plus

import aiohttp
import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clients import client, connected, failure
from support.clock import virtual_time
from support.inside import state
from support.shown import our_frames, visible_text
from support.sockets import PROJECT, answers, cut, hang_up, http, listening, raw_server, silence

import galileo_sessions as gs
from galileo_sessions import ApiKeyAuth, BasicAuth, BearerAuth, Col, GalileoSessions, PasswordAuth, Retry, Secret
from galileo_sessions.http.secret import forms_of, redact

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
    limits = {"timeouts": gs.Timeouts(attempt=0.05), "retry": Retry(attempts=2, patience=0.3)}
    given = {"auth": AUTHS[auth], "headers": {"X-Gateway": "g4teway-key"}, "on_attempt": heard.append, **limits}
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
@pytest.mark.parametrize(
    ("error", "expected"), RAISED, ids=lambda value: getattr(value, "__name__", type(value).__name__)
)
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


LONG = "kD9" + "".join(f"{number:x}" for number in range(1_000, 1_020))


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


ENVIRONMENT = {"GALILEO_USERNAME": "us3r-0815", "GALILEO_PASSWORD": "pw", "GALILEO_EXTRA_HEADERS": '{"X-Gate": "g8"}'}
USERS = [(kind, user) for kind in (BasicAuth, PasswordAuth) for user in ("us3r-0815", Secret("us3r-0815"))]


@pytest.mark.parametrize(
    ("arguments", "value", "shown"),
    [
        ({"headers": {"X-Team": "blueteam"}}, "blueteam", False),
        ({"headers": {"X-Team": "blue-42"}}, "blue-42", True),
        ({"headers": {"X-Team": Secret("blue")}}, "blue", False),
        *[({"auth": kind(user, "pw")}, "us3r-0815", isinstance(user, str)) for kind, user in USERS],
        ({"api_key": None}, "us3r-0815", False),
        ({"api_key": None}, "g8", False),
    ],
)
async def test_which_headers_and_user_names_are_secrets(monkeypatch, arguments, value, shown):
    """A header's value from 8 characters on, and what is given as a secret; all values of the environment."""
    for name, text in ENVIRONMENT.items() if "api_key" in arguments else ():
        monkeypatch.setenv(name, text)
    first = http(200, '{"access_token": "t", "total_count": 7}')
    echo = http(503, f"who is {value}?", X_Echo=value)
    async with connected(answers(first, echo), retry=ONCE, **arguments) as (_, galileo):
        with contextlib.suppress(gs.ServerError):  # after a login
            await galileo.count(PROJECT)
        told = visible_text(await failure(galileo)) + repr(arguments.get("auth")) + repr(galileo)
    assert (value in told) == shown


SECRET = "pa55 w/rd&<\"'+€=é"


def test_a_secret_has_no_part_that_can_be_shown():
    """Text, formats and reprs of a Secret are `***`; it has no length, no items, no sums and no attributes to list."""
    secret = Secret(SECRET)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:.5}", f"{secret:>200}", "%s" % secret, repr([secret])]  # noqa: UP031
    assert {text.strip("[]'") for text in shown} == {"***"}
    assert {"__len__", "__getitem__", "__iter__", "__add__", "__radd__", "__dict__"} & {*dir(secret)} == set()
    assert not isinstance(secret, str)
    assert secret.reveal() == SECRET


def test_a_secret_compares_and_pickles():
    assert Secret("a") == Secret("a") != Secret("b")
    assert (Secret("a") == "a") is False
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    for auth in [AUTHS[kind] for kind in ("key", "bearer", "basic", "password")] + [BearerAuth(get_token)]:
        assert pickle.loads(pickle.dumps(auth)) == attrs.evolve(auth) == auth
        assert hash(attrs.evolve(auth)) == hash(auth)
        assert [secret for secret in SECRETS if secret in repr(attrs.asdict(auth))] == []
    assert ApiKeyAuth(Secret(KEY)) == ApiKeyAuth(KEY)


SPELLINGS: list[Callable[[str], str]] = [str, quote, quote_all := partial(quote, safe=""), quote_plus]
SPELLINGS += [lambda text: json.dumps(text)[1:-1], lambda text: json.dumps(text, ensure_ascii=False)[1:-1]]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*⟦⟧"), min_size=1, max_size=12)


@given(TEXTS, st.sampled_from(SPELLINGS))
@example(SECRET, quote_all)
def test_a_secret_in_any_spelling_is_replaced(secret, spell):
    assert redact(f"⟦{spell(secret)}⟧".encode(), forms_of([Secret(secret)])).decode() == "⟦***⟧"


def test_a_longer_secret_comes_first():
    assert redact(b"abcdef abc", forms_of([Secret("abc"), Secret("abcdef")])) == b"*** ***"


async def test_a_common_word_that_is_a_secret_changes_no_answer():
    """A 200 is read unchanged, even if it contains a word of a header or a digit that is the password."""
    catalog = gs.ColumnCatalog.of({"metrics/customer_satisfaction": "number"}, customer="text")
    answer = json.dumps(gs.dump_catalog(catalog) | {"total_count": 7})
    arguments = {"auth": BasicAuth("ann", "7"), "headers": {"X-Team": "customer"}}
    async with connected(http(200, answer), **arguments) as (_, galileo):
        assert await galileo.columns(PROJECT) == catalog
        assert await galileo.count(PROJECT) == 7
