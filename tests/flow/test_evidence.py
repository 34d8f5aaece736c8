"""Evidence: whose fault a failure is, and what it costs, by how often queries succeed when they are sent again."""

from math import ceil

import pytest

from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import Meaning, Outcome
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE, Trouble

REFUSED, FAILED = Outcome("refused"), Outcome("failed")
BAD = ((0, FRESH, 20, 0), (1, IN_TROUBLE, 0, 8))  # a service that is well, but doesn't answer what failed before


def fail(evidence: Evidence, failures: int, standing: int, before: Outcome = REFUSED) -> Trouble:
    """Lets a query fail that has failed so often before, with the same outcome; it costs an attempt."""
    trouble = Trouble(0.0, failures, outcome=before)
    evidence.failed(trouble, standing)
    trouble.spent = 1.0
    return trouble


def known(*cases: tuple[int, int, int, int], before: Outcome = REFUSED) -> Evidence:
    """What is known at 0.0; cases are failures before, the standing, and how many were answered and failed then."""
    evidence = Evidence()
    for failures, standing, _, failed in cases:
        for _ in range(failed):
            fail(evidence, failures, standing, before)
    for failures, standing, answered, _ in cases:
        for _ in range(answered):
            evidence.answered(0.0, Trouble(0.0, failures, outcome=before), standing, ends_row=True)
    return evidence


def shared(evidence: Evidence, meaning: Meaning = "refused") -> list[int]:
    """After how many failures of a query, up to 16, the last one is the service's."""
    return [failures for failures in range(1, 17) if evidence.is_shared(Outcome(meaning), 0.0, failures)]


@pytest.mark.parametrize("meaning", ["failed", "refused"])
@pytest.mark.parametrize(
    ("cases", "shared_until"),
    [
        ([(0, FRESH, 36, 4), (1, IN_TROUBLE, 0, 8)], 0),
        ([(0, FRESH, 6, 14), (1, IN_TROUBLE, 3, 7)], 16),
        ([(0, FRESH, 6, 4), *[(before, IN_TROUBLE, 4, 4) for before in (1, 2, 4)], (8, IN_TROUBLE, 0, 8)], 7),
        ([(0, FRESH, 0, 7)], 16),
    ],
    ids=["a tenth of the projects is bad", "full", "both", "down"],
)
def test_whose_fault_a_failure_is(cases, shared_until, meaning) -> None:
    """It is the service's if queries that failed as often succeed a quarter as often as fresh ones."""
    assert [*range(1, shared_until + 1)] == shared(known(*cases, before=Outcome(meaning)), meaning)


@pytest.mark.parametrize(("failures", "first"), [(1, 1), (2, 2), (3, 2), (4, 4), (7, 4), (8, 8), (100, 8)])
def test_queries_are_compared_with_those_that_failed_as_often(failures, first) -> None:
    """Once, 2 or 3 times, 4 to 7 times, or more; what isn't known is as with one failure less."""
    evidence = known((0, FRESH, 20, 0), (failures, IN_TROUBLE, 0, 8))
    assert [*range(1, first)] == shared(evidence)


def test_queries_that_failed_say_nothing_of_those_that_were_refused() -> None:
    """A full service refuses; its bad projects fail."""
    evidence = known(*BAD, before=FAILED)
    assert [evidence.is_shared(outcome, 0.0, 1) for outcome in (FAILED, REFUSED)] == [False, True]


@pytest.mark.parametrize(
    ("meaning", "answered", "failed", "is_shared"),
    [
        ("refused", 0, 0, True),
        ("refused", 40, 0, True),
        ("throttled", 40, 0, True),
        ("failed", 0, 0, False),
        ("failed", 0, 1, True),
        ("failed", 30, 10, False),  # this one makes it 41
        ("failed", 30, 11, True),
    ],
)
def test_until_something_is_known_of_queries_that_were_sent_again(meaning, answered, failed, is_shared) -> None:
    """A refusal is the service's fault, and a failure the query's own, unless a quarter of the others fail."""
    evidence = known((0, FRESH, answered, failed))
    fail(evidence, 0, FRESH)
    assert is_shared is evidence.is_shared(Outcome(meaning), 0.0, 1)


@pytest.mark.parametrize(
    ("standing", "answered", "failed", "others", "is_shared"),
    [
        (ANSWERED, 16, 0, 16, False),
        (FRESH, 16, 0, 16, True),
        (ANSWERED, 8, 8, 16, True),
        (ANSWERED, 12, 1, 14, True),
        (ANSWERED, 12, 1, 15, False),  # one in 13 of them fails, and 16 in 28 of all
    ],
)
def test_queries_that_were_answered_lately_are_a_second_witness(standing, answered, failed, others, is_shared) -> None:
    """If they fail less than a quarter as often as all, no failure is the service's."""
    assert is_shared is known((0, standing, answered, failed), (0, FRESH, 0, others)).is_shared(REFUSED, 0.0, 1)


