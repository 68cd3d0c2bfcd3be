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
