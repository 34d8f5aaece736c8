"""
The ticket of one request: how it waits for its turn, and what comes of its attempts.

Of all requests of a query in trouble, one leads: it sleeps until its back-off or Retry-After ends,
joins its line, and is sent. The others follow: they wait, meet each of its failures, and one of
them leads once the leader has ended.
"""

import asyncio
from collections.abc import Hashable
from enum import Enum, auto
from math import inf
from typing import TYPE_CHECKING, Self, cast

from attrs import Factory, define, evolve

from galileo_sessions.details import Attempt
from galileo_sessions.errors import AttemptTimeoutError, DecodeError, GalileoError
from galileo_sessions.flow.budget import TIMER, Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.deadlines import Deadline
from galileo_sessions.flow.outcome import IGNORED, UNSENT, Outcome, outcome_of
from galileo_sessions.flow.queue import Queue
from galileo_sessions.flow.troubles import Trouble

if TYPE_CHECKING:  # it is above
    from galileo_sessions.api.query import CountQuery


class End(Enum):
    """Why a request isn't sent again."""

    FAILED = auto()
    """Its last failure, or that of another request of its query, was the last one."""
    LATE = auto()
    """The call's deadline comes before the next attempt, or has cut the last one short."""
    LATE_IN_LINE = auto()
    """The call's deadline came while it waited for its turn."""
    HOPELESS = auto()
    """Its patience ends before its turn comes."""
    CLOSED = auto()
    """The client is closed."""


