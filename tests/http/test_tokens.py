"""The life of a token, with clocks that the tests set."""

import asyncio
import gc
import json
from base64 import urlsafe_b64encode

import pytest

from galileo_sessions import ConfigurationError, LoginError, Secret, ServerError
from galileo_sessions.http.auth import TokenCache, lifetime


async def idling() -> None:
    """Lets all other tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


def jwt(**claims: object) -> str:
    """A token with claims that can be read."""
    part = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{part}.x"


class Login:
    """Counts logins, by a clock that the test sets."""

    def __init__(self, *outcomes: object, now: float = 1000.0) -> None:
        self.outcomes = list(outcomes)
        self.now = self.wall = now
        self.logins = 0
        self.release = asyncio.Event()
        self.release.set()
        self.tokens = TokenCache(self.log_in, lambda: self.now, lambda: self.wall)

    async def get(self) -> str:
        """The token, in plain text."""
        return (await self.tokens.get()).reveal()

    async def log_in(self) -> Secret[str]:
        """Gives the outcomes in order, the last one repeatedly."""
        self.logins += 1
        await self.release.wait()
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return Secret(str(outcome))


LIVES = {
    "seconds": (jwt(exp=1600), 600),
    "a fraction": (jwt(exp=1600.5), 600.5),
    "text": (jwt(exp="1600"), 600),
    "past": (jwt(exp=900), float("inf")),
    "beyond a float": (jwt(exp=10**400), float("inf")),
    "issued now": (jwt(exp=1600, iat=1000), 600),
    "issued by a clock ahead": (jwt(exp=1600, iat=1200), 400),
    "past by a clock that is wrong": (jwt(exp=900, iat=300), 600),
    "past when issued": (jwt(exp=900, iat=950), float("inf")),
    "issued at no number": (jwt(exp=1600, iat="soon"), float("inf")),
    "null": (jwt(exp=None), float("inf")),
    "no number": (jwt(exp="soon"), float("inf")),
    "NaN": (jwt(exp=float("nan")), float("inf")),
    "no exp": (jwt(), float("inf")),
    "opaque": ("opaque", float("inf")),
    "no Base64": ("a.b.c", float("inf")),
    "not ASCII": ("a.é.c", float("inf")),
    "a list": ("a." + urlsafe_b64encode(b"[1]").decode() + ".c", float("inf")),
    "too deep": ("a." + urlsafe_b64encode(b"[" * 100_000).decode() + ".c", float("inf")),
}


@pytest.mark.parametrize(("token", "expected"), LIVES.values(), ids=LIVES)
def test_the_life_of_a_token_is_read_from_its_exp(token, expected):
    """`exp` limits the life of a JWT; a token without a usable one doesn't expire."""
    assert lifetime(Secret(token), 1000) == expected


@pytest.mark.parametrize(("life", "renewed_after"), [(3600, 3300), (600, 300), (200, 100), (1, 5)])
async def test_a_token_is_renewed_before_its_end(life, renewed_after):
    """A token is renewed 300 s before its end, or after half its life if that is later, and never within 5 s."""
    service = Login(jwt(exp=1000 + life), "second")
    first = await service.get()
    service.now = 1000 + renewed_after - 0.1
    assert await service.get() == first
    await idling()
    assert service.logins == 1
    service.now = 1000 + renewed_after
    assert await service.get() == first  # nobody waits for the new one
    await idling()
    assert await service.get() == "second"
    assert service.logins == 2


async def test_a_renewal_that_fails_costs_no_count():
    """While a token is valid, a renewal that fails or hangs affects no count; the next one comes 30 s later."""
    first = jwt(exp=2000)
    service = Login(first, *[ServerError("503", status=503)] * 2, LoginError("no", status=401), "second")
    assert await service.get() == first
    service.now += 700
    for _ in range(700):
        assert await service.get() == first
        await idling()
        service.now += 0.1
    assert service.logins == 4  # at 700, 730 and 760 s
    service.release.clear()
    service.now += 30
    assert await service.get() == first  # a login hangs
    await idling()
    assert (await service.get(), service.logins) == (first, 5)
    service.release.set()
    await idling()
    assert await service.get() == "second"


