"""What an answer, or its absence, says about the service."""

from typing import Literal, TypeAlias

from attrs import frozen

Meaning: TypeAlias = Literal["success", "refused", "throttled", "failed", "ignored"]


@frozen
class Outcome:
    """
    The outcome of a request.

    Args:
        meaning: success: the service did its work, even if the answer is a 404.
            refused: the service, or a gateway, didn't accept the request.
            throttled: the response was a 429, or another refusal or failure with a Retry-After.
            failed: the service failed, or didn't answer in time.
            ignored: the attempt says nothing about the service, as with an untrusted certificate.
        latency: Seconds from sending to the last byte, or None where they say nothing about the service's load.
        retry_after: Seconds to wait, by the response's Retry-After.
        allowance: How many more requests the service takes, and for how many seconds.
        cost: Attempts used up if only this count fails: 2 after a timeout, which took the service's time as well.
    """

    meaning: Meaning
    latency: float | None = None
    retry_after: float | None = None
    allowance: tuple[int, float] | None = None
    cost: int = 1

    @property
    def is_final(self) -> bool:
        """Whether another attempt would have the same outcome."""
        return self.meaning in ("success", "ignored")


IGNORED = Outcome("ignored")
