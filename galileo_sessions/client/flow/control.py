"""
How many requests at once, and how many a second: both learned from what a service accepts.

Theory of operation
===================

A service limits its clients in two ways: by how many requests it serves at once, and by how many it takes a second. It
rarely says which, nor how many. So two limits are learned together. The *width* bounds the requests that are under
way; the *rate* spaces them out. A request is sent when the door is open, fewer than `width` are under way, and 1/rate
has passed since the last one (the first `initial` requests are sent without regard to the rate)::

    rate         doubling . cut 0.7
      |           per   . '    |cut 0.8 until it fits                       . faster after a quiet second
      |        round  .'       |'|                     . cut 0.88     . - '
      |           . '            |'|  . - growth . - ' |    . - growth
      |       . '                  |'   2 below 0.95   | . '
      |   . '                            of what was refused, at first
      +---------------------------------------------------------------------------------> time
      slow start                  a token bucket empties now and then          it has more to give

*Slow start* lasts until the first refusal that counts: the width grows by one with each success, the rate doubles per
round of max(latency, 0.1 s). Afterwards only the limit that was waited for grows, by 1.4 times its root a second, at
most by a quarter; faster after a quiet second. What was refused is approached to 0.95, and passed after 0.5 s and 20
successes, or after a second, whichever comes first: slow clients would never get their share otherwise.

*Blame.* What was sent before the last cut says nothing new, and a few refusals are anybody's; where cuts don't help,
`noise` learns that more are. A refusal that stood high among the requests under way that were accepted, after quiet,
blames the width. One that came late, as a time-out does, halves the width. All others blame the rate.

*Growth must pay.* Not all services refuse: some only become slow. A round of answers tells among how many requests
they were sent and how long they took. When half as many again are under way, latency may rise by the root of 1.5; if
it rises more, the width falls to what keeps up the throughput at the latency of before. Latency four times the lowest
halves the width, for other clients may have caused it; the lowest is forgotten slowly, by a twentieth a round.
Latencies below 0.01 s, and any while the caller itself is busy, say nothing about the service.

*The door* closes when eight consecutive requests were refused, and that blames no limit: nobody passes, for the
service is away, or the quota of a window is used up. One probe at a time is sent then, after pauses of a sixth
of the time so far (0.1 to 2 s), or of the probe's Retry-After. The first success opens it, with the limits of before::

    open  xxxxxxxx  closed  .x .x ..x ...x ....x .....x ......o  open
    8 refused in a row      pauses grow, each probe is refused; one passes

Those who wait at a door that stays closed are told when it is hopeless: after `patience`, or after six seconds if the
service has never answered. Who comes later begins to wait anew, with a probe.

*An allowance* (RateLimit headers) holds until its reset: no more is sent than remains after those under way. It never
raises a limit.

Invariants: under way <= width when one is sent, or it is a probe; 1 <= width <= maximum; rate >= 0.5; with nothing
under way the wait is finite; a refusal of what was sent before a cut doesn't cut. Decisions take `now`, in seconds of a
clock that never goes back, hold no clock, and are O(1).
"""

from collections.abc import Callable
from enum import Enum
from math import inf, sqrt

from attrs import define, frozen

from galileo_sessions.client.flow.noise import Noise

_ROUND = 0.1  # seconds that a round takes at least; slow start doubles the rate in one
_TIMER = 0.0002  # seconds; timers are no finer
_CATCH_UP = 0.002  # seconds of the pace that may be made up for
_FIRST_CUT, _NEXT_CUT, _LATER_CUT = 0.7, 0.8, 0.88  # of the rate is left: after slow start, soon again, after quiet
_NARROWED = 0.9  # of the width is left
_HOLD, _ENOUGH, _BELOW = 0.5, 20, 0.95  # for so many seconds and successes, 0.95 of the refused rate isn't passed
_SPEED = 1.4  # growth a second is this times the square root
_FASTER_AFTER = 1.0  # seconds without a refusal
_ROW = 8  # refused, one after another, close the door
_LONGEST_PAUSE, _DOUBT = 2.0, 6.0  # seconds between two probes; of hope, if the service never answered
_GRACE = 1.0  # seconds after the end of a pause within which those who wait ask
_LOWEST_RATE = 0.5
_STEP = 1.5  # times as many under way: growth that must have paid
_COLLAPSED, _FORGETTING = 4, 1.05  # times the lowest latency, which rises by so much a round
_LATE, _TOO_LATE = 1.0, 10.0  # seconds after which a refusal may say, and says, that too many are under way
_FLOOR = 0.01  # seconds of latency that tell nothing of the service


