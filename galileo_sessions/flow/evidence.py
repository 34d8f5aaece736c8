"""
Evidence: whether a failure is the service's fault or the query's own.

A project can be broken, or a filter too heavy; its query then fails however often it is sent. A
service can be full; a query that it refused then succeeds as often as any other when it is sent
again. So what counts is how often queries succeed when they are sent, by how often they have failed
before: never, once, 2 or 3 times, 4 to 7 times, or more. Those that were refused and those that
failed are counted apart. *A failure is the service's if queries that failed as often, and were sent
again, succeed at least a quarter as often as fresh ones.* Otherwise it is the query's own. Those
that failed less often are the first guess, which weighs one case. The very first guess is that a
refusal is the service's, and that another failure is the query's own, unless a quarter of the fresh
queries fail.

A failure is added at the next answer to a request that was sent later, or never if the circuit
breaker opens before. If nothing is left to be sent later, a fan-out repeats a query that was
answered: if it is answered again, while others are refused again and again, these are bad.
"""

from collections import deque
from math import inf

from attrs import define

from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.troubles import AGE, REMEMBERED, Trouble

_CASES = 32  # that a share remembers
_ENOUGH = 0.25  # how often something must happen, relative to how often it usually does


@define(eq=False, repr=False)
class Share:
    """How many of the latest cases failed."""

    n: int = 0
    failed: float = 0.0
    at: float = -inf

    def add(self, now: float, *, failed: bool) -> None:
        """Adds one case; what is older than a minute is forgotten."""
        if now - self.at > AGE:
            self.n = 0
            self.failed = 0.0
        if self.n == _CASES:
            self.failed -= self.failed / _CASES
        else:
            self.n += 1
        self.failed += failed
        self.at = now

    def cases(self, now: float) -> tuple[int, float]:
        """How many cases are known, and how many of them failed."""
        if now - self.at > AGE:
            return 0, 0.0
        return self.n, self.failed


class Evidence:
    """How often queries succeed and fail."""

    def __init__(self) -> None:
        self.fresh: Share = Share()
        """Of queries that hadn't failed before."""
        self._again = [[self.fresh, Share(), Share(), Share(), Share()] for _ in range(2)]
        """
        Of those that failed and those that were refused last: never before, once, 2 or 3 times, 4
        to 7, or more.
        """
        self._row: deque[tuple[int, Share, Trouble]] = deque(maxlen=REMEMBERED)
        """Failures since which no request that was sent later has been answered."""

    def failed(self, number: int, trouble: Trouble) -> None:
        """Notes that a request failed, by its number, and the trouble that its query was in."""
        self._row.append((number, self._alike(trouble.failures, trouble.outcome)[-1], trouble))

    def answered(self, now: float, number: int, failures: int, outcome: Outcome) -> None:
        """
        Adds an answer, and the failures of requests that were sent before it.

        Args:
            now: When the answer came.
            number: The number of the request.
            failures: How often its query had failed in a row.
            outcome: The outcome of its query's last attempt before.
        """
        self._alike(failures, outcome)[-1].add(now, failed=False)
        for case in [*self._row]:
            before, share, _ = case
            if before < number:
                share.add(now, failed=True)
                self._row.remove(case)

    def drop_row(self) -> None:
        """
        Forgets the failures of the row, which began an outage. They cost fresh queries nothing.
        """
        for _, _, trouble in self._row:
            if trouble.failures == 1:
                trouble.spent = 0.0
        self._row.clear()

    def is_shared(self, now: float, failures: int, outcome: Outcome) -> bool:
        """Whether a failure is the service's; its query has failed so often in a row now."""
        n, failed = self.fresh.cases(now)
        row = sum(share is self.fresh for _, share, _ in self._row)
        others_fail = failed + row - 1 >= _ENOUGH * (n + row)
        # The success rate of similar retried queries, relative to fresh ones.
        helps = float(outcome.is_refusal or others_fail)
        for share in self._alike(failures, outcome)[1:]:
            again, failed_again = share.cases(now)
            expected = again * (1 - failed / max(1, n))
            helps = (again - failed_again + helps) / (expected + 1)
        return helps >= _ENOUGH

    def _alike(self, failures: int, outcome: Outcome) -> list[Share]:
        """
        The shares of fresh queries, and of those that failed or were refused last, up to so many
        times.
        """
        return self._again[outcome.is_refusal][: failures.bit_length() + 1]
