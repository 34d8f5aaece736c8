"""Tracebacks with local variables: no frame of the package holds a plain secret or the environment.

A constructor that is called with a plain secret is excepted: its own frame holds what its caller wrote.
"""

import asyncio
import pickle
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import aiohttp
import attrs
import pytest
from rich.pretty import traverse
from support.clients import client
from support.servers import PROJECT, answers, http, raw_server, until
from support.troubles import silence

from galileo_sessions import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    ConfigurationError,
    GalileoError,
    GalileoSessions,
    PasswordAuth,
    Retry,
    Secret,
    TransportError,
)

SECRET = "s3cr3t-" + "".join(f"{number:x}" for number in range(1_000, 1_040))
ELSEWHERE = "an0ther-variable-of-the-environment"
GIVEN_SECRETS = (GalileoSessions, ApiKeyAuth, BearerAuth, BasicAuth, PasswordAuth)
PARTS = [SECRET[:10], SECRET[40:50], SECRET[-10:], ELSEWHERE]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("OTHER_SECRET", ELSEWHERE)


class OwnError(GalileoError):
    """An error of ours that a middleware raises."""


def our_frames(error: BaseException | None) -> Iterator[Any]:
    """The frames of the package and of aiohttp in an error and all behind it, without those of the constructors."""
    if error is None:
        return
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = frame.f_globals.get("__name__", "")
        constructor = frame.f_code.co_name == "__init__" and isinstance(frame.f_locals["self"], GIVEN_SECRETS)
        if name.startswith(("galileo_sessions", "aiohttp")) and not constructor:
            yield frame
    yield from our_frames(error.__cause__)
    yield from our_frames(error.__context__)