@frozen
class Permit:
    """
    What a request was sent with; it goes back with its answer.

    Args:
        at: When it was sent.
        number: How many had been sent, itself included.
        cuts: How often the limits had been cut; -1 in the first burst, which tells nothing of a rate.
        at_once: How many were under way, itself included.
    """

    at: float
    number: int
    cuts: int
    at_once: int


class _Waited(Enum):
    """What was waited for last."""

    NOT = "not"
    WIDTH = "width"
    RATE = "rate"


@define
class _Limit:
    """A width or a rate: what is allowed now, and what isn't passed before things have settled."""

    value: float
    refused: float = inf

    def grow(self, seconds: float, quiet_for: float, *, settled: bool) -> None:
        """Grows for so many seconds, faster after a quiet second."""
        x = self.value
        speed = min(_SPEED * sqrt(x), x / 4) + x * min(2.0, max(0.0, quiet_for - _FASTER_AFTER))
        grown = x + seconds * speed
        self.value = grown if settled else max(x, min(grown, self.refused))


@define
class _Door:
    """Closed while nobody passes: one probe at a time, with pauses between them."""

    row: int = 0
    last_refused: int = -1
    is_closed: bool = False
    probe: int | None = None
    closed_at: float = 0.0
    opens_at: float = -inf
    away_until: float = -inf
    """Until when the service has asked to be left alone; no answer that comes late shortens that."""

    def count_refusal(self, number: int) -> None:
        """Counts how many of those sent last were refused, without one between them that passed."""
        self.row = self.row + 1 if number == self.last_refused + 1 else 1
        self.last_refused = number

    def refuse(self, now: float, number: int, retry_after: float | None) -> bool:
        """
        Nobody passes: closes the door; after a refused probe, pauses for a sixth of the time so far or its Retry-After.

        A Retry-After of 1 may mean a few milliseconds, for the header has whole seconds.

        Returns:
            Whether this is news: late answers to what was sent before it closed aren't.
        """
        is_news = not self.is_closed or number == self.probe
        if is_news:
            self.probe = None
            pause = min(_LONGEST_PAUSE, max(_ROUND, self.seconds_closed(now) / 6))
        else:
            pause = 0.0
        if self.is_closed and retry_after and retry_after != 1:
            pause = retry_after
        self.shut(now, pause)
        return is_news

    def shut(self, now: float, seconds: float) -> None:
        """Closes the door for at least so long."""
        if not self.is_closed:
            self.is_closed, self.closed_at = True, now
        self.opens_at = max(self.opens_at, now + seconds)

    def released(self, number: int) -> None:
        """What came says nothing on the load: a row of refusals goes on over it."""
        self.last_refused += number == self.last_refused + 1
        if number == self.probe:
            self.probe = None

    def passed(self, now: float, number: int) -> bool:
        """Opens the door for one who was sent after all that were refused; returns whether it was closed."""
        if number == self.probe:
            self.probe = None
        if number <= self.last_refused or now < self.away_until:
            return False
        opened, self.row, self.is_closed, self.probe = self.is_closed, 0, False, None
        self.opens_at = -inf
        return opened

    def seconds_closed(self, now: float) -> float:
        """For how long it has been closed; 0 while it's open."""
        return now - self.closed_at if self.is_closed else 0.0

    def outlasts(self, patience: float) -> bool:
        """Whether it stays closed for longer than that, and a pause."""
        return self.is_closed and self.opens_at - self.closed_at > patience + _LONGEST_PAUSE


