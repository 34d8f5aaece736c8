"""What the error of an attempt says about the service, and about another attempt."""

from attrs import frozen

from galileo_sessions import errors
from galileo_sessions.client.flow.outcome import Meaning
from galileo_sessions.client.responses import is_final

_FAILED = frozenset({408, 425, 500, 504})
_REFUSED = frozenset({502, 503, 520, 521, 522, 523, 524, 529})  # from 520 on by proxies: the service didn't answer them


@frozen
class Verdict:
    """
    What an error says about the service, and about another attempt.

    Args:
        meaning: For the flow control: of `Outcome`. After a success, such as a 404, or an ignored error, such as an
            untrusted certificate, another attempt would bring the same.
        retry_after: Seconds that the service asked to wait, or None.
        cost: Attempts used up if only this count fails: 2 after a timeout, which took the service's time as well.
    """

    meaning: Meaning
    retry_after: float | None = None
    cost: int = 1

    @property
    def is_final(self) -> bool:
        """Whether another attempt would bring the same."""
        return self.meaning in ("success", "ignored")


def verdict_on(error: errors.GalileoError) -> Verdict:
    """The verdict on the error of an attempt."""
    if is_final(error):
        return Verdict("success")
    match error:
        case errors.ResponseError():
            return _verdict_on_status(error.status, error.retry_after)
        case errors.AttemptTimeoutError():
            return Verdict("failed", cost=2)
        case errors.ProtocolError():
            return Verdict("failed")
        case errors.TLSError():
            return Verdict("ignored")
        case errors.TransportError() | errors.DecodeError():
            return Verdict("refused")
        case _:
            return Verdict("ignored")


def _verdict_on_status(status: int, retry_after: float | None) -> Verdict:
    if status == 429 or (status in _FAILED | _REFUSED and retry_after is not None):
        return Verdict("throttled", retry_after)
    if status in _REFUSED:
        return Verdict("refused")
    return Verdict("failed", cost=2 if status == 504 else 1) if status in _FAILED else Verdict("success")
