"""
The flow control of one client: when the next request may be sent, and what each outcome teaches.

1.  *Fresh or in trouble.* A query (project and filter) is in trouble from a failure until a
    success, or for a minute after its last attempt. Its counts share back-off and attempts, and go
    one at a time. A Retry-After binds no other.
2.  *Whose fault.* A failure is the service's if queries that failed as often, and in the same way
    (refused or not), succeed at least a quarter as often as fresh ones when they are sent again.
    Otherwise it is the query's own. At first, a refusal (429, 502, 503) is the service's, and
    another failure (500, 504, timeout) is the query's own, unless a quarter of the other fresh
    queries have failed. A failure counts once a request that was sent later is answered, and until
    a minute after the last one. If no fresh one is left, a fan-out repeats one that was answered,
    after each refusal but the first, under the conditions of rule 11.
3.  *The breaker.* Eight failures in a row, in the order of sending, open it, not counting own
    failures of queries in trouble. Then one probe is sent at a time. The next pause is a quarter of
    the time since it opened, from 0.1 to 3 s, or to 0.2 s if all of the row were in trouble; a
    Retry-After beyond that is divided into equal pauses. After a probe of one in trouble, fresh
    queries wait for 0.1 s only. An answer closes it. Then at most twice as many are under way as
    have succeeded.
4.  *An outage teaches nothing.* Neither the row of failures nor a failed probe is evidence, or
    costs a fresh query an attempt; the row can cut a limit, a probe can't. One thing is learned: a
    quota. If the breaker opens again, was closed for less time than it was open, which is at most
    90 s, and meanwhile a query in trouble was answered and at least as many requests got through as
    failed by their queries' fault, then the rate is twice what got through in a second since it
    opened before. The first probe comes after half of the last outage, short pauses after all.
5.  *The width* bounds the requests at once. It grows while more at once get more answered, and
    shrinks if they don't.
6.  *The rate* bounds the requests in a second, once a failure of the service has cut it: at first
    to half of the load, later to 0.85. It grows by up to 2 % with each success, by up to 8 % once
    ten have got through since the cut and a second has passed. It goes once it delays nothing for
    30 s.
7.  *Noise.* Each answer pays for a sixteenth of a failure, which then cuts nothing; at first and at
    most, four are paid. If the load has been cut to three tenths and most fresh queries don't fail,
    the load isn't the reason: the client tries sixteen times as much, and drops the rate once 64
    requests get through, or goes back.
8.  *Places.* Queries in trouble leave half of the width, and of their fan-out's `concurrency`, to
    fresh ones. A request that was sent 16 latencies ago, at least a second, no longer counts
    towards the width once a later one is answered, or if more count than it allows. While nothing
    is answered, one request after another stops to count.
9.  *Lines.* Fan-outs take turns, and all single counts together are one more. A coin decides
    between a fresh query and one in trouble, of which those that failed wait behind those that were
    refused. While something is in trouble or overtaken, the fresh one is drawn by lot from its
    line, and so is each probe; otherwise the first in line is next.
10. *Parking.* A count whose query is in trouble holds no worker; ten times `concurrency` of them
    can be parked, and any number that wait for another count of their query, or for its columns.
11. *Giving up.* A count whose query's own failures have spent all attempts (a timeout or a 504
    costs two), unless others fail in a row with it. If it was refused, this holds only in a
    fan-out, while less than a quarter of the other queries are in trouble and no retry has helped
    for a minute, and the last attempt comes after 3 s. A single count that was refused: after its
    patience. Any other: once patience has passed since it and its query's trouble began, and twice
    patience since a retry of any query succeeded, if one has; if its failures are the service's and
    others are counted, only after three times patience; if they are its own, others are counted,
    and no more can be parked, after 3 s. While the breaker is open, patience began with the call or
    with the row, whichever is later. Any count: if its next attempt comes too late.

A failure that is the query's own changes no limit; if an earlier failure of its query had cut the
rate, the cut is undone. One that is the service's holds up the next request for two latencies, or
until an answer comes, if others are under way. If more were under way than have been answered at
once, the width goes back; otherwise the rate is cut, once for all requests that were sent before.
"""

import logging
from collections import OrderedDict
from collections.abc import Hashable
from math import inf