@define
class _Rounds:
    """Rounds of answers: among how many they were sent on average, and how long they took."""

    at: float
    answers: int = 0
    sent_before: int = 0
    total_width: float = 0.0
    lowest: float = inf
    total_latency: float = 0.0
    paid_width: float = 0.0
    paid_latency: float = 0.0

    def forget(self, number: int) -> None:
        """Begins anew, with those that are sent after this one: the limits have changed."""
        self.sent_before, self.paid_width = number, 0.0

    def begin(self, now: float) -> None:
        """Begins a round."""
        self.at, self.answers, self.total_width, self.total_latency = now, 0, 0.0, 0.0

    def count(self, now: float, permit: Permit) -> None:
        """Counts an answer, if it was sent under the limits of this round."""
        if permit.number <= self.sent_before:
            self.begin(now)
        else:
            self.answers += 1
            self.total_width += permit.at_once
            self.total_latency += now - permit.at

    def is_over(self, now: float, enough: int, latency: float) -> bool:
        """Whether there are enough answers, over more than their latency."""
        return self.answers >= enough and now - self.at >= max(latency, _ROUND)

    def too_wide(self) -> float | None:
        """
        Growth must pay: with half as many again under way, latency may grow by the root of that.

        Returns:
            None, or if it has grown by more the width that keeps up the throughput with the latency of before.
        """
        width, latency = self.total_width / self.answers, max(_FLOOR, self.total_latency / self.answers)
        self.lowest = min(latency, self.lowest * _FORGETTING)
        if latency > _COLLAPSED * self.lowest and width >= 4:
            return width / 2
        grown = self.paid_width and width >= max(4, _STEP * self.paid_width)
        if grown and latency > self.paid_latency * sqrt(width / self.paid_width):
            return max(self.paid_width, width * self.paid_latency / latency)
        if grown or not self.paid_width or width < self.paid_width or latency < self.paid_latency:
            self.paid_width, self.paid_latency = width, latency
        return None