@pytest.mark.parametrize(("now", "is_shared"), [(3.0, False), (3.1, True)])
def test_the_second_witness_knows_those_that_failed_as_often(now, is_shared) -> None:
    """Even if hardly any fresh ones fail; for three seconds, because it could be in trouble by then."""
    evidence = known((0, ANSWERED, 16, 0), (1, IN_TROUBLE, 2, 3))
    assert is_shared is evidence.is_shared(REFUSED, now, 1)
    assert evidence.is_shared(REFUSED, now, 2)


@pytest.mark.parametrize("is_outage", [False, True])
def test_a_row_of_failures_is_known_once_a_later_request_is_answered(is_outage) -> None:
    """An answer to an earlier one doesn't end it. If it begins an outage, it was the service's, and cost nothing."""
    evidence, told = known((0, FRESH, 16, 0)), list[bool]()
    troubles = [fail(evidence, failures, FRESH) for failures in [0, 1] * 8]
    if is_outage:
        evidence.drop_row(0.0)
    for ends_row in (False, True):
        evidence.answered(0.0, None, FRESH, ends_row=ends_row)
        told.append(evidence.is_shared(REFUSED, 0.0, 1))
    assert [True, is_outage] == told
    assert [0.0 if is_outage else 1.0] * 16 == [trouble.spent for trouble in troubles]


@pytest.mark.parametrize(("now", "is_known"), [(60.0, True), (60.1, False)])
def test_a_share_is_known_for_a_minute(now, is_known) -> None:
    """After that, all begins anew."""
    bad = known(*BAD)
    assert is_known is not bad.is_shared(REFUSED, now, 1)
    bad.answered(now, Trouble(now, 1, outcome=REFUSED), IN_TROUBLE, ends_row=True)
    assert is_known is not bad.is_shared(REFUSED, now, 1)


@pytest.mark.parametrize(("now", "cost"), [(15.0, 0.16), (15.1, 1.0)])
def test_how_often_queries_fail_lately_is_known_for_15_seconds(now, cost) -> None:
    """After that, a failure costs a whole attempt again."""
    assert pytest.approx(cost, abs=0.01) == known((0, FRESH, 16, 16)).cost(FAILED, now, 1)


def test_the_latest_cases_count() -> None:
    """Eight answers after a hundred failures are a quarter of those that a share remembers, until others follow."""
    evidence, told = known((0, FRESH, 20, 0), (1, IN_TROUBLE, 0, 100), (0, FRESH, 1, 0)), list[bool]()
    for failed in [0] * 8 + [8]:
        for _ in range(failed):
            fail(evidence, 1, IN_TROUBLE)
        evidence.answered(0.0, None if failed else Trouble(0.0, 1, outcome=REFUSED), IN_TROUBLE, ends_row=True)
        told.append(evidence.is_shared(REFUSED, 0.0, 1))
    assert [False] * 7 + [True, False] == told


@pytest.mark.parametrize(
    ("failing", "cost", "attempts"), [(0, 1, 4), (3, 0.5, 8), (16, 0.15, 27), (29, 0.021, 188), (31, 0.0068, 587)]
)
def test_a_failure_costs_the_more_the_more_surprising_it_is(failing, cost, attempts) -> None:
    """With 4 attempts, a query is given up when the odds that it was only unlucky fall to 1 in 100 million."""
    evidence = known((0, FRESH, 31 - failing, failing), (1, IN_TROUBLE, 1, 0))
    fail(evidence, 0, FRESH)
    found, odds = evidence.cost(FAILED, 0.0, 1), max(0.01, (failing + 0.01) / 32)
    assert (pytest.approx(cost, rel=0.03), attempts) == (found, ceil(4 / found))
    assert odds**attempts < 1.0001e-8 < odds ** (attempts - 1)
    assert 2 * found == evidence.cost(Outcome("failed", cost=2), 0.0, 1)  # a timeout


@pytest.mark.parametrize(
    ("failing", "answered", "cost"),
    [
        (16, 0, 0.64),
        (16, 1, 0.49),
        (16, 2, 0.04),  # from here on, it is the service's
        (16, 4, 0.07),
        (16, 8, 0.15),
        (16, 16, 0.16),
        (4, 0, 1.0),
        (4, 4, 0.7),  # too few of the fresh ones fail
        (4, 16, 0.45),
    ],
)
def test_what_a_failure_costs_if_queries_seldom_succeed_when_they_are_sent_again(failing, answered, cost) -> None:
    """It costs more, but it costs less if a quarter of the fresh ones fail, too, and the failure is the service's."""
    evidence = known((0, FRESH, 32 - failing, failing), (1, IN_TROUBLE, answered, 16 - answered))
    fail(evidence, 0, FRESH)
    assert pytest.approx(cost, abs=0.01) == evidence.cost(REFUSED, 0.0, 1)
