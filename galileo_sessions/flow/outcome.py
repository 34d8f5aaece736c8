"""What an answer, or its absence, says about the service."""

from math import inf
from typing import Literal, TypeAlias

from attrs import define

from galileo_sessions import errors
from galileo_sessions.api.responses import is_permanent

Meaning: TypeAlias = Literal["success", "refused", "failed", "ignored"]

_FAILED = frozenset({408, 425, 500, 504})
_REFUSED = frozenset({429, 502, 503, 520, 521, 522, 523, 524, 529})  # 520 to 524: a proxy got no answer


@define  # frozen would take three times as long to make
class Outcome:
    """
    The outcome of a request.

    Args:
        meaning: success: the service did its work, even if the answer is a 404.
            refused: the service, or a gateway, didn't accept the request, or asks to send it again later.
            failed: the service failed, or didn't answer in time.
            ignored: the attempt says nothing about the service, as with an untrusted certificate.
        latency: Seconds from sending to the last byte, or None where they say nothing about the service's load.
        retry_after: Seconds to wait, by the response's Retry-After; 0 without one.
        cost: Attempts used up if the failure is the query's own: 2 after a timeout or a 504, which took the service's
            time as well.
        is_unreachable: Whether the connection was refused at an address where nothing has ever answered.
        is_count: Whether it is that of a count, and not of a request for columns.
    """

    meaning: Meaning
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


def outcome_of(error: errors.GalileoError, most: float = inf, *, has_answered: bool = True) -> Outcome:
    """
    The outcome of an attempt that ended with this error.

    Args:
        error: The error.
        most: The most seconds of a Retry-After that is a date, if the response has no Date: two clocks can differ.
        has_answered: Whether anything has ever answered at the address.
    """
    if is_permanent(error) or isinstance(error, errors.TLSError):
        return IGNORED if isinstance(error, errors.ConnectError) else Outcome("success")
    match error:
        case errors.ResponseError(status=status, retry_after=asked, retriable=retriable, headers=headers):
            if asked is not None and "date" not in headers and ":" in headers.get("retry-after", ""):
                asked = min(asked, most)
            if status in _REFUSED or (status in _FAILED and asked is not None) or (retriable and status >= 500):
                return Outcome("refused", retry_after=asked or 0.0)
            return Outcome("failed", cost=2 if status == 504 else 1) if status in _FAILED else Outcome("success")
        case errors.AttemptTimeoutError():
            return Outcome("failed", cost=2)
        case errors.ProtocolError():
            return Outcome("failed")
        case errors.TransportError() | errors.DecodeError():
            return Outcome("refused", is_unreachable=isinstance(error, errors.ConnectError) and not has_answered)
        case _:
            return IGNORED
