"""Another flow control, to compare ours with."""

from typing import Any
from unittest import mock

from galileo_sessions.flow import control
from galileo_sessions.flow.control import FlowControl
from galileo_sessions.flow.width import Width


class Aimd(Width):
    """
    Additive increase, multiplicative decrease of the requests at once, as in TCP and in most adaptive clients.

    Until the first refusal each answer adds a request, also after what was learned is forgotten; then each round of
    them does. A refusal leaves 0.85 of the width; what was sent before it doesn't cut again. There is never a rate,
    since each request counts as a probe of the width.
    """

    def begin(self, width: int) -> None:
        super().begin(width)
        self.answered, self.was_refused = 0, False

    def forget(self) -> None:
        self.begin(self.initial)

    def passed(self, level: int, round_: int, latency: float | None) -> None:
        self.latency = latency or self.latency
        if 2 * level >= self.limit:
            self.limit = min(self.maximum, self.limit + (1 / self.limit if self.was_refused else 1))

    def refused(self, round_: int) -> None:
        self.limit, self.round, self.was_refused = max(1.0, 0.85 * self.limit), self.round + 1, True


def aimd(*arguments: Any, **named: Any) -> FlowControl:
    """A flow control with that in place of our width and rate; the breaker and the noise are ours."""
    with mock.patch.object(control, "Width", Aimd):
        return FlowControl(*arguments, **named)
