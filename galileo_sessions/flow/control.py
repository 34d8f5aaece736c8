"""
The flow control of one client: when the next request may be sent, and what each outcome teaches.

It does no I/O and has no clock: a caller calls `wait(now)`, then `sent(now)`, and gives the permit back with
`ended(now, permit, outcome, query)`, the only way to report an outcome. Six parts, each with its theory in its own
file, don't know each other's state; only this file passes values between them. These rules decide everything:

1.  *Fresh or in trouble.* A query whose last attempt failed is in trouble until an attempt succeeds, or for a minute.
    Otherwise it is fresh. See `queries`.

    *   All counts of a query in trouble share its back-off and its attempts. One of them is sent at a time, and each
        failure counts for all of them, even of a request sent before the trouble.
    *   The first retry doesn't wait for the back-off.
    *   A count that comes once the attempts are spent waits for the back-off, at most `max_backoff`, and has one
        attempt. If that is refused, rule 9 decides.
    *   A Retry-After binds only its query; rule 3 has an exception.

2.  *Whose fault.* Once enough is known, a failure is the query's own if the first or the second point holds, and
    otherwise the service's. See `evidence`.

    *   Queries that failed as often and in the same way, refused or not, succeed less than a quarter as often as fresh
        ones when they are sent again. If those that failed less often hardly ever do, one success changes nothing.
    *   Queries that were answered lately fail less than a quarter as often as fresh ones.
    *   Until anything is known, a refusal, such as a 429, 502 or 503, is the service's. Another failure, such as a 500,
        a 504 or a timeout, is the query's own, unless a quarter of the other fresh ones fail.
    *   A failure is known at the next answer to a request that was sent later. Failures of one query with no other case
        between them count once for others.
    *   What is known is forgotten a minute after its last case, or after 15 s if it is of queries that were answered
        lately. For costs, and while nothing is known of retries, how often fresh ones fail is known at once, and
        forgotten after 15 s.

3.  *Rows.* Eight failures in a row, in the order of sending, open the breaker. While it is open, only single probes are
    sent. The first answer to one, or to a request after the row, closes it. See `breaker` and `queue`.

    *   If a query that was answered within the last minute hasn't failed since, the eight must be of different queries,
        and a query in trouble that fails by its own fault doesn't count. Otherwise, as in the beginning, all failures
        count.
    *   The pause between two probes is a quarter of the time since the breaker opened, at least 0.1 s, and at most 3 s,
        or 0.2 s if all of the row were in trouble before. It is longer after a Retry-After, and while a quota is used
        up.
    *   If a probe hangs, the next one is sent after a quarter of the time since the breaker opened, but at least 3 s,
        or after 0.2 s if all of the row were in trouble before.
    *   For probes, queries have three standings, from high to low: answered lately, unknown, and in trouble. When one
        fails, its own standing and those below wait for the pause, and those above for the shortest.
    *   If each fresh query of the row got a Retry-After, and so did the first two probes of fresh queries, that of the
        second one binds its own standing and those below.
    *   Each probe is drawn by lot, from the line whose turn it is.
    *   After the breaker has closed, at most twice as many requests are under way as have succeeded since then.

4.  *Limits.* Of all failures, only the service's narrow them, and only while the breaker is closed. Answers always
    teach them.

    *   The width bounds the requests at once. It can double after the first round, then grow by half in each round, and
        by an eighth after a setback. See `width`.
    *   The rate bounds the requests in a second, once a failure has cut it. See `rate`.
    *   Queries whose failures cut the rate are suspects until one of them is answered, or the breaker opens and a quota
        cuts the rate. If one turns out to fail by its own fault before that, all their cuts are undone.

5.  *Noise* is what fails however little is sent. See `noise`.

    *   Each answer saves a sixteenth of a failure, up to four; a new client has saved four. A failure that these
        savings pay for changes no limit. At 5 % of noise, they run out now and then; each time, the rate is cut, and
        grows again.
    *   If cuts don't make failures rarer, and at most four fifths of the fresh queries fail, a trial begins: the client
        tries sixteen times the load and, once 64 of its requests are answered, no rate at all. If failures use up the
        savings before 64 requests of a step are answered, it goes back to the load before that step, or to what was
        answered in a second of that step if that is more, and at least 16 requests were.

6.  *An outage teaches nothing.* When the breaker opens, its row costs its queries nothing, and its cuts of the rate are
    undone. It is no evidence, except that it counts in how often fresh ones fail for 15 s. Once the breaker closes,
    noise is forgotten if the outage took more than a second, and no quota is known. Two things can be learned all the
    same.

    *   A quota. If the breaker opens again, and was open for more than half of the time since it opened before, what
        got through in that time is taken for a quota, and sets the rate; but only once a query in trouble has been
        answered, and unless more retries failed by their own fault in that time than requests got through.
    *   Bad queries. If meanwhile queries that were answered before were answered again, and none in trouble was, it is
        no quota: the queries of both rows may be bad. The later row is then evidence, and its failures keep their cost,
        if the query that failed last has been in trouble for the patience of a fan-out, and no retry of any query has
        succeeded for as long.

7.  *A count in trouble holds nothing.* Once its query is in trouble, a count is parked until it ends, and new targets
    go on. See `queue`.

    *   At most ten times `concurrency` counts are parked, apart from those that wait for another one of their query.
        The rest keep their workers.
    *   Counts that wait for a permit stand in lines, one for each standing of each fan-out, and of all single counts.
        Those that failed last by their own fault have lines of their own, so that others in trouble don't wait behind
        them. The lines take turns; fresh queries and those in trouble get permits alternately.
    *   While fresh ones wait, a fan-out uses at most half of the width for queries in trouble, and so do all single
        counts together. If fresh ones of its own wait, it uses at most a sixteenth of `concurrency`, too. It can always
        use two, but not all of `concurrency`, and one more for each count that can't be parked. Those that failed by
        their own fault leave one for the others.
    *   `concurrency` is fifteen sixteenths of `Limits.maximum` by default, so that others have room while all requests
        of a fan-out hang. A `maximum` below 16 leaves none.

8.  *Overtaken requests.* A request that was sent 16 latencies ago, at least a second, loses its place in the width once
    a later one is answered. Each time that nothing is answered for so long, one request loses its place.

    *   It still counts towards the `concurrency` of its fan-out until it ends.
    *   After a place was lost, and after the breaker has opened, until 64 requests are answered, bad queries that come
        first must not hide healthy ones. So each permit for fresh queries is drawn by lot, from the line whose turn it
        is.
    *   Up to `concurrency` targets of a fan-out wait; in an outage, up to ten times `concurrency` more do, or a hundred
        if that is more.

9.  *Giving up* is decided when an attempt fails or, while the breaker is open, when a probe does; so it can come before
    or after the patience ends. A single count that has failed doesn't wait longer than its patience. See `queries`.

    *   A failure costs its query an attempt; less if fresh ones often fail by the service's fault, and nothing if all
        do. A timeout or a 504 costs twice as much.
    *   A count that failed, but wasn't refused, is given up once its query's attempts are spent. With `attempts=1`, or
        after a Retry-After above `max_retry_after`, any count is given up at once.
    *   A single count that is refused is given up once its patience has passed since it began, or at once if its
        Retry-After ends after that.
    *   Otherwise, a count is given up once patience has passed since it began and since its query's first failure, and
        one of two things holds: no count was answered for as long; or it is refused by its own fault, all attempts are
        spent, and no retry of any query has succeeded for twice the patience. While nothing is answered, it is also
        given up once its Retry-After ends after its patience.
    *   While no more counts can be parked, other counts are answered, and no retry of any query has succeeded for 10 s,
        a target whose failures are its query's own is given up 3 s after it and its query's first attempt began, or at
        once if its Retry-After ends after that.
    *   While the breaker is open, waiting counts are also given up if the next probe comes after their patience, which
        begins with the row that opened it, or with a single count if that is later.
    *   For other requests, such as those for columns, an answer to any request counts.

The first matching line says what an outcome changes::

    an outcome                       what changes
    ignored, such as a cancellation  nothing
    success, 404                     the breaker may close; noise saves; width and rate may grow
    failure
      while the breaker is open      the pauses, if it is the probe's; no limit
      that opens the breaker         the row's cuts are undone; a quota cuts the rate, and ends a trial
      by the query's own fault       the row, but see rule 3; for the width, it is an answer
      otherwise                      while others are under way, nothing is sent until an answer comes, or for two
                                     latencies (0.2 s until one is known)
        of a probe of the width      the width goes back, unless noise pays (only without a rate, and not on trial)
        sent before the last cut, or nothing more
        before any success after it
        at the rate's ceiling        noise judges
        any other                    nothing if noise pays, else noise judges:
                                     the rate is cut, or a trial begins

What is old is forgotten. A rate that made no request wait for 30 s goes. Once no request has waited or been under way
for 30 s, the client starts as if it were new, except that it knows queries for a minute. Its width is the initial one,
or the highest level that was answered if that is less. Waiting counts as activity: a client that waits a minute for a
quota forgets nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf

from attrs import define

from galileo_sessions.display import quantity
from galileo_sessions.flow.breaker import SHORTEST_PAUSE, Breaker
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.noise import ANSWERS, TRIAL_FACTOR, Noise
from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.queries import AGE, FRESH, IN_TROUBLE, OWN, Queries, Trouble
from galileo_sessions.flow.rate import Rate
from galileo_sessions.flow.settings import Limits, Retry
from galileo_sessions.flow.width import FLOOR, Width

_QUIET = AGE / 2  # seconds without a waiting request, after which the client forgets what it learned
_LATE = 1.0  # seconds after which a request can lose its place, and after which an outage is no noise


@define(eq=False, repr=False)
class Permit:
    """
    The permission to send one request; `FlowControl.ended` takes it back with the outcome.

    Args:
        sent_at: When the request was sent.
        number: How many requests had been sent, including this one.
        level: How many requests had a place, including this one.
        epoch: The epoch of the rate; a cut begins a new one.
        round: The round of the width.
        standing: How its query fared.
        budget: The budget of the fan-out, or that of all single counts.
    """

    sent_at: float
    number: int
    level: int
    epoch: int
    round: int
    standing: int
    budget: Budget


class FlowControl:
    """
    The limits of one client.

    Args:
        limits: How many requests may be under way at once, in the beginning and ever.
        policy: How often and how patiently to try again.
        on_change: Called with one sentence for each change of the limits.
    """

    def __init__(self, limits: Limits, policy: Retry, on_change: Callable[[str], None] | None = None) -> None:
        self._say: Callable[[str], object] = on_change or str
        self._width = Width(limits.initial, limits.maximum)
        self._rate, self._noise, self._evidence = Rate(), Noise(), Evidence()
        self.breaker: Breaker = Breaker(policy.patience)
        """The circuit breaker."""
        self.queries: Queries = Queries(policy)
        """What is known of each query."""
        self.in_flight: int = 0
        """Requests that are under way, now."""
        self._places: OrderedDict[int, Permit] = OrderedDict()
        self._number = self._answered = 0  # the last request that was sent; the last of those that were answered
        self._freed_at = -inf  # when a place was freed although no later request was answered
        self._held_until = -inf
        self._wary = 0  # answers until the order matters again
        self._allowed = Rate(limits.rate or inf)  # by the user; it isn't learned
        self._before_row = self._before_suspects = inf  # the rates to which their cuts can be undone
        self._suspects: set[Trouble] = set()  # whose failures cut the rate, while none of them has been answered
        self._has_waited = False  # whether a request has waited since the last one was sent
        self._busy_until = -inf  # when the last wait ended, or will end

    @property
    def rate(self) -> float:
        """Requests a second, now; infinite while no failure has cut it."""
        return self._rate.limit

    @property
    def width(self) -> int:
        """Requests that may be under way at once, now."""
        return int(self._width.limit)

    @property
    def is_wary(self) -> bool:
        """Whether the counts that wait first can be the bad ones, because of an outage or an overtaken request."""
        return self._wary > 0 or self.breaker.is_open

    def wait(self, now: float, standing: int = FRESH) -> float:
        """
        Seconds until a request may be sent: 0 means now; infinite means to call again after the next answer, since as
        many are under way as the user allows.

        Call it only for a request that is ready to be sent, because the call itself is evidence of demand. It also
        forgets what is old, frees the places of overtaken requests, and frees one place if nothing has been answered
        for 16 latencies, at least a second.
        """
        if now - self._busy_until > _QUIET and not self.in_flight:
            self._forget(now)
        if self.rate < inf and now - self._rate.needed_at > _QUIET:
            self._rate.forget(now)
        self._width.check(now)
        late = max(_LATE, 16 * self._width.latency)
        self._free_overtaken(now - late)
        if self.breaker.is_open:
            wait = inf if self._is_full else self._allowed.wait(now, self.breaker.wait(now, standing))
            self._rate.needed_at = now
        else:
            place = inf if self._is_full else self._wait_for_place(now, late)
            wait = self._rate.wait(now, self._allowed.wait(now, place))
        self._has_waited |= wait > 0
        self._busy_until = max(self._busy_until, now + wait if wait < inf else now)
        return wait

    def reason(self, now: float) -> str:
        """The limit that requests are waiting for, as a part of a sentence."""
        if self.breaker.is_open:
            return f"the circuit breaker: the service has refused everything for {now - self.breaker.began:,.0f} s"
        if len(self._places) >= self.width or self._is_full:
            return f"a free slot ({quantity(self.in_flight, 'request')} in flight, limit {self.width})"
        if self.rate >= self._allowed.limit < inf:
            return f"Limits(rate={self._allowed.limit:g})"
        if self.rate < inf:
            return f"the service's rate limit (about {self.rate:.3g} requests a second)"
        return f"an answer ({quantity(self.in_flight, 'request')} in flight)" if self.in_flight else "a free slot"

    def sent(self, now: float, budget: Budget, standing: int = FRESH) -> Permit:
        """Counts a request as sent, and returns its permit, which `ended` takes back exactly once."""
        if not self.in_flight and not self._has_waited and standing > IN_TROUBLE:
            self._rate.gather(now)  # what got through so far shows the demand, not the supply
            self.breaker.waited = 0.0  # and it is no quota
        self._has_waited, self._number = False, self._number + 1
        self.in_flight += 1
        budget.in_flight += 1
        budget.in_trouble += standing <= IN_TROUBLE
        budget.own += standing == OWN
        self._allowed.sent(now)
        level = len(self._places) + 1
        self.breaker.sent(now, self._number, standing)
        if not self.breaker.is_open:
            self._rate.sent(now)
        self._width.sent(now, level)
        permit = Permit(now, self._number, level, self._rate.epoch, self._width.round, standing, budget)
        self._places[self._number] = permit
        return permit

    def unsent(self) -> None:
        """Nothing was sent with a permit, so the next request needn't wait for it; `ended` takes it back, too."""
        self._allowed.unsent()
        if not self.breaker.is_open:
            self._rate.unsent()

    def ended(self, now: float, permit: Permit, outcome: Outcome, query: Hashable) -> Trouble | None:
        """Takes a permit back, and learns from the outcome; returns the trouble that the query is in now."""
        self.in_flight -= 1
        permit.budget.in_flight -= 1
        permit.budget.in_trouble -= permit.standing <= IN_TROUBLE
        permit.budget.own -= permit.standing == OWN
        _ = self._places.pop(permit.number, None)
        self._busy_until = max(self._busy_until, now)
        if outcome.meaning == "ignored":
            self.breaker.released(now, permit.number)
            return None
        self.breaker.is_unreachable = outcome.is_unreachable
        if outcome.meaning == "success":
            self._passed(now, permit, outcome, query)
            return None
        return self._failed(now, permit, outcome, query)

    # ---- places ------------------------------------------------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        """Whether as many requests are under way as the user allows, those without a place included."""
        return self.in_flight >= self._width.maximum

    def _wait_for_place(self, now: float, late: float) -> float:
        """Seconds until a place is free, or is freed because nothing has been answered for some time."""
        taken = len(self._places)
        if taken < min(self.width, 2 * self.breaker.succeeded):
            return max(0.0, self._held_until - now) if taken else 0.0
        wait = max(self._oldest.sent_at, self._freed_at, self.queries.answered_at) + late - now
        if wait <= 0:
            self._freed_at = now
            self._lose_oldest()
        return max(0.0, wait)

    def _free_overtaken(self, before: float) -> None:
        """Frees the places of requests that were sent before a time, if later ones were answered."""
        while self._places and (oldest := self._oldest).number <= self._answered and oldest.sent_at <= before:
            self._lose_oldest()

    @property
    def _oldest(self) -> Permit:
        return next(iter(self._places.values()))

    def _lose_oldest(self) -> None:
        """Frees the place of a request that is late, which may be one of many bad ones in a row."""
        self._wary = ANSWERS
        _ = self._places.popitem(last=False)

    # ---- what is learned ---------------------------------------------------------------------------------------------

    def _passed(self, now: float, permit: Permit, outcome: Outcome, query: Hashable) -> None:
        breaker, standing, was_open = self.breaker, self.queries.standing(query, now), self.breaker.is_open
        trouble = self.queries.answered(query, now, is_count=outcome.is_count)
        if trouble in self._suspects:
            self._suspects.clear()
        if not was_open:
            self._evidence.answered(now, trouble, standing, permit.number)
        self._answered, self._held_until = max(self._answered, permit.number), -inf
        self._wary = max(0, self._wary - 1)
        breaker.passed(now, permit.number, standing)
        if was_open and not breaker.is_open:
            self._say("all requests are sent again: a probe succeeded")
            if breaker.waited > _LATE and not self._rate.quota:
                self._noise = Noise()
        self._noise.count(refused=False, is_fresh=trouble is None or not trouble.failures)
        self._width.passed(permit.level, permit.round, outcome.latency)
        self._rate.passed(now, permit.epoch)
        if not breaker.is_open and self._noise.begins_second_step(self._rate.through):
            self._rate.forget(now)
            self._say("no rate limit, on trial: sixteen times the load was right")

    def _failed(self, now: float, permit: Permit, outcome: Outcome, query: Hashable) -> Trouble:
        """Learns from a failure about its query, then about an outage, and otherwise about the limits."""
        breaker, standing, was_open = self.breaker, self.queries.standing(query, now), self.breaker.is_open
        if not breaker.row:
            self._before_row = self.rate
        trouble = self._blame(now, permit, outcome, query)
        is_alone = not self.queries.some_are_answered(now)
        if was_open or is_alone or standing > IN_TROUBLE or not trouble.is_own:
            is_long = outcome.retry_after > self.queries.policy.max_retry_after  # this count fails; the next may probe
            asked = 0.0 if is_long else outcome.retry_after
            breaker.failed(now, permit.number, query, standing, asked, is_alone=is_alone)
        else:
            breaker.released(now, permit.number, is_own=True)
        if was_open:
            return trouble
        if breaker.is_open:
            self._begin_outage(now, permit, trouble)
        elif trouble.is_own:
            self._width.passed(permit.level, permit.round, None)
        else:
            self._overloaded(now, permit, trouble)
        return trouble

    def _blame(self, now: float, permit: Permit, outcome: Outcome, query: Hashable) -> Trouble:
        """Decides whether a failure is its query's own, and charges the query for it; if all fail, it costs nothing."""
        evidence, trouble = self._evidence, self.queries.failed(query, now, permit.sent_at)
        is_free = self.breaker.is_open and self.queries.answered_at <= trouble.since
        if not self.breaker.is_open:
            evidence.failed(trouble, permit.number)
            trouble.failures += 1
        failures = max(1, trouble.failures)
        trouble.is_own = not evidence.is_shared(outcome, now, failures, trouble)
        if trouble.is_own and trouble in self._suspects:
            self._suspects.clear()
            self._rate.undo(now, self._before_suspects)
        self.queries.charge(trouble, now, outcome, 0.0 if is_free else evidence.cost(outcome, now, failures))
        return trouble

    def _begin_outage(self, now: float, permit: Permit, trouble: Trouble) -> None:
        """
        The breaker has opened: undoes the cuts of the row, but a quota cuts the rate.

        The row is no evidence, unless its queries may be bad, and retries have helped none for a fan-out's patience.
        """
        self._say("only single probes are sent: eight requests in a row failed")
        self._wary = ANSWERS
        since = max(trouble.since, self.queries.helped_at)
        if self.breaker.row_may_be_bad and now >= since + self.queries.policy.patience:
            self._evidence.add_row(now)
        else:
            self._evidence.drop_row(now)
        self._rate.undo(now, self._before_row)
        if self.breaker.quota < inf:
            self._suspects.clear()
            self._cut(now, permit, self.breaker.quota)
        self._noise.highest = 0.0  # and the load that a quota has cut isn't the highest one either

    def _overloaded(self, now: float, permit: Permit, trouble: Trouble) -> None:
        """
        A failure is the service's: it holds up the next request, stops the growth of the rate, and counts as noise.

        Unless noise pays, a probe of the width takes it back, and any other failure cuts the rate, once for each
        overload. Noise doesn't pay for a failure at the rate's ceiling, which the rate explains.
        """
        width, rate, noise = self._width, self._rate, self._noise
        rate.refused(now)
        self._held_until = now + 2 * (width.latency or SHORTEST_PAUSE)
        noise.count(refused=True, is_fresh=trouble.failures == 1)
        has_cut = permit.epoch != rate.epoch or (rate.limit < inf and not rate.has_passed)
        if permit.level > width.answered and rate.limit == inf and not noise.is_on_trial:  # a probe
            if permit.round == width.round and not noise.spend():
                width.refused()
        elif not has_cut and (rate.explains_refusal() or not noise.spend()):
            if not self._suspects:
                self._before_suspects = rate.limit
            self._suspects.add(trouble)
            self._cut(now, permit)

    def _cut(self, now: float, permit: Permit, quota: float = inf) -> None:
        """
        Cuts the rate, or begins a trial, as noise judges; ends a trial, and cuts the rate if that was wrong.

        The load that was refused is the level divided by the latency, which counts as 10 ms until one is known. While
        there is a rate, it is the rate, or the width divided by the latency if that is less.
        """
        rate, noise, latency = self._rate, self._noise, self._width.latency or FLOOR
        refused = permit.level / latency if rate.limit == inf else min(rate.limit, self.width / latency)
        if noise.is_on_trial:
            quota = inf  # too much was sent
        load = noise.judge(refused, rate.through, max(latency, now - rate.since), self.breaker.row)
        if load is not None:
            rate.cut(now, load, latency, quota)
            self._say(f"rate {rate.limit:.1f} a second: refused with {permit.level} at once")
        elif noise.is_on_trial:
            rate.raise_to(now, TRIAL_FACTOR * refused)
            self._width.begin(max(self._width.initial, int(refused * latency)))
            self._say(f"rate {rate.limit:.1f} a second, on trial: {noise.share:.0%} are refused, however few are sent")
        else:
            rate.mark(now)

    def _forget(self, now: float) -> None:
        self._width.forget()
        self._rate.forget(now)
        self._noise, self.breaker, self._evidence, self._wary = Noise(), Breaker(self.breaker.patience), Evidence(), 0
        self._suspects.clear()
