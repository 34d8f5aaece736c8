"""What a failed attempt says about the service."""

from galileo_sessions import errors
from galileo_sessions.api.responses import is_final
from galileo_sessions.flow.outcome import IGNORED, Outcome

_FAILED = frozenset({408, 425, 500, 504})
_REFUSED = frozenset({502, 503, 520, 521, 522, 523, 524, 529})  # 520 and above: a proxy got no answer from the service


def verdict_on(error: errors.GalileoError) -> Outcome:
    """The outcome of an attempt with this error."""
    if is_final(error):
        return Outcome("success")
    match error:
        case errors.ResponseError(status=status, retry_after=asked):
            if status == 429 or (status in _FAILED | _REFUSED and asked is not None):
                return Outcome("throttled", retry_after=asked)
            if status in _REFUSED:
                return Outcome("refused")
            return Outcome("failed", cost=2 if status == 504 else 1) if status in _FAILED else Outcome("success")
        case errors.AttemptTimeoutError():
            return Outcome("failed", cost=2)
        case errors.ProtocolError():
            return Outcome("failed")
        case errors.TLSError():
            return IGNORED
        case errors.TransportError() | errors.DecodeError():
            return Outcome("refused")
        case _:
            return IGNORED