def serialized(value: object, depth: int = 6) -> str:
    """What an error reporter sends: containers and records entry by entry, all else as its repr."""
    if not depth:
        return repr(value)
    if isinstance(value, dict):
        return " ".join(f"{key!r} {serialized(one, depth - 1)}" for key, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return " ".join(serialized(one, depth - 1) for one in value)
    if attrs.has(type(value)):
        return serialized(attrs.asdict(value, recurse=False), depth - 1)  # type: ignore[arg-type]
    return repr(value)


def by_traceback(error: BaseException) -> str:
    """What `traceback` captures of local variables."""
    frames = [*our_frames(error)]
    found = traceback.StackSummary.extract(((frame, frame.f_lineno) for frame in frames), capture_locals=True)
    return "\n".join(str(summary.locals) for summary in found)


def by_rich(error: BaseException) -> str:
    """What rich draws with show_locals, which cuts text by slicing it."""
    return "\n".join(
        f"{name} {traverse(value, max_length=10, max_string=80)}"
        for frame in our_frames(error)
        for name, value in frame.f_locals.items()
    )


def by_reporter(error: BaseException) -> str:
    """What an error reporter takes from `f_locals`."""
    return "\n".join(serialized(dict(frame.f_locals)) for frame in our_frames(error))


WALKERS: list[Callable[[BaseException], str]] = [by_traceback, by_rich, by_reporter]


def told_of(error: BaseException) -> list[str]:
    """The parts of secrets that any of these ways shows."""
    told = "\n".join([*(walk(error) for walk in WALKERS), str(error), repr(error.args)])
    return [part for part in PARTS if part in told]


CONSTRUCTORS: dict[str, Callable[[], object]] = {
    "key, line break": lambda: GalileoSessions(SECRET + "\n"),
    "key, not ASCII": lambda: GalileoSessions(api_key=SECRET + "é"),
    "key as bytes": lambda: GalileoSessions(SECRET.encode()),  # type: ignore[arg-type]
    "key as list": lambda: GalileoSessions([SECRET]),  # type: ignore[arg-type]
    "key and auth": lambda: GalileoSessions(SECRET, auth=BearerAuth(SECRET)),
    "key as auth": lambda: GalileoSessions(auth=SECRET),  # type: ignore[arg-type]
    "key and key as auth": lambda: GalileoSessions(SECRET, auth=SECRET),  # type: ignore[arg-type]
    "key and a bad timeout": lambda: GalileoSessions(SECRET, timeouts="5"),  # type: ignore[arg-type]
    "key auth": lambda: ApiKeyAuth(SECRET + " "),
    "key auth, header": lambda: ApiKeyAuth(SECRET, header="a b"),
    "bearer": lambda: BearerAuth(SECRET + "\n"),
    "basic, no UTF-8": lambda: BasicAuth("ann", SECRET + "\udcff"),
    "password, no UTF-8": lambda: PasswordAuth("ann", SECRET + "\udcff"),
    "password as bytes": lambda: PasswordAuth("ann", SECRET.encode()),  # type: ignore[arg-type]
    "password in base_url": lambda: GalileoSessions("k", base_url=f"https://ann:{SECRET}@api.x.io"),
    "password in no host": lambda: GalileoSessions("k", base_url=f"https://ann:{SECRET}%40gw"),
    "password before an odd host": lambda: GalileoSessions("k", base_url=f"https://ann:{SECRET}@[::1]x"),
    "user in base_url": lambda: GalileoSessions("k", base_url=f"https://{SECRET}@api.x.io"),
    "base_url without a scheme": lambda: GalileoSessions("k", base_url=f"ann:{SECRET}@api.x.io"),
    "base_url with a bad port": lambda: GalileoSessions("k", base_url=f"https://ann:{SECRET}@api.x.io:port"),
    "key in base_url's query": lambda: GalileoSessions("k", base_url=f"https://api.x.io/?key={SECRET}"),
    "key in base_url's fragment": lambda: GalileoSessions("k", base_url=f"ftp://api.x.io/#{SECRET}"),
    "proxy of another scheme": lambda: GalileoSessions("k", proxy=f"socks5://ann:{SECRET}@proxy.x.io"),
    "proxy with a bad port": lambda: GalileoSessions("k", proxy=f"http://ann:{SECRET}@proxy.x.io:port"),
    "proxy with a user that can't be sent": lambda: GalileoSessions("k", proxy=f"http://ann%3A:{SECRET}@proxy.x.io"),
    "proxy with a password that can't be": lambda: GalileoSessions(
        "k", proxy=f"http://ann:{SECRET}%E2%82%AC@proxy.x.io"
    ),
    "base_url as bytes": lambda: GalileoSessions("k", base_url=f"https://ann:{SECRET}@x.io".encode()),  # type: ignore[arg-type]
    "base_url as Secret": lambda: GalileoSessions("k", base_url=Secret(SECRET)),
    "proxy as list": lambda: GalileoSessions("k", proxy=[SECRET]),  # type: ignore[arg-type]
    "proxy as Secret": lambda: GalileoSessions("k", proxy=Secret(SECRET)),
    "headers as list": lambda: GalileoSessions("k", headers=[SECRET]),  # type: ignore[arg-type]
    "headers as Secret": lambda: GalileoSessions("k", headers=Secret({"X-Key": SECRET + "\n"})),
    "header as Secret": lambda: GalileoSessions("k", headers={"X-Key": Secret(SECRET + "\n")}),
    "user as Secret": lambda: BasicAuth(Secret(SECRET + ":"), "p"),
    "header name": lambda: GalileoSessions("k", headers={"X-Key": SECRET, "a b": SECRET}),
    "header value": lambda: GalileoSessions("k", headers={"X-Key": SECRET + "\n"}),
    "header reserved": lambda: GalileoSessions("k", headers={"X-Key": SECRET, "authorization": SECRET}),
}


@pytest.mark.parametrize("make", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_no_frame_of_a_constructor_holds_a_secret(make):
    """If a constructor raises, the frames below it contain neither the value nor the environment."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert told_of(caught.value) == []


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "key, line break": {"GALILEO_API_KEY": SECRET + "\n"},
    "no user name": {"GALILEO_PASSWORD": SECRET},
    "no password": {"GALILEO_USERNAME": "ann", "UNRELATED": SECRET},
    "password, no UTF-8": {"GALILEO_USERNAME": "ann", "GALILEO_PASSWORD": SECRET + "\udcff"},
    "password in a URL": {"GALILEO_API_KEY": SECRET, "GALILEO_API_URL": f"https://ann:{SECRET}@api.x.io"},
    "password in the console's": {"GALILEO_API_KEY": SECRET, "GALILEO_CONSOLE_URL": f"https://ann:{SECRET}@x.io"},
    "no scheme": {"GALILEO_API_KEY": SECRET, "GALILEO_API_URL": f"ann:{SECRET}@api.x.io"},
    "proxy": {"GALILEO_API_KEY": SECRET, "HTTPS_PROXY": f"socks5://ann:{SECRET}@proxy.x.io"},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_no_frame_holds_the_environment(monkeypatch, environment):
    """An error about the environment names the variable, and shows no value."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"API key|GALILEO_|password|HTTPS_PROXY") as caught:
        GalileoSessions(trust_env=True)
    assert [*our_frames(caught.value)]
    assert told_of(caught.value) == []


AUTHS = {
    "key": ApiKeyAuth(SECRET),
    "bearer": BearerAuth(SECRET),
    "basic": BasicAuth("ann", SECRET),
    "password": PasswordAuth("ann", SECRET),
}


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
@pytest.mark.parametrize("how", ["cancelled", "timeout"])
async def test_no_frame_of_a_cancelled_request_holds_a_secret(auth, how):
    """A cancellation, or a timeout of the caller's, has no frame with headers or a login."""

    async def count() -> None:
        async with asyncio.timeout(None) as timeout:
            timeouts.append(timeout)
            await galileo.count(PROJECT)

    timeouts: list[asyncio.Timeout] = []
    arguments = {"headers": {"X-Gateway": SECRET}}
    async with raw_server(silence) as server, client(server.url, auth=auth, **arguments) as galileo:
        counting = asyncio.create_task(count())
        await until(lambda: server.requests)
        if how == "cancelled":
            counting.cancel()
        else:
            timeouts[0].reschedule(0)
        with pytest.raises((asyncio.CancelledError, TimeoutError)) as caught:
            await counting
    assert [*our_frames(caught.value)]
    assert told_of(caught.value) == []


@pytest.mark.parametrize("trouble", ["401", "echo", "closed", "refused", "redirect", "no token"])
@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
async def test_no_frame_of_a_failed_request_holds_a_secret(auth, trouble):
    """A failed request has no frame with a secret, even if the server repeats the secret."""
    behave = {
        "401": http(401, SECRET, X_Echo=SECRET),
        "echo": http(200, f'{{"{SECRET}": "{SECRET}"}}', X_Echo=SECRET),
        "closed": http(),
        "refused": http(),
        "redirect": http(302, SECRET, Location=f"https://x.io/{SECRET}"),
        "no token": http(200, f'{{"access_token": "{SECRET} \\u00e9"}}'),
    }[trouble]
    async with raw_server(behave) as server:
        url = "http://127.0.0.1:9" if trouble == "refused" else server.url
        async with client(url, auth=auth, retry=Retry(attempts=1), headers={"X-Gateway": SECRET}) as galileo:
            if trouble == "closed":
                await galileo.close()
            with pytest.raises(GalileoError) as caught:
                await galileo.count(PROJECT)
    assert told_of(caught.value) == []


async def test_no_frame_of_a_proxied_request_holds_a_secret():
    """A request through a proxy has no frame with its password, even if it is cancelled."""
    async with raw_server(silence) as server:
        way = {"proxy": f"http://ann:{SECRET}@{server.url.removeprefix('http://')}"}
        for proxy in (way, {"proxy": f"http://ann:{SECRET}@127.0.0.1:9"}):
            async with client("https://api.x.io", auth=ApiKeyAuth(SECRET), retry=Retry(attempts=1), **proxy) as galileo:
                with pytest.raises((TimeoutError, GalileoError)) as caught:
                    await asyncio.wait_for(galileo.count(PROJECT), 0.1)
            assert told_of(caught.value) == []


@pytest.mark.parametrize("where", ["trace_configs", "middlewares"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LookupError, TransportError),
        (ValueError, TransportError),
        (OSError, TransportError),
        (partial(ExceptionGroup, "several", [KeyError(SECRET)]), TransportError),
        (OwnError, OwnError),
        (asyncio.CancelledError, asyncio.CancelledError),
    ],
    ids=["LookupError", "ValueError", "OSError", "ExceptionGroup", "GalileoError", "CancelledError"],
)
async def test_what_a_session_raises_is_a_transport_error_without_secrets(where, error, expected):
    """Whatever a TraceConfig or a middleware raises becomes a TransportError, and no frame has the key."""

    async def fail(*_: object) -> None:
        raise error(SECRET) if isinstance(error, type) else error()

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(fail)
    async with aiohttp.ClientSession(**{where: [trace if where == "trace_configs" else fail]}) as session:
        arguments = {"auth": AUTHS["key"], "session": session, "retry": Retry(attempts=1)}
        async with client("http://127.0.0.1:9", **arguments) as galileo:
            with pytest.raises(expected) as caught:
                await galileo.count(PROJECT)
    assert [*our_frames(caught.value)]
    if expected is TransportError:
        assert told_of(caught.value) == []


# ---- Secret ----------------------------------------------------------------------------------------------------------


def test_a_secret_has_no_part_that_can_be_shown():
    """Text, formats and reprs of a Secret are `***`; slices, joins, lengths and sums are type errors."""
    secret = Secret(SECRET)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:.5}", f"{secret:>200}", "%s" % secret, repr([secret])]  # noqa: UP031
    assert {text.strip("[]'") for text in shown} == {"***"}
    impossible: list[Callable[[], object]] = [
        lambda: secret[:3],  # type: ignore[index]
        lambda: "".join([secret]),  # type: ignore[list-item]
        lambda: len(secret),  # type: ignore[arg-type]
        lambda: "Bearer " + secret,  # type: ignore[operator]
        lambda: [*secret],  # type: ignore[misc]
        lambda: vars(secret),
    ]
    for use in impossible:
        with pytest.raises(TypeError) as caught:
            use()
        assert SECRET[:5] not in str(caught.value)
    assert not isinstance(secret, str)
    assert secret.reveal() == SECRET


