"""Decisions about retries without a clock: errors, and what decides about them."""

from datetime import UTC, datetime

from galileo_sessions import (
    AttemptTimeoutError,
    ConnectError,
    DisconnectedError,
    ProtocolError,
    ResponseError,
    Retry,
)
from galileo_sessions.client.policy import RetryBudget, RetryDecisions
from galileo_sessions.client.responses import Response, error_of

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)

TRANSPORT = {
    "connect": ConnectError("x"),
    "disconnect": DisconnectedError("x"),
    "timeout": AttemptTimeoutError("x", phase="response"),
    "protocol": ProtocolError("x"),
}


def status(number: int, **headers: str) -> ResponseError:
    """The error of an answer; `Retry_After="1"` sets the header Retry-After."""
    return error_of(Response(number, {name.replace("_", "-"): value for name, value in headers.items()}, b""))


def most(seconds: float) -> float:
    """Chooses the longest wait."""
    return seconds


def retrying(policy: Retry = Retry(), budget: RetryBudget | None = None, draw=most) -> RetryDecisions:  # noqa: B008  # frozen
    """The decisions for one count, with the longest waits by default."""
    return RetryDecisions(policy, budget or RetryBudget(), draw)
