"""Statistics against tables, numerical integration, the standard library and simulation."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.stats import Estimate, block_log_ratio, median, ratio_estimate, spread, t_quantile, unknown

FINITE = st.floats(-1e6, 1e6)
LOGS = st.lists(st.floats(-3, 3), min_size=2, max_size=20)

# Two-sided quantiles as printed in standard tables (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
TABLE = [
    (0.95, 1, 12.706),
    (0.95, 2, 4.303),
    (0.95, 3, 3.182),
    (0.95, 4, 2.776),
    (0.95, 5, 2.571),
    (0.95, 9, 2.262),
    (0.95, 10, 2.228),
    (0.95, 30, 2.042),
    (0.95, 100, 1.984),
    (0.99, 5, 4.032),
    (0.90, 7, 1.895),
]


@pytest.mark.parametrize(("confidence", "freedom", "printed"), TABLE)
def test_t_quantile_is_the_printed_one(confidence: float, freedom: int, printed: float) -> None:
    assert round(t_quantile(confidence, freedom), 3) == printed


@given(st.floats(0.05, 0.995), st.integers(1, 60))
def test_t_quantile_holds_its_probability_by_integration(confidence: float, freedom: int) -> None:
    assert _integral(t_quantile(confidence, freedom), freedom) == pytest.approx(confidence, abs=1e-7)


def _integral(t: float, freedom: int, steps: int = 2000) -> float:
    """Simpson's rule over Student's density on [-t, t], in the variable angle = atan(x): smooth however long the tail."""
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)

    def integrand(angle: float) -> float:
        x = math.tan(angle)
        return constant * math.pow(1 + x * x / freedom, -(freedom + 1) / 2) * (1 + x * x)

    width = math.atan(t) / steps
    weights = (1 if k in {0, steps} else 4 if k % 2 else 2 for k in range(steps + 1))
    return 2.0 * width / 3.0 * math.fsum(w * integrand(k * width) for k, w in enumerate(weights))


def test_t_quantile_tends_to_the_normal_one() -> None:
    assert t_quantile(0.95, 10_000) == pytest.approx(statistics.NormalDist().inv_cdf(0.975), rel=2e-4)


@pytest.mark.parametrize(("confidence", "freedom"), [(0.0, 3), (1.0, 3), (-0.1, 3), (0.95, 0)])
def test_t_quantile_refuses_what_has_none(confidence: float, freedom: int) -> None:
    with pytest.raises(ValueError, match="must"):
        t_quantile(confidence, freedom)


@given(st.lists(FINITE, min_size=1, max_size=30))
def test_median_is_the_librarys_and_within_its_range(values: list[float]) -> None:
    assert median(values) == pytest.approx(statistics.median(values), rel=1e-12, abs=1e-9)
    assert spread(values) == Estimate(median(values), min(values), max(values))


def test_median_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_block_log_ratio_is_of_geometric_means() -> None:
    assert block_log_ratio([2.0, 8.0], [1.0, 4.0]) == pytest.approx(math.log(4 / 2))


@given(LOGS)
def test_the_interval_is_students_and_holds_the_median(logs: list[float]) -> None:
    estimate = ratio_estimate(logs)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.value is not None
    half = t_quantile(0.95, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    middle, mean = statistics.median(logs), statistics.fmean(logs)
    assert math.log(estimate.value) == pytest.approx(middle, abs=1e-9)
    assert math.log(estimate.low) == pytest.approx(min(middle, mean - half), abs=1e-9)
    assert math.log(estimate.high) == pytest.approx(max(middle, mean + half), abs=1e-9)


@pytest.mark.parametrize("side", [1, -1])
def test_an_interval_that_blocks_on_one_side_have_pulled_past_the_median_is_widened_to_it(side: int) -> None:
    logs = [0.7] * 12 + [0.7 + side] * 8
    half = 2.093 * statistics.stdev(logs) / math.sqrt(20)  # t of 19 degrees of freedom, as printed
    estimate = ratio_estimate(logs)
    near, far = (estimate.low, estimate.high)[::side]
    assert abs(statistics.fmean(logs) - 0.7) > half
    assert estimate.value == near == pytest.approx(math.exp(0.7))
    assert far == pytest.approx(math.exp(statistics.fmean(logs) + side * half), rel=1e-4)


@given(LOGS)
def test_the_reciprocal_ratio_has_the_reciprocal_interval(logs: list[float]) -> None:
    there, back = ratio_estimate(logs), ratio_estimate([-value for value in logs])
    assert (there.value or 0) * (back.value or 0) == pytest.approx(1)
    assert (there.low or 0) * (back.high or 0) == pytest.approx(1)


def test_too_few_blocks_leave_the_interval_null_with_a_reason() -> None:
    single = ratio_estimate([math.log(2)])
    assert single.value == pytest.approx(2)
    assert (single.low, single.high) == (None, None)
    assert single.reason is not None
    assert "at least 2" in single.reason
    assert ratio_estimate([]) == unknown("no complete block was measured")


@pytest.mark.parametrize("blocks", [2, 4, 12])
def test_the_interval_covers_the_truth_in_95_percent_of_simulated_runs(blocks: int) -> None:
    draw = random.Random(blocks)  # noqa: S311 - a simulation, repeatable by intent
    runs = [ratio_estimate([draw.gauss(0.7, 0.01) for _ in range(blocks)]) for _ in range(4000)]
    covered = sum((run.low or 0) <= math.exp(0.7) <= (run.high or 0) for run in runs)
    assert 0.94 <= covered / len(runs) <= 0.96
