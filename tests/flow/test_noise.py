"""Noise: refusals that come however little is sent narrow nothing; those that the load explains do."""

import pytest

from galileo_sessions.flow.noise import Noise


def free(noise: Noise, most: int = 100) -> int:
    """How many refusals in a row the budget covers."""
    return next((number for number in range(most) if not noise.spend()), most)


def heard(share: float, answers: int = 640) -> Noise:
    """A budget after answers of which this share was refused, evenly."""
    noise = Noise()
    for number in range(answers):
        noise.count(refused=int((number + 1) * share) > int(number * share))
    return noise


def answers_per_refusal(noise: Noise) -> int:
    """How many answers pay for one refusal."""
    free(noise)
    for number in range(1, 100):
        noise.count(refused=False)
        if noise.spend():
            return number
    raise AssertionError("none is free")


def on_trial() -> Noise:
    """One that tries whether the load is the reason: it fell from 100 to 40 a second, and a fifth is still refused."""
    noise = heard(0.2)
    assert 100.0 == noise.judge(100.0, 0, 1)
    assert noise.judge(40.0, 0, 1) is None
    assert noise.is_on_trial
    return noise


def test_answers_pay_for_refusals() -> None:
    """For one in sixteen."""
    assert 16 == answers_per_refusal(Noise())


@pytest.mark.parametrize(
    ("share", "load", "row", "is_on_trial"),
    [(0.2, 60.0, 1, False), (0.2, 40.0, 2, True), (0.46, 40.0, 1, False), (0.2, 40.0, 3, False)],
    ids=["the load has hardly fallen", "it has", "more are refused than noise explains", "three in a row"],
)
def test_where_cuts_do_not_help_the_load_is_not_the_reason(
    share: float, load: float, row: int, is_on_trial: bool
) -> None:
    """If it has fallen to half of what was credible, and few are refused, then more is tried; otherwise it is cut."""
    noise = heard(share)
    assert 100.0 == noise.judge(100.0, 0, 1)
    assert (None if is_on_trial else load) == noise.judge(load, 0, row)
    assert noise.is_on_trial is is_on_trial


def test_a_load_of_which_most_is_refused_was_never_credible() -> None:
    """To fall below half of it proves nothing."""
    noise = heard(0.9)
    assert 100.0 == noise.judge(100.0, 0, 1)
    for _ in range(200):
        noise.count(refused=False)
    assert 40.0 == noise.judge(40.0, 0, 1)


def test_64_answers_before_the_next_cut_prove_a_trial_right() -> None:
    """Then refusals are noise, and stay as cheap."""
    noise = on_trial()
    assert noise.judge(1_000.0, 64, 1) is None
    assert not noise.is_on_trial
    assert 5 > answers_per_refusal(noise)


def test_otherwise_the_load_goes_back_to_where_the_trial_began() -> None:
    """And the budget is what it was."""
    noise = on_trial()
    assert 40.0 == noise.judge(1_000.0, 63, 1)
    assert not noise.is_on_trial
    assert answers_per_refusal(Noise()) == answers_per_refusal(noise)
