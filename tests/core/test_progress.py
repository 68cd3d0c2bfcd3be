"""Fraction, rate and time left agree with each other."""

import dataclasses

import pytest

from psr_studio.core.progress import Progress


def test_eta_times_rate_is_what_is_left():
    event = Progress("pool", done=30, total=120, seconds=6.0)
    assert event.fraction == 0.25
    assert event.rate == 5.0
    assert event.eta_seconds == pytest.approx((120 - 30) / 5.0)


def test_units_of_an_earlier_run_do_not_count_for_the_rate():
    event = Progress("pool", done=30, total=120, seconds=6.0, resumed=24)
    assert event.rate == 1.0
    assert event.eta_seconds == 90.0


def test_time_left_is_unknown_before_the_first_unit():
    assert Progress("pool", 0, 10, seconds=3.0).eta_seconds is None
    assert Progress("pool", 5, 10).eta_seconds is None


def test_a_finished_or_empty_stage_has_nothing_left():
    for event in (Progress("score", 10, 10), Progress("score", 0, 0)):
        assert (event.fraction, event.eta_seconds) == (1.0, 0.0)


def test_an_event_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Progress("pool", 0, 1).done = 1  # type: ignore[misc]


def test_time_left_goes_on_while_no_event_comes():
    """2 units in 20 s, 8 left: 80 s, counted down for the 10 s of a unit; then the rate falls and the time grows."""
    event = Progress("evaluate", 2, 10, seconds=20.0)
    assert event.waited(0, 1, 0) == (0.1, 80.0)
    assert event.waited(7, 1, 0) == (0.1, 73.0)
    rate, left = event.waited(40, 1, 0)
    assert rate == pytest.approx(3 / 60) and left == pytest.approx(7 * 60 / 3)
    later = Progress("evaluate", 2, 10, "Still at it.", seconds=27.0)
    assert later.waited(33, 1, 7) == pytest.approx((rate, left)), (
        "an event without an advance changes nothing"
    )
    assert Progress("evaluate", 0, 10).waited(5, 1, 0) == (0.0, None)