from attrs import define

from galileo_sessions.display import quantity
from galileo_sessions.flow.breaker import SHORTEST_PAUSE, Breaker
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import UNSENT, Outcome
from galileo_sessions.flow.rate import LOWEST, Pace, Rate
from galileo_sessions.flow.settings import Limits, Retry
from galileo_sessions.flow.troubles import AGE, LONGEST, Trouble, Troubles
from galileo_sessions.flow.width import FLOOR, Width

logger: logging.Logger = logging.getLogger("galileo_sessions")

_QUIET = AGE / 2  # seconds in which a rate made no request wait, after which it is forgotten
# A request can lose its place after so many latencies, and at least so many seconds.
_LATENCIES = 16
_LATE = 1.0


@define(eq=False, repr=False)
class Permit:
    """
    The permission to send one request; `FlowControl.ended` takes it back with the outcome.

    Args:
        sent_at: When the request was sent.
        number: How many requests had been sent, including this one.
        level: How many requests had a place, including this one.
        round: The round of the width.
        is_fresh: Whether its query wasn't in trouble.
        budget: The budget of the fan-out, or that of all single counts.
    """

    sent_at: float
    number: int
    level: int
    round: int
    is_fresh: bool
    budget: Budget


class FlowControl:
    """
    The limits of one client.

    Args:
        limits: How many requests may be under way at once, in the beginning and ever.
        policy: How often and how patiently to try again.
    """

    def __init__(self, limits: Limits, policy: Retry) -> None:
        self._width = Width(limits.initial, limits.maximum)
        self._rate = Rate()
        self._evidence = Evidence()
        self.breaker: Breaker = Breaker()
        """The circuit breaker."""
        self.troubles: Troubles = Troubles(policy)
        """What is known of each query."""
        self.in_flight: int = 0
        """Requests that are under way, now."""
        self._places: OrderedDict[int, Permit] = OrderedDict()
        self._number = 0  # of the last request that was sent
        self._answered = 0  # the last of those that were answered
        self._freed_at = -inf  # when a place was freed although no later request was answered
        self._held_until = -inf
        self._allowed = Pace(limits.rate or inf)  # by the user

    @property
    def rate(self) -> float:
        """Requests a second, now; infinite while no failure has cut it."""
        return self._rate.limit

    @property
    def width(self) -> int:
        """Requests that may be under way at once, now."""
        return int(self._width.limit)

    def is_wary(self, now: float, is_fresh: bool) -> bool:
        """Whether the counts that wait first can be the bad ones."""
        is_mixed = len(self._places) < self.in_flight or self.troubles.some_are_in_trouble(now)
        return self.breaker.is_open or (is_fresh and is_mixed)

    def wait(self, now: float, budget: Budget, is_fresh: bool = True) -> float:
        """
        Seconds until a request may be sent: 0 means now; infinite means to call again after the
        next answer, since as many are under way as the user allows.

        Call it only for a request that is ready to be sent, because the call itself is evidence of
        demand. It also forgets what is old, and frees the places of late requests.
        """
        if now - self._rate.needed_at > _QUIET:
            self._rate = Rate()
        self._width.check(now)
        if self.in_flight >= self._width.maximum or not budget.has_place(is_fresh):
            return inf
        if self.breaker.is_open:
            self._rate.needed_at = now
            return self._allowed.wait(now, self.breaker.wait(now, is_fresh))
        wait = self._allowed.wait(now, self._wait_for_place(now, budget, is_fresh))
        return self._rate.wait(now, wait)

    def reason(self, now: float) -> str:
        """The limit that requests are waiting for, as a part of a sentence."""
        if self.breaker.is_open:
            seconds = now - self.breaker.began
            return f"the circuit breaker: the service has refused everything for {seconds:,.0f} s"
        limit = min(self.rate, self._allowed.limit)
        if limit < inf and len(self._places) < self.width:
            if limit < self.rate:
                return f"Limits(rate={limit:g})"
            return f"a rate limit of {limit:.3g} requests a second"
        return f"a free slot ({quantity(self.in_flight, 'request')} in flight, limit {self.width})"

    def sent(self, now: float, budget: Budget, is_fresh: bool = True) -> Permit:
        """
        Counts a request as sent, and returns its permit, which `ended` takes back exactly once.
        """
        level = len(self._places) + 1
        self._number += 1
        self.in_flight += 1
        budget.in_flight += 1
        budget.in_trouble += not is_fresh
        self._allowed.sent(now)
        self.breaker.sent(now, self._number, is_fresh)
        if not self.breaker.is_open:
            self._rate.sent(now)
        self._width.sent(now, level)
        permit = Permit(now, self._number, level, self._width.round, is_fresh, budget)
        self._places[self._number] = permit
        return permit

    def ended(
        self, now: float, permit: Permit, outcome: Outcome, query: Hashable
    ) -> Trouble | None:
        """
        Takes a permit back, and learns from the outcome; returns the trouble that the query is in
        now.
        """
        self.in_flight -= 1
        permit.budget.in_flight -= 1
        permit.budget.in_trouble -= not permit.is_fresh
        _ = self._places.pop(permit.number, None)
        if outcome.meaning == "ignored":
            self.breaker.released(now, permit.number)
            if outcome is UNSENT:
                self._allowed.unsent()
                self._rate.unsent()
            return None
        self.breaker.is_unreachable = outcome.is_unreachable
        if outcome.meaning == "success":
            self._passed(now, permit, outcome, query)
            return None
        return self._failed(now, permit, outcome, query)

    def gives_up(self, trouble: Trouble, now: float, budget: Budget, began: float) -> bool:
        """
        Whether a count whose query has failed is given up.

        Args:
            trouble: The trouble of the query.
            now: When the attempt failed.
            budget: The patience of the count.
            began: When the count began.
        """
        policy = self.troubles.policy
        outcome = trouble.outcome
        asked = outcome.retry_after
        if policy.attempts == 1 or asked > policy.max_retry_after:
            return True
        is_spent = trouble.spent >= policy.attempts and not self.breaker.may_open(now)
        if is_spent and (not outcome.is_refusal or self._seems_well(now, budget)):
            return True
        ends = self._end_of_patience(trouble, now, budget, began)
        return now >= ends or (asked > 0 and trouble.not_before >= ends)

    def needs_comparison(self, trouble: Trouble, now: float, budget: Budget) -> bool:
        """
        Whether nothing under way shows if the service refuses all queries or only this one, which
        was refused twice.
        """
        was_refused_twice = trouble.outcome.is_refusal and trouble.failures > 1
        if not was_refused_twice or trouble.is_own:
            return False
        fresh_ones_are_sent = any(permit.is_fresh for permit in self._places.values())
        return not fresh_ones_are_sent and self._seems_well(now, budget)

    def _seems_well(self, now: float, budget: Budget) -> bool:
        """
        Whether few queries of a fan-out are in trouble, and no limit refuses them: then retries
        would help.
        """
        return budget.few_are_in_trouble and self.troubles.helped_at <= now - AGE

    def _end_of_patience(self, trouble: Trouble, now: float, budget: Budget, began: float) -> float:
        """When the patience with a count ends, as rule 11 says."""
        troubles = self.troubles
        breaker = self.breaker
        patience = breaker.limited(budget.patience)
        if budget.is_single and trouble.outcome.is_refusal:
            return began + patience
        began = max(began, trouble.since, troubles.helped_at + patience)
        if breaker.is_open:
            return min(began, max(breaker.began, budget.began)) + patience
        if trouble.is_own:
            others_are_counted = now < troubles.answered_at + LONGEST + trouble.outcome.retry_after
            if others_are_counted and budget.is_crowded:
                return max(trouble.since, troubles.helped_at) + LONGEST
        elif now < troubles.answered_at + patience:
            return began + 3 * patience
        return began + patience

    def _wait_for_place(self, now: float, budget: Budget, is_fresh: bool) -> float:
        """Seconds until a place is free, or a late request loses its own."""
        late = max(_LATE, _LATENCIES * self._width.latency)
        room = min(self.width, 2 * self.breaker.succeeded)
        while self._places:
            oldest = next(iter(self._places.values()))
            is_overtaken = oldest.number <= self._answered or len(self._places) > room
            since = oldest.sent_at
            if not is_overtaken:
                since = max(since, self._freed_at, self.troubles.answered_at)
            is_late = since + late <= now
            loses_place = is_late and is_overtaken
            if not loses_place and self._has_place(room, budget, is_fresh):
                return max(0.0, self._held_until - now)
            if not is_late:
                return since + late - now
            if not is_overtaken:
                self._freed_at = now
            _ = self._places.popitem(last=False)
        return 0.0

    def _has_place(self, room: float, budget: Budget, is_fresh: bool) -> bool:
        """Whether a place is free; queries in trouble leave half of them to fresh ones."""
        is_free = len(self._places) < room
        if is_fresh or not is_free:
            return is_free
        places = self._places.values()
        held = sum(permit.budget is budget and not permit.is_fresh for permit in places)
        return held < max(1, room // 2)

    # ---- what is learned -------------------------------------------------------------------------

    def _passed(self, now: float, permit: Permit, outcome: Outcome, query: Hashable) -> None:
        was_open = self.breaker.is_open
        trouble = self.troubles.answered(query, now, outcome)
        if not was_open:
            failures, before = 0, outcome
            if trouble is not None:
                failures, before = trouble.failures, trouble.outcome
            self._evidence.answered(now, permit.number, failures, before)
        self._answered = max(self._answered, permit.number)
        self._held_until = -inf
        self.breaker.passed(now, permit.number, trouble is None)
        if was_open and not self.breaker.is_open:
            logger.debug("limits: all requests are sent again: a probe succeeded")
        self._width.passed(permit.level, permit.round, outcome.latency)
        self._rate.passed(now, permit.sent_at)

    def _failed(self, now: float, permit: Permit, outcome: Outcome, query: Hashable) -> Trouble:
        """
        Learns from a failure about its query, then about an outage, and otherwise about the limits.
        """
        breaker = self.breaker
        was_open = breaker.is_open
        trouble = self.troubles.failed(query, now)
        is_fresh = not trouble.failures
        if not was_open:
            self._evidence.failed(permit.number, trouble)
        trouble.failures += 1
        trouble.is_own = not (was_open or self._evidence.is_shared(now, trouble.failures, outcome))
        self.troubles.charge(trouble, now, outcome)
        if is_fresh or not trouble.is_own:
            breaker.failed(now, permit.number, is_fresh, outcome.retry_after)
        else:
            breaker.failed_alone(now, permit.number)
        if not was_open:
            self._judge_limits(now, permit, trouble)
        return trouble

    def _judge_limits(self, now: float, permit: Permit, trouble: Trouble) -> None:
        breaker = self.breaker
        if breaker.is_open:  # the row is no evidence
            logger.debug("limits: only single probes are sent: eight requests in a row failed")
            self._evidence.drop_row()
            if breaker.quota < inf:
                self._rate = Rate(limit=max(LOWEST, 2 * breaker.quota), cut_at=now, needed_at=now)
        elif trouble.is_own:
            self._width.passed(permit.level, permit.round, None)
            self._rate.undo(trouble)
        else:
            self._overloaded(now, permit, trouble)

    def _overloaded(self, now: float, permit: Permit, trouble: Trouble) -> None:
        """
        A failure is the service's: it holds up the next request, and narrows a limit unless savings
        pay for it.

        A probe of the width takes it back, and any other failure cuts the rate, once for each
        overload. The load that was refused is the level divided by the latency, which counts as 10
        ms until one is known. While there is a rate, it is the rate, or the width divided by the
        latency if that is less.
        """
        width = self._width
        rate = self._rate
        self._held_until = now + 2 * (width.latency or SHORTEST_PAUSE)
        is_unlimited = rate.limit == inf
        if rate.is_paid(now, permit.sent_at) or (is_unlimited and permit.level == 1):
            return
        if is_unlimited and permit.level > width.answered:  # a probe
            if permit.round == width.round:
                width.narrow(width.answered)
        else:
            latency = max(FLOOR, width.latency)
            load = permit.level / latency
            if not is_unlimited:
                load = min(rate.limit, self.width / latency)
            n, failed = self._evidence.fresh.cases(now)
            rate.cut(now, load, latency, failed / max(1, n), trouble)
            logger.debug(
                "limits: rate %.1f a second: refused with %d at once", rate.limit, permit.level
            )
