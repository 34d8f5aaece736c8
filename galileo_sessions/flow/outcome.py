"""What an answer, or its absence, says about the service."""

from math import inf
from typing import Literal

from attrs import define

from galileo_sessions import errors

_FAILED = frozenset({408, 425, 500, 504})
# 520 to 524: a proxy got no answer.
_REFUSED = frozenset({429, 502, 503, 520, 521, 522, 523, 524, 529})


@define  # frozen would take three times as long to make
class Outcome:
    """
    The outcome of a request.

    Args:
        meaning: success: the service did its work, even if the answer is a 404.
            refused: the service, or a gateway, didn't accept the request, or asks to send it again
                later.
            failed: the service failed, or didn't answer in time.
            ignored: the attempt says nothing about the service, as with an untrusted certificate.
        latency: Seconds from sending to the last byte, or None where they say nothing about the
            service's load.
        retry_after: Seconds to wait, by the response's Retry-After; 0 without one.
        cost: Attempts used up if the failure is the query's own: 2 after a timeout or a 504, which
            took the service's time as well.
        is_unreachable: Whether the connection was refused at an address where nothing has ever
            answered.
        is_count: Whether it is that of a count, and not of a request for columns.
    """

    meaning: Literal["success", "refused", "failed", "ignored"]
    latency: float | None = None
    retry_after: float = 0.0
    cost: int = 1
    is_unreachable: bool = False
    is_count: bool = True

    @property
    def is_refusal(self) -> bool:
        """Whether the service refused the request, so that it may take the next one."""
        return self.meaning == "refused"


IGNORED = Outcome("ignored")
UNSENT = Outcome("ignored")
"""That of a permit for which no request was sent."""


def outcome_of(
    error: errors.GalileoError, longest: float = inf, *, has_answered: bool = True
) -> Outcome:
    """
    The outcome of an attempt that ended with this error.

    Args:
        error: The error.
        longest: The most seconds of a Retry-After that is a date, if the response has no Date: two
            clocks can differ.
        has_answered: Whether anything has ever answered at the address.
    """
    if errors.is_permanent(error) or isinstance(error, errors.TLSError):
        return IGNORED if isinstance(error, errors.ConnectError) else Outcome("success")
    match error:
        case errors.ResponseError():
            return _of_response(error, longest)
        case errors.AttemptTimeoutError() | errors.ProtocolError():
            return Outcome("failed", cost=1 + isinstance(error, errors.AttemptTimeoutError))
        case errors.ConnectError():
            return Outcome("refused", is_unreachable=not has_answered)
        case errors.TransportError() | errors.DecodeError():
            return Outcome("refused")
        case _:
            return IGNORED


def _of_response(error: errors.ResponseError, longest: float) -> Outcome:
    asked = error.retry_after
    if asked is not None and _is_date_of_another_clock(error):
        asked = min(asked, longest)
    if _is_refusal(error):
        return Outcome("refused", retry_after=asked or 0.0)
    if error.status in _FAILED:
        return Outcome("failed", cost=1 + (error.status == 504))
    return Outcome("success")


def _is_refusal(error: errors.ResponseError) -> bool:
    if error.status in _FAILED and error.retry_after is not None:
        return True
    return error.status in _REFUSED or bool(error.retriable and error.status >= 500)


def _is_date_of_another_clock(error: errors.ResponseError) -> bool:
    return ":" in error.headers.get("retry-after", "") and "date" not in error.headers
