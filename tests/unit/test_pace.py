"""Arrivals, delays and the clock."""

import numpy as np
import pytest

from services.shopper.pace import Arrivals, Clock, Delays


def test_arrivals_come_at_their_rate_with_exponential_gaps() -> None:
    arrivals = Arrivals(50.0, 10.0, np.random.default_rng(1))
    moments = np.array([arrivals.next() for _ in range(20_000)])
    gaps = np.diff(moments, prepend=10.0)
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert (gaps > 0).all()


def test_delays_have_their_median_and_90th_percentile() -> None:
    delays = Delays(3.0, 20.0, np.random.default_rng(2))
    drawn = np.array([delays.draw() for _ in range(40_000)])
    assert np.median(drawn) == pytest.approx(3.0, rel=0.04)
    assert np.quantile(drawn, 0.9) == pytest.approx(20.0, rel=0.05)


def test_no_delay_is_longer_than_the_longest() -> None:
    delays = Delays(3.0, 20.0, np.random.default_rng(3), longest=10.0)
    assert max(delays.draw() for _ in range(1_000)) == 10.0


def test_the_clock_does_not_follow_a_wall_that_steps() -> None:
    wall, steady = iter([1_000.0, 2_000.0]), iter([5.0, 6.0, 7.5])
    clock = Clock(lambda: next(wall), lambda: next(steady))
    assert (clock.now(), clock.now()) == (1_001.0, 1_002.5)
