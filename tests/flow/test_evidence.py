"""Evidence: what is about one query and what is about the service, by how other queries fared lately."""

import pytest

from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import Meaning, Outcome


def known(others: int, failing: int, *, own: int = 0, recovered: bool = False) -> Evidence:
    """How many other queries are known, how many fail, and how often "own" has failed."""
    evidence = Evidence()
    for _ in range(own):
        evidence.add("own", 100.0, failed=True)
    for number in range(others):
        evidence.add(number, 100.0, failed=number < failing)
        if recovered:
            evidence.add(number, 100.0, failed=False)
    return evidence


@pytest.mark.parametrize(
    ("meaning", "own", "attempts", "others", "failing", "is_of_query"),
    [
        ("failed", 0, 0, 40, 0, True),
        ("failed", 9, 9, 37, 9, True),
        ("failed", 0, 0, 40, 10, False),  # a quarter
        ("failed", 0, 0, 1, 1, True),  # one other isn't several
        ("failed", 0, 0, 2, 2, False),
        ("failed", 0, 0, 0, 0, True),
        ("failed", 63, 0, 0, 0, True),
        ("failed", 64, 0, 0, 0, False),  # of a query that everybody polls
        ("refused", 0, 0, 40, 0, False),
        ("refused", 1, 1, 40, 0, False),
        ("refused", 0, 2, 40, 0, True),  # twice in one count
        ("refused", 2, 0, 40, 0, True),  # twice in any counts
        ("refused", 2, 2, 40, 9, True),
        ("refused", 2, 2, 40, 10, False),
        ("throttled", 0, 0, 40, 0, False),
        ("throttled", 2, 2, 40, 0, True),
        ("refused", 2, 0, 0, 0, False),  # nobody can tell
        ("refused", 0, 2, 0, 0, True),
    ],
)
def test_whose_trouble_a_failed_attempt_is(  # noqa: PLR0917
    meaning: Meaning, own: int, attempts: int, others: int, failing: int, is_of_query: bool
) -> None:
    """A refusal is the service's at first, and a failure only if several other queries fail, a quarter of them."""
    evidence = known(others, failing, own=own)
    assert is_of_query is evidence.is_of_query("own", 100.0, Outcome(meaning), attempts)


def test_a_success_ends_the_query_s_own_row() -> None:
    """Then its next refusal is the service's again."""
    evidence = known(40, 0, own=2)
    evidence.add("own", 100.0, failed=False)
    assert not evidence.is_of_query("own", 100.0, Outcome("refused"), 0)


@pytest.mark.parametrize(("now", "share"), [(114.9, 40.01 / 41), (115.0, 0.01)])
def test_a_failure_counts_for_15_seconds_after_a_success(now: float, share: float) -> None:
    """So half of all attempts that fail are enough to blame the service."""
    assert pytest.approx(share) == known(40, 40, recovered=True).failing_share("own", now)


@pytest.mark.parametrize(("now", "others"), [(159.9, 40), (160.0, 1)])
def test_an_outcome_is_known_for_a_minute(now: float, others: int) -> None:
    """Failures and successes that are older are as if they had never been; later ones stay."""
    evidence = known(40, 40)
    evidence.add(0, 101.0, failed=True)
    assert pytest.approx((others + 0.01) / (others + 1)) == evidence.failing_share("own", now)


def test_the_latest_64_queries_are_known() -> None:
    """One that is counted again is among the latest, and a query's many attempts weigh as one."""
    evidence = known(64, 64)
    assert pytest.approx(64.01 / 65) == evidence.failing_share("own", 100.0)
    for _ in range(100):
        evidence.add(0, 100.0, failed=True)
    for number in range(63):
        evidence.add(f"new {number}", 100.0, failed=False)
    assert pytest.approx(1.01 / 65) == evidence.failing_share("own", 100.0)
    assert pytest.approx(0.01) == evidence.failing_share(0, 100.0)


def test_a_retry_brings_no_other_query_back() -> None:
    """So a few projects that are always refused don't crowd out those that are counted."""
    evidence = known(64, 0)
    evidence.add("forgotten", 100.0, failed=True, again=True)
    assert pytest.approx(0.01) == evidence.failing_share("own", 100.0)
    evidence.add(0, 100.0, failed=True, again=True)
    evidence.add("new", 100.0, failed=False)
    assert pytest.approx(0.01) == evidence.failing_share("own", 100.0)  # the first one is still the oldest


@pytest.mark.parametrize(
    ("recovered", "now", "is_of_query"), [(18, 100.0, True), (20, 100.0, False), (20, 160.0, True)]
)
def test_a_refusal_is_the_service_s_while_retries_of_others_succeed(recovered, now, is_of_query):
    """A quarter of the latest retries is enough, for a minute: a full service takes later what it refused before."""
    evidence = known(40, 0, own=2)
    for _ in range(recovered):
        evidence.add(1, 100.0, failed=False, again=True)
    for number in range(1, 41):
        evidence.add(number, now, failed=False)
    assert is_of_query is evidence.is_of_query("own", now, Outcome("refused"), 2)


def test_at_least_one_in_a_hundred_is_assumed_to_fail() -> None:
    """Also if nothing is known, so that a failure costs at most a whole attempt."""
    assert [0.01, 0.01] == [known(others, 0).failing_share("own", 100.0) for others in (0, 64)]
