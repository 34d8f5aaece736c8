"""No alert holds with a mistake that the command can find; `.bench/bench_alerts.py` draws more of them."""

import pytest
from cli.alerts import ListingGalileo
from cli.mistakes import GROUPS, KINDS, draw_case

MOST = 5  # cases of a kind; the first one that doesn't fire is enough


@pytest.mark.parametrize("group", GROUPS)
def test_no_mistake_that_can_be_found_passes_as_good_news(running, group):
    """
    The alert that was meant fires; with the mistake, the status is never 0.

    An alert that fires in spite of a mistake says nothing about it, so another one is drawn.
    """
    running(ListingGalileo())
    passing: list[str] = []
    for kind in [kind for kind in KINDS if kind.group == group and kind.detectable]:
        for number in range(MOST):
            case = draw_case(kind, f"test {number}")
            assert case.meant.status == 3, f"{case}\n{case.meant.err}"
            if case.found.status != 3:
                break
        passing += [f"{kind.name}: {case}"] * case.passes
    assert not passing, "\n".join(passing)
