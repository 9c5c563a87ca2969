"""Planning of blocks against printed quantiles, integration, brute force and simulation."""

from __future__ import annotations

import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.precision import PILOT_BLOCKS, blocks_for, half_width, reaches, sigma_limit, upper_factor
from spanbench.judge.stats import Estimate, ratio_estimate, t_quantile


@pytest.mark.parametrize(("assurance", "printed"), [(0.9, 0.584), (0.95, 0.352), (0.99, 0.115), (0.1, 6.251), (0.05, 7.815)])
def test_the_factor_holds_the_printed_quantiles_of_chi_square(assurance: float, printed: float) -> None:
    """NIST/SEMATECH e-Handbook, 1.3.6.7.4, 3 degrees of freedom."""
    assert round(3 / upper_factor(assurance) ** 2, 3) == printed


@given(st.integers(0, 1000))
def test_the_true_sigma_is_below_the_limit_in_80_percent_of_pilots(seed: int) -> None:
    draws = np.random.default_rng(seed).standard_normal((20_000, PILOT_BLOCKS))
    below = (draws.std(axis=1, ddof=1) * upper_factor(0.8) >= 1).mean()
    assert below == pytest.approx(0.8, abs=5 * math.sqrt(0.8 * 0.2 / 20_000))


def test_the_limit_is_the_pilots_spread_times_the_factor() -> None:
    logs = [0.1, 0.12, 0.07, 0.11]
    assert sigma_limit(logs) == pytest.approx(statistics.stdev(logs) * upper_factor(0.8))
    assert upper_factor(0.8) == pytest.approx(1.7276, abs=1e-4)


@pytest.mark.parametrize("logs", [[], [0.1], [0.1] * 3, [0.1] * 5])
def test_a_limit_is_of_four_blocks_only(logs: list[float]) -> None:
    with pytest.raises(ValueError, match="a pilot has 4 blocks"):
        sigma_limit(logs)


@pytest.mark.parametrize("assurance", [0.0, 1.0, -1.0])
def test_an_impossible_assurance_is_refused(assurance: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        upper_factor(assurance)


def _half(sigma: float, blocks: int) -> float:
    return math.expm1(t_quantile(0.95, blocks - 1) * sigma / math.sqrt(blocks))


@given(st.floats(1e-5, 0.2), st.floats(0.005, 0.5))
def test_so_many_blocks_are_enough_and_two_fewer_are_not(sigma: float, precision: float) -> None:
    blocks = blocks_for(sigma, precision)
    assert blocks % 2 == 0
    if blocks <= 200:
        assert _half(sigma, blocks) <= precision * (1 + 1e-9)
        assert blocks == 2 or _half(sigma, blocks - 2) > precision * (1 - 1e-9)


@given(st.floats(0.15, 2.0))
def test_beyond_200_blocks_the_number_is_right_within_one_percent(sigma: float) -> None:
    blocks = blocks_for(sigma, 0.02)
    assert blocks > 200
    assert _half(sigma, min(blocks, 4000)) == pytest.approx(0.02, rel=0.01) or blocks > 4000


def test_beyond_200_blocks_the_number_is_the_least_or_its_neighbour() -> None:
    """By brute force; the normal quantile alone would be short by two or more every time."""
    off = []
    for step in range(60):
        sigma = 0.15 + step / 1000
        least = next(blocks for blocks in range(202, 2000, 2) if _half(sigma, blocks) <= 0.02)
        off.append(least - blocks_for(sigma, 0.02))
    assert {abs(blocks) for blocks in off} <= {0, 2}
    assert sum(blocks == 0 for blocks in off) > 30


def test_without_spread_two_blocks_are_enough() -> None:
    assert blocks_for(0.0, 0.03) == 2


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12), st.floats(0.001, 0.9))
def test_a_ratio_reaches_a_precision_when_its_interval_is_no_wider(logs: list[float], precision: float) -> None:
    estimate = ratio_estimate(logs)
    width = half_width(estimate)
    assert width is not None
    assert estimate.low is not None
    assert estimate.high is not None
    assert math.log1p(width) == pytest.approx((math.log(estimate.high) - math.log(estimate.low)) / 2, abs=1e-9)
    assert reaches(estimate, precision) == (width <= precision)


def test_a_ratio_without_an_interval_reaches_nothing() -> None:
    for estimate in (Estimate(None, None, None, "lost"), Estimate(2.0, None, None, "one block"), Estimate(1.0, 0.0, 2.0)):
        assert half_width(estimate) is None
        assert not reaches(estimate, 0.99)


def test_four_in_five_planned_runs_come_out_as_narrow_as_asked() -> None:
    draw, narrow = random.Random(5), 0  # noqa: S311 - a simulation, repeatable by intent
    for _ in range(1000):
        sigma = sigma_limit([draw.gauss(0, 0.02) for _ in range(PILOT_BLOCKS)])
        narrow += reaches(ratio_estimate([draw.gauss(0, 0.02) for _ in range(blocks_for(sigma, 0.01))]), 0.01)
    assert 0.75 <= narrow / 1000 <= 0.9
