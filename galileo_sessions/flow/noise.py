"""
Noise: refusals that come however little is sent, such as those of one broken replica in ten.

Theory of operation
===================

A refusal that the load explains must narrow the limits, and one that it doesn't explain must not. A single refusal
doesn't show which it is, so refusals have a budget: for every sixteen answers, one refusal is free, and up to four can
be saved up. At worst, this costs a sixteenth more requests, and a few stray refusals don't slow the client down.

More noise than that would still cut the rate again and again. But if cuts don't help, the load isn't the reason. So a
trial begins once the refused load has fallen to two fifths of the highest one, while at most four fifths of the fresh
queries are refused, and no three in a row: a quota that is used up refuses all, noise only some. On trial, twice as
many refusals are free as there were before. A trial has two steps: first the rate is sixteen times the load, then there
is none. A step is right if 64 of its requests are answered before the next cut. If it is wrong, the load goes back to
what it was before that step, or to what was answered in a second of that step if that is more, and at least 16 requests
were. It never goes above what was refused. A quota that is used up ends a trial as wrong, and an outage begins to count
its answers anew.

Why two steps: clients that share a service use all that it takes. The first step of one of eight can seem right, while
the others are refused for it; the second one won't seem so. With one step, eight clients at 200 requests a second take
1.10 times the ideal instead of 1.03, and send 1.28 requests for each count instead of 1.19.

The highest load is forgotten when the breaker opens; all of this is forgotten after an outage of more than a second,
unless a quota is known.

*What it earns.* Without the savings, the slowest 3 % of random services take 37 times the ideal instead of 4.7, and
without the trial 13 times; 11 and 10 of 612 services lose counts instead of 7. If a wrong step taught nothing, and a
trial began only at two fifths, the last healthy one of 1,600 projects, a quarter of them bad, would come after 680 s
beside a limit of twenty a second, the median of twelve runs, instead of after 99 s.
"""

from attrs import define

_FREE = 16  # answers that pay for one refusal
_SAVED = 4.0  # refusals that can be paid for beforehand
ANSWERS = 64
"""The refused share is averaged over so many answers. They also prove a trial right, and an outage over."""
TRIAL_FACTOR = 16
"""The rate of a trial's first step, relative to the load at which it begins."""
_FEW = 0.4  # how far the load falls before a trial; noise can explain twice that share of refusals


@define(eq=False, repr=False)
class Noise:
    """The budget for refusals."""

    share: float = 0.0
    """The share of the last answers that were refused, from 0 to 1."""
    is_on_trial: bool = False
    """Whether more is sent, to see whether refusals depend on the load."""
    fresh_share: float = 0.0
    """The share of the last answers to fresh queries that were refused. Those in trouble are refused more often."""
    highest: float = 0.0
    """The highest load, in requests a second, at which fewer than half of the fresh queries were refused."""
    _answers: int = 0
    _fresh_answers: int = 0
    _saved: float = _SAVED
    _most: float = _SAVED
    _per_answer: float = 1 / _FREE
    _tried_at: float = 0.0
    _is_second: bool = False  # whether the trial is in its second step

    def count(self, *, refused: bool, is_fresh: bool) -> None:
        """Counts an answer or a refusal. Each answer pays for a part of a refusal."""
        self._answers += self._answers < ANSWERS
        self.share += (refused - self.share) / self._answers
        if is_fresh:
            self._fresh_answers += self._fresh_answers < ANSWERS
            self.fresh_share += (refused - self.fresh_share) / self._fresh_answers
        if not refused and self._saved < self._most:
            self._saved = min(self._most, self._saved + self._per_answer)

    def begins_second_step(self, answered: int) -> bool:
        """Whether the first step of a trial was right, by its answers so far, so that the second one begins now."""
        if not self.is_on_trial or self._is_second or answered < ANSWERS:
            return False
        self._is_second, self._tried_at = True, TRIAL_FACTOR * self._tried_at
        return True

    def spend(self) -> bool:
        """Spends a free refusal; returns False if none is left."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True

    def judge(self, load: float, answered: int, seconds: float, row: int) -> float | None:
        """
        Judges a refusal beyond the budget.

        Args:
            load: Requests a second that were refused.
            answered: Requests that were answered since the last such refusal, or since the trial's step began.
            seconds: How long ago that was.
            row: Requests in a row that were refused.

        Returns:
            The load from which to cut; None if the load isn't the reason, or if a trial begins (`is_on_trial`).
        """
        if self.is_on_trial:
            self.is_on_trial = False
            if answered >= ANSWERS:
                return None
            self._most, self._per_answer, self.highest = _SAVED, 1 / _FREE, self._tried_at
            return min(load, max(self._tried_at, answered / seconds if answered >= _FREE else 0.0))
        if 2 * self.fresh_share < 1:
            self.highest = max(self.highest, load)
        if self.fresh_share > 2 * _FEW or row > 2 or load > _FEW * self.highest:
            return load
        self.is_on_trial, self._is_second, self._tried_at, self._saved = True, False, load, 2 * _SAVED
        self._most, self._per_answer = 2 * _SAVED, max(1 / _FREE, 2 * self.share)
        return None
