"""
Limits for counts, and the verdict: which are broken, which hold, and why the others can't be
judged. It sends nothing; `judge` counts.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from math import inf
from typing import NoReturn, Self

from attrs import frozen

from galileo_sessions.arguments import plain
from galileo_sessions.counting.results import CountReport
from galileo_sessions.display import brief, quantity
from galileo_sessions.errors import (
    AttemptTimeoutError,
    ConfigurationError,
    ConnectError,
    DeadlineExceededError,
    DisconnectedError,
    GalileoError,
    RateLimitedError,
    ServerError,
    TLSError,
    is_permanent,
)

FAILED, MISTAKEN, BROKEN, OUTAGE = 1, 2, 3, 75  # 75 is EX_TEMPFAIL of sysexits.h
_GRAVITY = (0, OUTAGE, FAILED, MISTAKEN, BROKEN)  # the last one wins
_OUTAGES = AttemptTimeoutError | ConnectError | DisconnectedError | RateLimitedError | ServerError


@frozen
class Limit:
    """A number of sessions, or a share of them, that a count may not pass."""

    text: str
    """As it was written, such as 100 or 10%."""
    number: Decimal
    """The number, without the percent sign."""
    is_share: bool
    """Whether it is a percentage of all sessions of the same scope and period."""
    is_upper: bool
    """Whether larger counts break it; otherwise smaller ones do."""

    @classmethod
    def of(cls, value: object, *, is_upper: bool) -> Self:
        """
        The limit for a number such as 100, or a percentage such as "10%".

        Raises:
            ConfigurationError: for anything else, and if every count breaks it, or none.
        """
        text = value if isinstance(value, str) else repr(plain(value))
        if re.fullmatch(r"\d+|\d+(\.\d+)?%", text, re.ASCII) is None:
            is_fraction = re.fullmatch(r"0*\.\d+", text, re.ASCII)
            share = f"{Decimal(text):%}" if is_fraction else "10%"
            such = f"a whole number such as 100, or a share such as {share}"
            raise ConfigurationError(f"{brief(value)} must be {such}")
        limit = cls(text, Decimal(text.rstrip("%")), text.endswith("%"), is_upper)
        most = 100 if limit.is_share else inf
        is_possible = limit.number < most if is_upper else 0 < limit.number <= most
        if not is_possible:
            problem = "can't be a limit: every count would break it, or none would"
            raise ConfigurationError(f"{brief(text)} {problem}")
        return limit

    def is_broken_by(self, number: Decimal | int) -> bool:
        """Whether a number of sessions, or a percentage, breaks the limit."""
        return number > self.number if self.is_upper else number < self.number


@frozen
class Judgement:
    """What is judged together: with `each` one target, otherwise all of them."""

    place: str
    """The project's id and the names, or how many projects they are."""
    sessions: int
    """The sessions that satisfy the filter, without the counts that failed."""
    whole: int | None
    """With a share, the sessions with and without the filter; else None."""
    doubts: tuple[GalileoError, ...] = ()
    """Why limits can't be judged: the first count that failed, or what is missing."""
    may_be_empty: bool = False
    """Whether the share of 0 sessions in 0 is 0; otherwise it can't be judged."""

    def value(self, limit: Limit) -> Decimal | int:
        """What is compared with a limit: the number of sessions, or its percentage."""
        if limit.is_share:
            return Decimal(100 * self.sessions) / (self.whole or 1)
        return self.sessions

    def shown(self, limit: Limit) -> str:
        """The same as text; a share has the digits that show its side of the limit."""
        if not limit.is_share:
            return quantity(self.sessions, "session")
        value = self.value(limit)
        is_broken = limit.is_broken_by(value)
        texts = [f"{value:.{digits}f}" for digits in range(1, 20)]
        right = [text for text in texts if limit.is_broken_by(Decimal(text)) is is_broken]
        counted = f"{self.sessions:,} of {quantity(self.whole or 0, 'session')}"
        return f"{[*right, texts[-1]][0]}% ({counted})"

    def can_judge(self, limit: Limit) -> bool:
        """
        Whether a limit can be judged.

        What failed, and what is in doubt, can only make the total larger. So an upper number is
        judged all the same. A share needs all counts, and a whole.
        """
        if limit.is_share:
            return not self.doubts and bool(self.whole or self.may_be_empty)
        return limit.is_upper or not self.doubts

    def reasons(self, limits: Sequence[Limit]) -> list[str]:
        """A line for each limit that is broken."""
        return [
            f"{self.place}: {self.shown(limit)}, {'above' if limit.is_upper else 'below'} "
            f"{limit.text}"
            for limit in limits
            if self.can_judge(limit) and limit.is_broken_by(self.value(limit))
        ]


