"""Trend and outliers against numpy's least squares, exact series and simulated noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.checks import Trend, outliers, trend

SERIES = st.lists(st.floats(-1, 1), min_size=4, max_size=40)


@given(SERIES, st.data())
def test_the_slope_is_that_of_least_squares(logs: list[float], data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, 500), min_size=len(logs), max_size=len(logs), unique=True)))
    assert trend(places, logs).slope == pytest.approx(np.polyfit(places, logs, 1)[0], abs=1e-9)


def test_a_steady_drift_is_a_trend_of_its_size() -> None:
    found = trend(range(8), [math.log(1.01) * index for index in range(8)])
    assert found.significant
    assert found.percent == pytest.approx(1.0)


def test_noise_is_called_a_trend_in_one_series_of_a_hundred() -> None:
    draws = np.random.default_rng(3).standard_normal((4000, 12)) * 0.01
    called = sum(trend(range(12), row).significant for row in draws.tolist())
    assert called / 4000 == pytest.approx(0.01, abs=5 * math.sqrt(0.01 * 0.99 / 4000))


def test_a_drift_beyond_the_noise_is_found() -> None:
    draws = np.random.default_rng(4).standard_normal((200, 12)) * 0.01 + 0.01 * np.arange(12)
    assert all(trend(range(12), row).significant for row in draws.tolist())


@pytest.mark.parametrize(("share", "significant"), [(0.99, False), (1.01, True), (-0.99, False), (-1.01, True)])
def test_a_trend_over_four_points_must_exceed_students_t_of_two_degrees_of_freedom(share: float, significant: bool) -> None:
    """Residuals of +1, -1, -1, +1 are neither level nor slope; the slope's standard error is sqrt(4 / (4 - 2) / 5)."""
    slope = share * 9.925 * math.sqrt(4 / 2 / 5)  # two-sided 99% as printed
    found = trend(range(4), [slope * place + residual for place, residual in enumerate((1, -1, -1, 1))])
    assert found.slope == pytest.approx(slope)
    assert found.significant == significant


@pytest.mark.parametrize("logs", [[], [1.0], [1.0, 2.0, 3.0], [0.5] * 9, [1e-13 * index for index in range(9)]])
def test_few_or_equal_points_have_no_trend(logs: list[float]) -> None:
    assert not trend(range(len(logs)), logs).significant


def test_points_at_one_place_have_no_trend() -> None:
    assert trend([3] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]) == Trend(0.0, significant=False)


@given(SERIES, st.floats(-5, 5))
def test_neither_check_depends_on_the_level(logs: list[float], level: float) -> None:
    rounded = [round(value, 3) for value in logs]
    moved = [value + round(level, 3) for value in rounded]
    assert trend(range(len(logs)), moved).slope == pytest.approx(trend(range(len(logs)), rounded).slope, abs=1e-9)


def test_a_far_block_is_named_and_its_neighbours_are_not() -> None:
    logs = [0.70, 0.71, 0.69, 0.70, 1.50, 0.705, 0.695, 0.70, -0.2]
    assert outliers(logs) == (4, 8)


def test_equal_blocks_have_no_outlier_and_rounding_makes_none() -> None:
    assert outliers([0.7] * 12) == ()
    assert outliers([0.7] * 11 + [0.7 + 1e-12]) == ()
    assert outliers([0.7] * 11 + [0.8]) == (11,)


# Croux & Rousseeuw, COMPSTAT 1992: what the median absolute deviation of so few values falls short by.
@pytest.mark.parametrize(("count", "correction"), [(8, 1.129), (9, 1.107), (10, 10 / 9.2), (11, 11 / 10.2), (24, 24 / 23.2)])
@pytest.mark.parametrize("side", [1, -1])
def test_far_is_five_robust_sigmas_with_the_correction_for_few_values(count: int, correction: float, side: int) -> None:
    """All but one lie 1 from the median, so that the median absolute deviation is 1."""
    near = [-1.0] * (count // 2) + [0.0] * (count % 2) + [1.0] * (count // 2 - 1)
    limit = 5 * 1.4826 * correction
    for share, far in ((0.997, ()), (1.003, (count - 1,))):
        assert outliers([side * value for value in (*near, share * limit)]) == far


@pytest.mark.parametrize("count", range(8))
def test_fewer_than_eight_blocks_have_none(count: int) -> None:
    assert outliers([0.0] * (count - 1) + [9.0] * min(count, 1)) == ()


@pytest.mark.parametrize(("count", "most"), [(8, 0.035), (10, 0.03), (12, 0.025), (24, 0.015)])
def test_normal_noise_is_seldom_flagged(count: int, most: float) -> None:
    draws = np.random.default_rng(count).standard_normal((4000, count))
    assert sum(bool(outliers(row)) for row in draws.tolist()) / 4000 <= most
