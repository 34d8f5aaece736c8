"""The life of a token, with clocks of the test's own."""

import asyncio
import gc
import json
from base64 import urlsafe_b64encode

import pytest

from galileo_sessions import (
    ConfigurationError,
    LoginError,
    RateLimitedError,
    Secret,
    ServerError,
)
from galileo_sessions.client.login import TokenCache, lifetime


async def idling() -> None:
    """Lets what is under way go on as far as it gets."""
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
        """Gives the outcomes one after another, the last one for ever."""
        self.logins += 1
        await self.release.wait()
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return Secret(str(outcome))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (jwt(exp=1600), 600),
        (jwt(exp=1600.5), 600.5),
        (jwt(exp="1600"), 600),
        (jwt(exp=900), float("inf")),
        (jwt(exp=10**400), float("inf")),
        (jwt(exp=1600, iat=1000), 600),
        (jwt(exp=1600, iat=1200), 400),
        (jwt(exp=900, iat=300), 600),
        (jwt(exp=900, iat=950), float("inf")),
        (jwt(exp=1600, iat="soon"), float("inf")),
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
    ids=[
        "seconds",
        "a fraction",
        "text",
        "past",
        "beyond a float",
        "issued now",
        "issued by a clock ahead",
        "past by a clock that is wrong",
        "past when issued",
        "issued at no number",
        "null",
        "no number",
        "NaN",
        "no exp",
        "opaque",
        "no Base64",
        "not ASCII",
        "a list",
        "too deep",
    ],
)
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
    """While a token is good, a renewal that fails or hangs is nobody's error; the next one comes later."""
    first = jwt(exp=2000)
    service = Login(first, *[ServerError("503", status=503)] * 4, "second")
    assert await service.get() == first
    service.now += 700
    for _ in range(50):
        assert await service.get() == first
        await idling()
        service.now += 0.1
    assert service.logins == 5  # at once, once more, then 1 and 2 s later
    service.release.clear()
    service.now += 60
    assert await service.get() == first  # a login hangs
    await idling()
    assert (await service.get(), service.logins) == (first, 6)
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


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_a_login_ends_with_its_last_waiter_or_the_client(how):
    """When the last waiter is cancelled, or the client is closed, no login stays under way."""
    before = asyncio.all_tasks()
    service = Login("token")
    service.release.clear()
    waiter = asyncio.create_task(service.get())
    await idling()
    if how == "closed":
        await service.tokens.close()
        assert asyncio.all_tasks() - before <= {waiter}
    else:
        waiter.cancel()
    await asyncio.wait([waiter])
    await idling()
    assert asyncio.all_tasks() == before


async def test_a_token_past_its_end_is_waited_for():
    """After a token's end counts wait for a renewal that is under way, and its failure is theirs."""
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


async def test_a_login_service_that_fails_is_asked_less_and_less():
    """A failed login is repeated once at once, then after 1, 2, 4 s and so on up to 30; meanwhile all get its error."""
    service = Login(ServerError("503", status=503))
    moments: list[float] = []
    for _ in range(1000):
        before = service.logins
        with pytest.raises(ServerError, match="503"):
            await service.get()
        if service.logins > before:
            moments.append(service.now - 1000)
        service.now += 0.125
    assert moments == [0, 0.125, 1.125, 3.125, 7.125, 15.125, 31.125, 61.125, 91.125, 121.125]


@pytest.mark.parametrize(("asked", "waited"), [(5.0, 5.0), (3600.0, 60.0), (0.0, 0.0), (None, 0.0)])
async def test_a_login_that_is_asked_to_wait(asked, waited):
    """A Retry-After of the login service is waited before the next login, up to 60 s."""
    service = Login(RateLimitedError("429", status=429, retry_after=asked), "token")
    with pytest.raises(RateLimitedError):
        await service.get()
    if waited:
        service.now += waited - 0.1
        with pytest.raises(RateLimitedError):
            await service.get()
        service.now += 0.1
    assert (await service.get(), service.logins) == ("token", 2)


async def test_a_success_forgets_the_failures():
    """After a login that succeeds, the next failure is again the first."""
    failed = ServerError("503", status=503)
    service = Login(failed, failed, "first", failed, "second")
    for _ in range(2):
        with pytest.raises(ServerError):
            await service.get()
    service.now += 1
    assert await service.get() == "first"
    service.tokens.invalidate(Secret("first"))
    with pytest.raises(ServerError):
        await service.get()
    assert await service.get() == "second"


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_wall_clock_that_jumps_changes_nothing(jump):
    """Setting the clock neither prolongs a refusal, nor ends a token, nor makes each count log in."""
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


async def test_a_cancellation_after_close_stays_one():
    """Who is cancelled while `close()` ends the login gets the cancellation, not an error of the client."""
    service = Login("token")
    service.release.clear()
    waiter = asyncio.create_task(service.get())
    await asyncio.sleep(0)
    closing = asyncio.create_task(service.tokens.close())
    await asyncio.sleep(0)
    waiter.cancel()
    await closing
    with pytest.raises(asyncio.CancelledError):
        await waiter


async def test_one_login_however_many_wait():
    """All who ask while a login is under way get its token."""
    service = Login("token")
    assert await asyncio.gather(*(service.get() for _ in range(100))) == ["token"] * 100
    assert service.logins == 1


async def test_a_cancelled_waiter_takes_nothing_from_the_others():
    """Cancelling a waiter, even the one who started the login, doesn't end the login for the others."""
    service = Login("token")
    service.release.clear()
    first, second = (asyncio.create_task(service.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    service.release.set()
    assert await second == "token"
    assert first.cancelled()
    assert service.logins == 1


async def test_a_login_that_nobody_waits_for_ends():
    """When the last waiter is cancelled, the login ends; the next one who asks starts another."""
    service = Login("token")
    service.release.clear()
    only = asyncio.create_task(service.get())
    await asyncio.sleep(0)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    service.release.set()
    assert await service.get() == "token"
    assert service.logins == 2


async def test_a_refused_token_is_replaced_once():
    """All who got a 401 with the same token share one new login, and a newer token is kept."""
    service = Login("old", "new")
    old = Secret(await service.get())
    service.tokens.invalidate(old)
    assert await asyncio.gather(*(service.get() for _ in range(100))) == ["new"] * 100
    service.tokens.invalidate(old)
    assert await service.get() == "new"
    assert service.logins == 2
    assert service.tokens.recent == (Secret("old"), Secret("new"))


async def test_a_refused_password_is_remembered_for_30_seconds():
    """Each waiter gets its own error, and for 30 s no other login is sent."""
    service = Login(LoginError("no", status=401), "token")
    results = await asyncio.gather(*(service.get() for _ in range(100)), return_exceptions=True)
    assert results == [LoginError("no", status=401)] * 100
    assert len({id(result) for result in results}) == 100
    service.now += 29.9
    with pytest.raises(LoginError):
        await service.get()
    assert service.logins == 1
    service.now += 0.1
    assert await service.get() == "token"


async def test_closing_ends_a_login_under_way():
    """Closing cancels a login under way."""
    service = Login("token")
    service.release.clear()
    waiter = asyncio.create_task(service.get())
    await asyncio.sleep(0)
    await service.tokens.close()
    with pytest.raises(ConfigurationError, match="closed"):
        await waiter
