"""Refusals that come however little is sent: which are spared, when more are tried, and what a trial teaches."""

import pytest

from galileo_sessions.client.flow.noise import Noise


def succeed(noise: Noise, times: int) -> None:
    """As many successes."""
    for _ in range(times):
        noise.succeeded()


def spared(noise: Noise, refusals: int = 20) -> int:
    """How many of so many refusals in a row are spared."""
    return sum(noise.is_spared() for _ in range(refusals))


def seen(noise: Noise, answers: int, every: int) -> None:
    """As many answers, one in `every` of which is a refusal."""
    for number in range(answers):
        if number % every:
            noise.succeeded()
        else:
            noise.is_spared()


def cut_in_vain(noise: Noise, times: int) -> bool:
    """As many cuts, each at a lower load than the last; whether it's time to try then."""
    return [noise.is_time_to_try(100.0 * 0.8**number) for number in range(times)][-1]


def tried(noise: Noise) -> None:
    """One in ten was refused, and a trial has begun at 26 a second."""
    seen(noise, 100, every=10)
    assert cut_in_vain(noise, 7)
    noise.begin_trial(26.0)


def test_one_refusal_is_spared_before_any_success() -> None:
    assert 1 == spared(Noise())


@pytest.mark.parametrize(("successes", "count"), [(63, 1), (64, 2), (256, 5), (10_000, 5)])
def test_sixty_four_successes_pay_for_one_refusal_and_five_are_paid_for_at_most(successes: int, count: int) -> None:
    noise = Noise()
    succeed(noise, successes)
    assert count == spared(noise)


def test_it_is_time_to_try_after_six_cuts_that_did_not_help() -> None:
    noise = Noise()
    seen(noise, 100, every=10)
    assert not cut_in_vain(noise, 5)
    assert noise.is_time_to_try(10.0)


def test_cuts_at_the_same_load_have_helped_in_between() -> None:
    noise = Noise()
    seen(noise, 100, every=10)
    assert not any(noise.is_time_to_try(100.0 * 0.94**number) for number in range(20))


def test_a_cut_that_helped_makes_up_for_one_that_did_not() -> None:
    noise = Noise()
    seen(noise, 100, every=10)
    assert not any(noise.is_time_to_try(load) for load in [100.0, 80.0] * 20)


@pytest.mark.parametrize(("every", "tries"), [(2, False), (3, True), (50, True), (1_000, False)])
def test_nothing_is_tried_where_hardly_any_or_nearly_all_are_refused(every: int, tries: bool) -> None:
    noise = Noise()
    seen(noise, 101, every=every)
    assert tries is cut_in_vain(noise, 7)


def test_while_nobody_passes_cuts_that_do_not_help_say_nothing() -> None:
    noise = Noise()
    seen(noise, 100, every=10)
    cut_in_vain(noise, 6)
    noise.nobody_passes()
    assert not noise.is_time_to_try(10.0)


def test_a_trial_spares_three_times_the_share_that_was_refused() -> None:
    noise = Noise()
    tried(noise)
    assert 3 == spared(noise)
    succeed(noise, 40)
    assert 5 == spared(noise)


def test_a_trial_that_paid_goes_on_sparing() -> None:
    noise = Noise()
    tried(noise)
    seen(noise, 100, every=10)
    assert not noise.ends_trial(3 * 26.0)
    spared(noise)
    succeed(noise, 10)
    assert 3 == spared(noise)


@pytest.mark.parametrize(("answers", "load"), [(80, 1_000.0), (1_000, 77.0)], ids=["too few", "no more than before"])
def test_a_trial_that_did_not_pay_spares_nothing_more(answers: int, load: float) -> None:
    noise = Noise()
    tried(noise)
    seen(noise, answers, every=10)
    assert noise.ends_trial(load)
    spared(noise)
    succeed(noise, 60)
    assert 0 == spared(noise)


@pytest.mark.parametrize(("successes", "cuts"), [(15, 6), (16, 18)])
def test_the_next_trial_needs_three_times_as_many_cuts_if_the_last_one_was_clear(successes: int, cuts: int) -> None:
    noise = Noise()
    tried(noise)
    succeed(noise, successes)
    noise.ends_trial(100.0)
    assert [False] * (cuts - 1) + [True] == [noise.is_time_to_try(90.0 * 0.8**number) for number in range(cuts)]


def test_a_trial_ends_once() -> None:
    noise = Noise()
    assert not noise.ends_trial(10.0)
    tried(noise)
    assert noise.ends_trial(10.0)
    assert not noise.ends_trial(10.0)


def test_cuts_that_help_take_back_what_a_trial_gave() -> None:
    noise = Noise()
    tried(noise)
    seen(noise, 100, every=10)
    noise.ends_trial(100.0)
    for _ in range(40):
        noise.is_time_to_try(100.0)
    spared(noise)
    succeed(noise, 60)
    assert 0 == spared(noise)
