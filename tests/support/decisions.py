"""Decisions about retries without a clock: errors, and what decides about them."""

from datetime import UTC, datetime

from galileo_sessions import AttemptTimeoutError, ConnectError, DisconnectedError, ProtocolError, ResponseError, Retry
from galileo_sessions.api.responses import Response, error_of
from galileo_sessions.errors import GalileoError
from galileo_sessions.flow.policy import FirstAttempts, Retries
from galileo_sessions.flow.verdict import verdict_on

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)

TRANSPORT = {
    "connect": ConnectError("x"),
    "disconnect": DisconnectedError("x"),
    "timeout": AttemptTimeoutError("x", phase="response"),
    "protocol": ProtocolError("x"),
}


def status(number: int, **headers: str) -> ResponseError:
    """The error of a response; `Retry_After="1"` sets the header Retry-After."""
    return error_of(Response(number, {name.replace("_", "-"): value for name, value in headers.items()}, b""))


def most(seconds: float) -> float:
    """Chooses the longest wait."""
    return seconds


def failing(share: float) -> FirstAttempts:
    """What is known after very many first attempts of others, of which this share failed, and a failed one."""
    return FirstAttempts(1e6 + 1, share * 1e6 + 1, number=1)


def waits_of(
    error: GalileoError,
    policy: Retry = Retry(),  # noqa: B008  # frozen
    *,
    share: float = 0.01,
    has_answered: bool = False,
    interactive: bool = False,
    draw=most,
    took: float = 0.0,
    at_most: int = 1_000,
) -> list[float]:
    """
    The waits of a count whose attempts all end with the same error, until it is given up.

    Args:
        error: What each attempt ends with.
        policy: Decides.
        share: Of the other counts whose first attempts failed.
        has_answered: Whether the service has answered before.
        interactive: Whether somebody awaits this count alone.
        draw: Chooses each wait, up to its argument.
        took: Seconds of each attempt.
        at_most: Waits after which to stop.
    """
    others, waits, now = failing(share), list[float](), 100.0
    retries = Retries(policy, interactive, draw, number=1, since=now, until=now + policy.patience)
    while len(waits) < at_most:
        wait = retries.next_wait(verdict_on(error), now, others, has_answered=has_answered)
        if wait is None:
            break
        waits.append(wait)
        now += wait + took
    return waits