@define(eq=False, repr=False)
class Ticket:
    """
    A request on its way.

    Use it as a context manager. Call `turn` before each attempt, and `ended` after it, until `turn`
    returns why there is no other attempt. Leaving the block in any way gives back all that the
    request holds.
    """

    queue: Queue
    query: "CountQuery | None"
    """The query; None if the request is about no project."""
    key: Hashable
    """Identifies the query."""
    budget: Budget
    """The limits of the call."""
    began: float
    """When the request began, by the loop's clock."""
    is_count: bool
    """Whether it is a count."""
    attempts: tuple[Attempt, ...] = ()
    """Its attempts, and those of other requests of the query that it waited for."""
    waiting_since: float = Factory(lambda self: self.began, takes_self=True)
    """When the wait for the next attempt began."""
    turn_at: float = 0.0
    """When its turn came last."""
    _sent_at: float = 0.0  # after a login that it waited for
    _permit: Permit | None = None
    # Held until an answer to another request of the query has ended it.
    _leads: Trouble | None = None
    _is_parked: bool = False  # since its query has been in trouble
    _end: End | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back(IGNORED)
        self._stop_leading()
        self.budget.ended += 1
        if self._is_parked:
            self.budget.park(waiting=-1)

    @property
    def trouble(self) -> Trouble | None:
        """The trouble that its query is in."""
        return self.queue.flow.troubles.recent_trouble(self.key, _time())

    @property
    def needs_comparison(self) -> bool:
        """
        Whether a query that was answered should be sent again before the next attempt, to see if
        the service refuses it, too.
        """
        trouble = self.trouble
        if trouble is None or self._end is not None:
            return False
        return self.queue.needs_comparison(trouble, self.budget)

    async def turn(self) -> End | None:
        """Waits until the request may be sent. Returns None then, or why it isn't sent."""
        while self._end is None and self._permit is None:
            self._end = await self._wait()
        return self._end

    def sent(self) -> None:
        """
        The request is sent now. A login that it waited for says nothing about the service's load.
        """
        permit = cast("Permit", self._permit)
        permit.sent_at = self._sent_at = _time()

    def ended(self, error: GalileoError | None, *, has_answered: bool, is_repeated: bool) -> None:
        """
        Learns how an attempt ended.

        Args:
            error: Why it failed; None if it succeeded.
            has_answered: Whether anything has ever answered at the address.
            is_repeated: Whether another attempt follows whatever the error.
        """
        now = _time()
        flow = self.queue.flow
        permit = cast("Permit", self._permit)
        self._permit = None
        outcome = self._outcome(error, now, has_answered)
        trouble = self.queue.ended(permit, now, outcome, self.key, error)
        status = getattr(error, "status", None)
        if error is None or isinstance(error, DecodeError):
            status = 200
        attempt = Attempt(
            len(self.attempts) + 1,
            status,
            error,
            self.turn_at - self.waiting_since,
            now - self.turn_at,
            flow.width,
            flow.rate,
            flow.breaker.is_open,
            self.query,
        )
        self._note(attempt, now)
        if trouble is not None:
            trouble.attempt = attempt
            trouble.wake_followers()
        if error is not None and not is_repeated:
            self._end = self._judge(trouble)

    def _outcome(self, error: GalileoError | None, now: float, has_answered: bool) -> Outcome:
        if error is None:
            return Outcome("success", now - self._sent_at, is_count=self.is_count)
        if self.is_cut_short(error, now):
            return IGNORED
        longest = self.queue.flow.troubles.policy.max_retry_after
        outcome = outcome_of(error, longest, has_answered=has_answered)
        return evolve(outcome, is_count=self.is_count)

    def is_cut_short(self, error: GalileoError | None, now: float) -> bool:
        """
        Whether the error is a timeout caused by the call's deadline, so that it says nothing about
        the service.
        """
        return isinstance(error, AttemptTimeoutError) and self.budget.deadline - now <= TIMER

    def meet(self, trouble: Trouble) -> None:
        """Notes the last attempt of another request of the query."""
        attempt = cast("Attempt", trouble.attempt)
        self._note(evolve(attempt, number=len(self.attempts) + 1), trouble.ended_at)

    async def _wait(self) -> End | None:
        """
        Waits for a permit until the deadline. Another failure of its query can make the permit
        void.
        """
        trouble = self.trouble
        now = _time()
        if self.queue.is_closed:
            return End.CLOSED
        if now >= self.budget.deadline:
            return End.LATE
        if trouble is None and self._leads is None:
            self._permit = self.queue.try_acquire(self.budget, 0)
            self.turn_at = now
            if self._permit is not None:
                return None
        until = self._waits_until(trouble)
        if until == inf:
            return await self._take_turn(trouble)
        with Deadline(self.queue.deadlines, until):
            return await self._take_turn(trouble)
        return self._end_at(until)

    def _waits_until(self, trouble: Trouble | None) -> float:
        """
        The deadline. A single request that has failed, or whose query is refused, waits only until
        its patience has passed since it began.
        """
        budget = self.budget
        if budget.is_single and (self.attempts or trouble is not None):
            return min(budget.deadline, self.began + budget.patience)
        return budget.deadline

    def _end_at(self, until: float) -> End:
        trouble = self.trouble
        is_asleep = trouble is not None and trouble.not_before >= until
        if until == self.budget.deadline:
            return End.LATE if is_asleep else End.LATE_IN_LINE
        return End.FAILED if is_asleep else End.HOPELESS

    async def _take_turn(self, trouble: Trouble | None) -> End | None:
        """
        Waits for a permit. While its query is in trouble, one of its requests is sent at a time.
        """
        if trouble is not None:
            self.budget.park(waiting=not self._is_parked)
            self._is_parked = True
        end = await self._lead()
        if end is not None:
            return end
        if self._leads is not None:
            await self.queue.sleep(self._leads.not_before)
        standing = self.queue.flow.troubles.standing(self.key, _time())
        self._permit = await self.queue.acquire(self.budget, standing)
        if self._permit is None:
            return End.CLOSED if self.queue.is_closed else End.HOPELESS
        self.turn_at = _time()
        if self._has_another_failed():
            self._give_back(UNSENT)
        return None

    def _has_another_failed(self) -> bool:
        """Whether another request of its query has failed while it waited for its permit."""
        trouble = self.trouble
        if trouble is None:
            return False
        return trouble is not self._leads or trouble.not_before > self.turn_at + TIMER

    async def _lead(self) -> End | None:
        """
        Waits until its query is fresh, or led by no other request, and then leads it.

        Returns why the request isn't sent again, if that shows when another one fails.
        """
        while (trouble := self.trouble) is not self._leads:
            self._stop_leading()
            if trouble is not None and not trouble.is_led:
                trouble.is_led = True
                self._leads = trouble
            elif trouble is not None:
                failures = trouble.failures
                await self._follow(trouble)
                if trouble.failures > failures and trouble is self.trouble:
                    self.meet(trouble)
                    end = self._judge(trouble)
                    if end is not None:
                        return end
        return None

    async def _follow(self, trouble: Trouble) -> None:
        """Waits until the query fails again, or the request that leads it has ended."""
        woken = asyncio.Event()
        trouble.followers[woken.set] = None
        self.budget.park(following=1)
        try:
            _ = await woken.wait()
        finally:
            _ = trouble.followers.pop(woken.set, None)
            self.budget.park(following=-1)

    def _stop_leading(self) -> None:
        led, self._leads = self._leads, None
        if led is not None:
            led.is_led = False
            led.wake_followers()

    def _give_back(self, outcome: Outcome) -> None:
        permit, self._permit = self._permit, None
        if permit is not None:
            self.queue.released(permit, outcome)

    def _note(self, attempt: Attempt, ended: float) -> None:
        self.attempts += (attempt,)
        self.waiting_since = ended

    def _judge(self, trouble: Trouble | None) -> End | None:
        """Why the request isn't sent again after the last attempt, which failed; None if it is."""
        now = self.waiting_since
        budget = self.budget
        if self.is_cut_short(self.attempts[-1].error, now):
            return End.LATE
        if trouble is None or self.queue.flow.gives_up(trouble, now, budget, self.began):
            return End.FAILED
        return End.LATE if trouble.not_before >= budget.deadline else None


def _time() -> float:
    return asyncio.get_running_loop().time()