async def test_a_renewal_that_nobody_waits_for_fails_in_silence():
    """The error of a background renewal is retrieved: the event loop complains of nothing."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    service = Login(jwt(exp=2000), ServerError("503", status=503))
    await service.get()
    service.now += 800
    await service.get()
    await idling()
    gc.collect()
    assert (service.logins, complaints) == (2, [])


async def test_a_token_past_its_end_is_waited_for():
    """Once a token has expired, counts wait for the renewal in progress, and get its error."""
    service = Login(jwt(exp=2000), ServerError("503", status=503), "second")
    await service.get()
    service.release.clear()
    service.now += 800
    await service.get()
    service.now += 300
    late = asyncio.create_task(service.get())
    await idling()
    service.release.set()
    with pytest.raises(ServerError):
        await late
    assert await service.get() == "second"
    assert service.logins == 3


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_wall_clock_that_jumps_changes_nothing(jump):
    """Setting the wall clock changes neither the life of a token nor how long a refusal is remembered."""
    service = Login(LoginError("no", status=401), jwt(exp=4600 + jump), "second")
    with pytest.raises(LoginError):
        await service.get()
    service.wall += jump
    service.now += 29.9
    with pytest.raises(LoginError):
        await service.get()
    service.now += 0.1
    token = await service.get()
    service.wall -= jump
    for _ in range(100):
        service.now += 1
        assert await service.get() == token
    await idling()
    assert service.logins == 2


async def test_one_login_however_many_wait():
    """All counts that wait for a login get its token or its error; after an error the next count logs in."""
    service = Login(ServerError("503", status=503), "token")
    results = await asyncio.gather(*(service.get() for _ in range(100)), return_exceptions=True)
    assert results == [ServerError("503", status=503)] * 100
    assert service.logins == 1
    assert await asyncio.gather(*(service.get() for _ in range(100))) == ["token"] * 100
    assert service.logins == 2


async def test_a_cancelled_waiter_takes_nothing_from_the_others():
    """Cancelling one count, even the one that started the login, doesn't end the login for the others."""
    service = Login("token")
    service.release.clear()
    first, second = (asyncio.create_task(service.get()) for _ in range(2))
    await idling()
    first.cancel()
    await idling()
    service.release.set()
    assert await second == "token"
    assert first.cancelled()
    assert service.logins == 1


async def test_a_login_that_nobody_waits_for_ends():
    """When the last count that waits is cancelled, the login ends; the next count starts another one."""
    before = asyncio.all_tasks()
    service = Login("token")
    service.release.clear()
    only = asyncio.create_task(service.get())
    await idling()
    only.cancel()
    await asyncio.wait([only])
    service.release.set()
    assert await service.get() == "token"
    assert (only.cancelled(), service.logins) == (True, 2)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("turns", [1, 5], ids=["that hasn't begun", "in progress"])
async def test_closing_ends_a_login(turns):
    """Closing ends a login; counts that wait get an error, or their own cancellation."""
    before = asyncio.all_tasks()
    service = Login("token")
    service.release.clear()
    waiter, cancelled = (asyncio.create_task(service.get()) for _ in range(2))
    for _ in range(turns):
        await asyncio.sleep(0)
    closing = asyncio.create_task(service.tokens.close())
    await asyncio.sleep(0)
    cancelled.cancel()
    await closing
    assert asyncio.all_tasks() - before <= {waiter, cancelled}
    with pytest.raises(ConfigurationError, match="closed"):
        await waiter
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_a_refused_token_is_replaced_once():
    """Counts that got a 401 with the same token share one new login, and a newer token is kept."""
    service = Login("old", "new")
    old = Secret(await service.get())
    service.tokens.invalidate(old)
    assert await asyncio.gather(*(service.get() for _ in range(100))) == ["new"] * 100
    service.tokens.invalidate(old)
    assert await service.get() == "new"
    assert service.logins == 2


async def test_a_refused_password_is_remembered_for_30_seconds():
    """All counts get the refusal, and no other login is sent for 30 s."""
    service = Login(LoginError("no", status=401), "token")
    results = await asyncio.gather(*(service.get() for _ in range(100)), return_exceptions=True)
    assert results == [LoginError("no", status=401)] * 100
    service.now += 29.9
    with pytest.raises(LoginError):
        await service.get()
    assert service.logins == 1
    service.now += 0.1
    assert await service.get() == "token"
