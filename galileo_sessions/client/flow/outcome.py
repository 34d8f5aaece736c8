"""What an answer, or its absence, says about the service."""

from typing import Literal, TypeAlias

from attrs import frozen

Meaning: TypeAlias = Literal["success", "refused", "throttled", "failed", "ignored"]


@frozen
class Outcome:
    """
    What came of a request.

    Args:
        meaning: success: the service did its work, be it only a 404.
            refused: it, or a gateway, didn't take the request.
            throttled: it asked to come later.
            failed: it broke down.
            ignored: this says nothing about the service, such as an untrusted certificate.
        latency: Seconds from sending to the last byte, or None where they say nothing about the service's load.
        retry_after: Seconds that the service asked to wait.
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
        """Whether another attempt would bring the same."""
        return self.meaning in ("success", "ignored")


IGNORED = Outcome("ignored")