@frozen
class Verdict:
    """
    Whether counts keep their limits. `print` shows why they don't, or the numbers if they do.

    An alert ends with `sys.exit(verdict.status)`; a test asserts `verdict.holds`.
    """

    limits: tuple[Limit, ...]
    """The limits that were given: the upper one first."""
    judgements: tuple[Judgement, ...]
    """One for all targets, or with `each` one for each of them."""
    report: CountReport
    """The counts with the filter."""

    @property
    def holds(self) -> bool:
        """Whether all limits could be judged, and none is broken."""
        return self.status == 0

    @property
    def reasons(self) -> tuple[str, ...]:
        """A line with the numbers for each limit that is broken."""
        reasons = [each.reasons(self.limits) for each in self.judgements]
        return tuple([line for lines in reasons for line in lines])

    @property
    def doubts(self) -> tuple[GalileoError, ...]:
        """Why the other limits can't be judged."""
        doubtful = [each.doubts for each in self.judgements if not each.reasons(self.limits)]
        return tuple(dict.fromkeys([doubt for doubts in doubtful for doubt in doubts]))

    @property
    def numbers(self) -> tuple[str, ...]:
        """If all limits hold, a line for each, with the numbers that come nearest to it."""
        return tuple([self._nearest(limit) for limit in self.limits]) if self.holds else ()

    @property
    def status(self) -> int:
        """
        The exit status for an alert.

        It is 3 if a limit is broken. Otherwise 2, if each target has a mistake in its id or filter;
        75, if the service wasn't reached or refused everything; 1, if a limit can't be judged for
        another reason; and 0 if all hold.
        """
        if self.reasons:
            return BROKEN
        failed = [*self.report.errors, *self.doubts]
        return status_of(failed, is_all=not any(result.ok for result in self.report.results))

    def _nearest(self, limit: Limit) -> str:
        pick = max if limit.is_upper else min
        nearest = pick(self.judgements, key=lambda each: each.value(limit))
        where = ""
        if len(self.judgements) > 1:
            where = f" in {len(self.judgements):,} places; nearest in {nearest.place}"
        return f"holds{where}: {nearest.shown(limit)}, limit {limit.text}"

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has no truth value. Write verdict.holds")

    def __str__(self) -> str:
        doubts = [f"the limit can't be judged: {doubt}" for doubt in self.doubts]
        return "\n".join([*doubts, *self.reasons, *self.numbers])


def exit_status(first: Verdict | GalileoError, *others: Verdict | GalileoError) -> int:
    """
    The exit status of an alert that has made several judgements; that of an error is the one that a
    verdict would have. 3 comes before 2, 1, 75 and 0.
    """
    statuses = [
        each.status if isinstance(each, Verdict) else status_of([each]) for each in (first, *others)
    ]
    return max(statuses, key=_GRAVITY.index)


def status_of(errors: Sequence[GalileoError], *, is_all: bool = True) -> int:
    """
    The exit status after errors: 0 without any; 2 if all are mistakes of the caller, 75 if the
    service wasn't reached or refused each request, and else 1.

    Args:
        errors: The errors.
        is_all: Whether nothing succeeded.
    """
    if not errors:
        return 0
    if is_all and all(isinstance(error, ValueError | LookupError) for error in errors):
        return MISTAKEN
    return OUTAGE if is_all and all(map(_is_outage, errors)) else FAILED


def _is_outage(error: GalileoError | None) -> bool:
    """Whether the service wasn't reached, or refused to work."""
    if isinstance(error, DeadlineExceededError):
        error = error.last
    is_lasting = isinstance(error, TLSError) or (error is not None and is_permanent(error))
    return isinstance(error, _OUTAGES) and not is_lasting