def test_a_secret_compares_and_pickles():
    """Secrets are equal to secrets of the same value alone, and pickled credentials come back equal."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert (Secret("a") == "a") is False
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    for auth in AUTHS.values():
        assert pickle.loads(pickle.dumps(auth)) == auth
        assert attrs.evolve(auth) == auth
        assert SECRET not in repr(attrs.asdict(auth))
    assert ApiKeyAuth(SECRET).key.reveal() == SECRET
    assert ApiKeyAuth(Secret(SECRET)) == ApiKeyAuth(SECRET)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"api_key": Secret("k3y-5f0c")}, "Galileo-API-Key: k3y-5f0c"),
        ({"api_key": "k", "headers": {"X-Team": Secret("bill")}}, "X-Team: bill"),
        ({"api_key": "k", "headers": Secret({"X-Team": "bill"})}, "X-Team: bill"),
        ({"api_key": "k", "headers": Secret({"X-Team": Secret("bill")})}, "X-Team: bill"),
        ({"auth": BasicAuth(Secret("ann"), Secret("pw"))}, f"Authorization: Basic {b64encode(b'ann:pw').decode()}"),
        ({"auth": PasswordAuth(Secret("ann"), Secret("pw"))}, "Authorization: Bearer t0ken"),
    ],
    ids=["key", "header", "headers", "both", "basic", "password"],
)
async def test_a_secret_can_be_given(arguments, line):
    """A Secret can be given wherever a secret can be, so that the caller's frames hold no plain secret either."""
    async with raw_server(answers(http(body='{"access_token": "t0ken", "total_count": 7}'))) as server:
        async with GalileoSessions(base_url=Secret(server.url), **arguments) as galileo:
            assert await galileo.count(PROJECT) == 7
    assert f"\r\n{line}\r\n".encode() in server.requests[-1]
    assert len(server.requests) == 1 or server.requests[0].endswith(b"\r\n\r\nusername=ann&password=pw")