class FlowControl:
    """
    The width and the rate at which one client sends, and the door.

    Args:
        maximum: Requests that may be under way at once, at most.
        now: When it begins.
        initial: Requests at once to begin with; as many are sent without regard to the rate.
        rate: Requests a second to begin with.
        patience: Seconds that a closed door is waited at, if the service ever answered.
        is_busy: Whether the caller itself is what makes answers slow.
        on_change: Called with one sentence for each change of the limits.
    """

    def __init__(
        self,
        maximum: int = 256,
        *,
        now: float = 0.0,
        initial: int = 10,
        rate: float = 100.0,
        patience: float = 90.0,
        is_busy: Callable[[], bool] | None = None,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        self._maximum, self._patience = maximum, patience
        self._is_busy, self._on_change = is_busy, on_change
        self._width, self._rate = _Limit(float(min(initial, maximum))), _Limit(rate)
        self._door, self._rounds = _Door(), _Rounds(now)
        self._burst = min(initial, maximum)
        self._in_flight = self._number = self._settled = 0
        self._cuts = self._quiet = 0
        self._slow_start, self._answered = True, False
        self._latency = self._mean = self._spread = 0.0
        self._noise = Noise()
        self._before_trial = (inf, inf)
        self._cut_at = self._grown_at = now
        self._last_sent, self._waited = -inf, _Waited.NOT
        self._left, self._resets_at, self._left_since = 0, -inf, 0
        self.last_success: float | None = None

    @property
    def width(self) -> int:
        """Requests that may be under way at once, now."""
        return int(self._width.value + 0.5)

    @property
    def rate(self) -> float:
        """Requests a second, now."""
        return self._rate.value

    @property
    def in_flight(self) -> int:
        """Requests that are under way, now."""
        return self._in_flight

    @property
    def is_closed(self) -> bool:
        """Whether nobody passes, so that one probe at a time is sent."""
        return self._door.is_closed

    def seconds_closed(self, now: float) -> float:
        """For how long the door has been closed; 0 while it's open."""
        return self._door.seconds_closed(now)

    def is_hopeless(self, now: float) -> bool:
        """Whether the door has been closed for so long that all who wait had better hear it, until the next probe."""
        return self._is_past_hope() and now < self._door.opens_at + _GRACE

    def wait(self, now: float) -> float:
        """Seconds until one may be sent; 0: now; infinite: ask again when something has come back."""
        door = self._door
        if now < door.opens_at:
            return door.opens_at - now
        if door.probe is not None if door.is_closed else self._in_flight >= int(self._width.value + 0.5):
            self._waited = _Waited.WIDTH
            return inf
        if now < self._resets_at and self._in_flight >= self._left:
            return self._resets_at - now
        pace = self._last_sent + 1 / self._rate.value - now
        if pace <= _TIMER or self._burst or door.is_closed:  # a probe has the pauses of the door
            return 0.0
        self._waited = _Waited.RATE
        return pace

    def sent(self, now: float) -> Permit:
        """Counts a request that is sent; its permit goes back once, with what came of it."""
        if self._door.is_closed and now >= self._door.opens_at + _GRACE:  # nobody has asked since
            self._door.closed_at = now
        self._in_flight += 1
        self._number += 1
        if self._door.is_closed:
            self._door.probe = self._number
        self._last_sent = max(self._last_sent + 1 / self._rate.value, now - _CATCH_UP)
        cuts = self._cuts
        if self._burst:
            self._burst, cuts = self._burst - 1, -1
        return Permit(now, self._number, cuts, self._in_flight)

    def answered(self, now: float, permit: Permit) -> None:
        """The service had room, but says with a 404 or the like nothing of how long a count takes."""
        self._settle(permit)
        if self._door.passed(now, permit.number):
            self._say("the door opens: a probe has passed")
        self._noise.succeeded()
        if permit.cuts in (self._cuts, -1):
            self._accepted(permit.at_once)
        self._grow(now, permit.at_once)

    def succeeded(self, now: float, permit: Permit) -> None:
        """The service did what it was asked for."""
        self.last_success, self._answered = now, True
        self._latency += (now - permit.at - self._latency) / (16 if self._latency else 1)
        self.answered(now, permit)
        enough = 16 if self._slow_start else 64
        self._rounds.count(now, permit)
        if self._rounds.is_over(now, enough, self._latency):
            self._judge(now)

    def refused(self, now: float, permit: Permit, retry_after: float | None = None, *, told: bool = False) -> None:
        """
        The service had too much to do: a 429, 503, 504, a connect error, a reset, a time-out.

        Args:
            now: When it came.
            permit: What it was sent with.
            retry_after: Seconds, if the answer had them.
            told: Whether the service answered on purpose: with a 429, or with a Retry-After.
        """
        self._settle(permit)
        self._answered = self._answered or told
        self._grown_at = now
        self._rounds.forget(self._number)
        self._door.count_refusal(permit.number)
        nobody_passes = self._door.row >= _ROW and (permit.cuts >= 0 or self.last_success is None)
        if nobody_passes or self._door.is_closed:
            self._close(now, permit, retry_after)
        if permit.cuts != self._cuts:  # cut since then
            return
        if self._noise.is_spared():
            return
        load = min(self._rate.value, self._width.value / max(self._latency, _FLOOR))
        if now - permit.at > min(_TOO_LATE, max(_LATE, _COLLAPSED * min(self._latency, self._rounds.lowest))):
            self._halve(permit.at_once)
        elif not self._door.is_closed:
            self._cut(now, permit)
        self._cuts, self._cut_at, self._quiet, self._slow_start = self._cuts + 1, now, 0, False
        self._try_more(load)

    def released(self, now: float, permit: Permit) -> None:
        """What came says nothing on the load: a 500, a cancellation."""
        self._settle(permit)
        self._door.released(permit.number)

    def shut(self, now: float, seconds: float) -> None:
        """Closes the door for all, for at least so many seconds; one probe comes then."""
        self._door.shut(now, seconds)
        self._door.away_until = self._door.opens_at
        self._say(f"the door is closed for {seconds:.1f} s: the service asked for it")

    def allowance(self, now: float, remaining: int, seconds: float) -> None:
        """
        The service says, with the answer that was settled last, what remains until a reset; this never raises a limit.

        Args:
            now: When it came.
            remaining: Requests that it takes until the reset, of all that it hadn't seen then.
            seconds: Until the reset.
        """
        if now >= self._resets_at or self._settled > self._left_since:
            self._left, self._left_since = remaining, self._number
        else:
            self._left = min(self._left + 1, remaining)
        self._resets_at = now + seconds

    def _settle(self, permit: Permit) -> None:
        self._in_flight -= 1
        self._settled = permit.number
        self._left -= 1  # used; an allowance that comes with the answer says so itself

    def _is_past_hope(self) -> bool:
        return self._door.outlasts(self._patience if self._answered else _DOUBT)

    def _accepted(self, at_once: int) -> None:
        self._quiet += 1
        self._mean += (at_once - self._mean) / (25 if self._mean else 1)
        self._spread += (abs(at_once - self._mean) - self._spread) / 25

    def _grow(self, now: float, at_once: int) -> None:
        seconds, quiet_for = min(0.25, now - self._grown_at), now - self._cut_at
        settled = quiet_for > _FASTER_AFTER or (quiet_for > _HOLD and self._quiet >= _ENOUGH)
        width, rate = self._width, self._rate
        if self._slow_start:
            width.value += at_once * 2 >= width.value
            rate.value *= 2 ** (seconds / max(self._latency, _ROUND)) if self._waited is _Waited.RATE else 1
        elif self._waited is _Waited.WIDTH:
            most = width.value + 0.25
            width.grow(seconds, quiet_for, settled=settled)
            width.value = min(width.value, most)
        elif self._waited is _Waited.RATE:
            rate.grow(seconds, quiet_for, settled=settled)
        width.value = min(width.value, self._maximum)
        self._waited, self._grown_at = _Waited.NOT, now

    def _judge(self, now: float) -> None:
        """Goes back to the width that paid, if the growth since then hasn't."""
        rounds, width = self._rounds, self._width
        enough = rounds.too_wide() if self._is_busy is None or not self._is_busy() else None
        if enough is not None:
            width.refused, width.value = enough, max(1.0, min(width.value, _NARROWED * enough))
            self._slow_start, self._cut_at = False, now
            rounds.forget(self._number)
            self._say(f"width {self.width}: more at once only took longer")
        rounds.begin(now)

    def _close(self, now: float, permit: Permit, retry_after: float | None) -> None:
        self._noise.nobody_passes()
        if self._door.refuse(now, permit.number, retry_after):
            self._say(f"the door is closed for {self._door.opens_at - now:.1f} s: {self._door.row} refused in a row")

    def _cut(self, now: float, permit: Permit) -> None:
        """Blames the width for a refusal that stood high among those accepted, else the rate."""
        at_once, width, rate = permit.at_once, self._width, self._rate
        late = not self._slow_start and now - self._cut_at > _HOLD
        if late and 3 < at_once >= min(self._mean + 1 + self._spread, width.value - 0.5):
            width.refused, width.value = at_once - 0.5, max(1.0, _NARROWED * (at_once - 1))
            self._say(f"width {self.width}: refused with {at_once} at once")
        else:
            cut = _FIRST_CUT if self._slow_start else _LATER_CUT if late else _NEXT_CUT
            rate.refused, rate.value = _BELOW * rate.value, max(_LOWEST_RATE, rate.value * cut)
            self._say(f"rate {rate.value:.1f} a second: refused with {at_once} at once")

    def _try_more(self, load: float) -> None:
        """Whether refusals come of the load: where cuts don't help, tries more; where more didn't pay, goes back."""
        if self._noise.ends_trial(load):
            width, rate = self._before_trial
            self._width.value, self._rate.value = min(self._width.value, width), min(self._rate.value, rate)
            self._say(f"width {self.width}, rate {self.rate:.1f} a second: more only brought more refusals")
        elif self._noise.is_time_to_try(load):
            self._before_trial, self._slow_start = (self._width.value, self._rate.value), True
            share = self._noise.begin_trial(load)
            self._say(f"more is tried: {100 * share:.0f} % are refused, however little is sent")

    def _halve(self, at_once: int) -> None:
        self._width.value = max(1.0, min(self._width.value, at_once) / 2)
        self._say(f"width {self.width}: refused late, or not answered in time, with {at_once} at once")

    def _say(self, reason: str) -> None:
        if self._on_change is not None:
            self._on_change(reason)
