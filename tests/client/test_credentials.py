"""The life of a login's token, with a clock of the test's own."""

import asyncio
import json
from base64 import urlsafe_b64encode

import pytest

from galileo_sessions import ConfigurationError, LoginError
from galileo_sessions.client.credentials import Tokens, lifetime


def jwt(**claims: object) -> str:
    """A token whose claims can be read."""
    part = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{part}.x"


class Service:
    """A login that is counted, and a clock that is set."""

    def __init__(self, *outcomes: object, now: float = 1000.0) -> None:
        self.outcomes = list(outcomes)
        self.now = now
        self.logins = 0
        self.release = asyncio.Event()
        self.release.set()
        self.tokens = Tokens(self.login, lambda: self.now)

    async def login(self) -> str:
        """Gives the outcomes one after another, the last one for ever."""
        self.logins += 1
        await self.release.wait()
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (jwt(exp=1600), 600),
        (jwt(exp=1600.5), 600.5),
        (jwt(exp="1600"), 600),
        (jwt(exp=900), float("inf")),
        (jwt(exp=None), float("inf")),
        (jwt(exp="soon"), float("inf")),
        (jwt(exp=float("nan")), float("inf")),
        (jwt(), float("inf")),
        ("opaque", float("inf")),
        ("a.b.c", float("inf")),
        ("a.é.c", float("inf")),
        ("a." + urlsafe_b64encode(b"[1]").decode() + ".c", float("inf")),
        ("a." + urlsafe_b64encode(b"[" * 100_000).decode() + ".c", float("inf")),
    ],
    ids=lambda value: str(value)[:12],
)
def test_the_life_of_a_token_is_read_from_its_exp(token, expected):
    """`exp` says when a JWT ends; whatever says nothing of use doesn't end."""
    assert lifetime(token, 1000) == expected


@pytest.mark.parametrize(("life", "renewed_after"), [(3600, 3300), (600, 300), (200, 100)])
async def test_a_token_is_renewed_before_its_end(life, renewed_after):
    """A token is renewed 300 s before its end, or after half its life if that is later."""
    service = Service(jwt(exp=1000 + life), "second")
    first = await service.tokens.get()
    service.now = 1000 + renewed_after - 1
    assert await service.tokens.get() == first
    service.now = 1000 + renewed_after
    assert await service.tokens.get() == "second"
    assert service.logins == 2


async def test_one_login_however_many_wait():
    """Those who ask while a login is under way get its token."""
    service = Service("token")
    assert await asyncio.gather(*(service.tokens.get() for _ in range(100))) == ["token"] * 100
    assert service.logins == 1


async def test_a_cancelled_waiter_takes_nothing_from_the_others():
    """Even the one who began the login may be cancelled."""
    service = Service("token")
    service.release.clear()
    first, second = (asyncio.create_task(service.tokens.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    service.release.set()
    assert await second == "token"
    assert first.cancelled()
    assert service.logins == 1


async def test_a_login_that_nobody_waits_for_ends():
    """When the last waiter is cancelled, nothing is left under way; the next one asks again."""
    service = Service("token")
    service.release.clear()
    only = asyncio.create_task(service.tokens.get())
    await asyncio.sleep(0)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    service.release.set()
    assert await service.tokens.get() == "token"
    assert service.logins == 2


async def test_a_refused_token_is_replaced_once():
    """All who met a 401 with the same token share one new login; a newer token isn't thrown away."""
    service = Service("old", "new")
    old = await service.tokens.get()
    assert await asyncio.gather(*(service.tokens.get(stale=old) for _ in range(100))) == ["new"] * 100
    assert await service.tokens.get(stale=old) == "new"
    assert service.logins == 2
    assert list(service.tokens.known) == ["old", "new"]


async def test_a_refused_password_is_remembered_for_30_seconds():
    """Each waiter gets an error of its own, and the service isn't asked again for 30 s."""
    service = Service(LoginError("no", status=401), "token")
    results = await asyncio.gather(*(service.tokens.get() for _ in range(100)), return_exceptions=True)
    assert results == [LoginError("no", status=401)] * 100
    assert len({id(result) for result in results}) == 100
    service.now += 29.9
    with pytest.raises(LoginError):
        await service.tokens.get()
    assert service.logins == 1
    service.now += 0.1
    assert await service.tokens.get() == "token"


async def test_closing_ends_a_login_under_way():
    """Nothing is left of a login when its client closes."""
    service = Service("token")
    service.release.clear()
    waiter = asyncio.create_task(service.tokens.get())
    await asyncio.sleep(0)
    await service.tokens.close()
    with pytest.raises(ConfigurationError, match="closed"):
        await waiter
