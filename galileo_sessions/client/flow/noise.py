"""
Refusals that come however little is sent, such as those of one broken replica in ten: how many of them are spared.

Theory of operation
===================

A refusal means that the service has too much to do, so the limiter cuts its limits. Where one request in ten is refused
whatever the load, that helps nobody, and cut follows cut. So successes pay for refusals: at first 64 for one, which is
then spared. Whether more are to be spared is learned by trial::

    cuts that don't help    each comes at a lower load than the last one: six of them, less those that helped
    a trial                 the limits grow as in slow start; spared is three times the share that was refused so far
    it paid                 three times the load, and 80 successes, before the trial ended with a cut: the share stays
    it didn't               refusals come of the load: back to the limits of before; the next trial needs three times
                            as many cuts that don't help

A load is what limits, in requests a second: the rate, or the width over the latency. A service that has a limit ends a
trial after some dozens of requests, for it refuses more than is spared. A share that stays shrinks by a tenth with each
cut that helps, so that it's given up where it costs something.

Invariants: 0 <= saved <= 5; 1/64 <= share <= 3/4; where 1/64 or less is refused nothing is tried.
"""

from math import inf

from attrs import define

_ANYBODYS = 1 / 64  # of the successes: as many refusals say nothing
_MOST = 0.75  # refusals that a success pays for, at most
_SAVED, _START = 5.0, 3.0  # refusals that may be paid for beforehand, at most, and when a trial begins
_REACHED = 0.93  # of the load of the last cut: a cut from here on has helped until now
_FRUITLESS, _MORE = 6, 3  # cuts that don't help until a trial, and times as many after one that didn't pay
_MOST_CUTS = 54  # that don't help until a trial, however many didn't pay
_TIMES = 3.0  # the share that was seen: refusals are quicker than answers, so that growth makes them look more
_PAID, _ENOUGH, _SURE = 3.0, 80, 16  # times the load, and successes, of a trial that paid; and that tell that it didn't
_SEEN, _TOO_MANY = 64, 0.4  # answers over which the share is averaged; above it, it is no noise


@define
class Noise:
    """Which refusals are spared."""

    _share: float = _ANYBODYS
    _saved: float = 1.0
    _seen: float = 0.0
    _answers: int = 0
    _last_cut: float = inf
    _fruitless: int = 0
    _enough: int = _FRUITLESS
    _passed: int = 0
    _tried_from: float | None = None

    def succeeded(self) -> None:
        """Counts a success, which pays for a part of a refusal."""
        self._saved = min(_SAVED, self._saved + self._share)
        self._passed += 1
        self._count(0.0)

    def is_spared(self) -> bool:
        """Counts a refusal; returns whether it is paid for."""
        self._count(1.0)
        if self._saved < 1:
            return False
        self._saved -= 1
        return True

    def is_time_to_try(self, load: float) -> bool:
        """Counts a cut at such a load; returns whether cuts have not helped for long enough."""
        if load < _REACHED * self._last_cut:
            self._fruitless += 1
        else:
            self._fruitless = max(0, self._fruitless - 1)
            self._share = max(_ANYBODYS, 0.9 * self._share)
        self._last_cut = load
        return self._fruitless >= self._enough and _ANYBODYS < self._seen < _TOO_MANY

    def begin_trial(self, load: float) -> float:
        """Spares more from now on; returns the share of the answers that were refused, of those seen last."""
        odds = self._seen / (1 - self._seen)
        self._share, self._saved = min(_MOST, max(_ANYBODYS, _TIMES * odds)), _START
        self._tried_from, self._passed = load, 0
        return self._seen

    def ends_trial(self, load: float) -> bool:
        """Ends a trial, if there is one, with the load that it has reached; returns whether it hasn't paid."""
        if self._tried_from is None:
            return False
        paid = self._passed >= _ENOUGH and load >= _PAID * self._tried_from
        if paid:
            self._enough = _FRUITLESS
        else:
            self._share = _ANYBODYS
            self._enough = min(_MOST_CUTS, self._enough * (_MORE if self._passed >= _SURE else 1))
        self._tried_from, self._last_cut, self._fruitless = None, load, 0
        return not paid

    def nobody_passes(self) -> None:
        """Forgets the cuts that didn't help: the service is away, or a quota used up."""
        self._fruitless = 0

    def _count(self, refused: float) -> None:
        self._answers = min(_SEEN, self._answers + 1)
        self._seen += (refused - self._seen) / self._answers
