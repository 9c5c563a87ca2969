from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.fits import Fit, fit, growth, near_constant

DOUBLING = [64 * 2**i for i in range(8)]
T_95 = {1: 12.7062, 2: 4.30265, 3: 3.18245, 6: 2.44691}  # quantiles of Student's t as every textbook prints them


@given(st.floats(-1, 3), st.floats(1e-6, 1e12), st.integers(3, 8))
def test_a_power_law_is_found_exactly_with_an_interval_of_no_width(exponent: float, scale: float, points: int) -> None:
    found = fit(DOUBLING[:points], [scale * n**exponent for n in DOUBLING[:points]])
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.scale == pytest.approx(scale, rel=1e-6)
    assert found.low == pytest.approx(exponent, abs=1e-6)
    assert found.high == pytest.approx(exponent, abs=1e-6)
    assert [local.exponent for local in found.local] == pytest.approx([exponent] * (points - 1), abs=1e-9)


@pytest.mark.parametrize("points", [3, 4, 5, 8])
def test_slope_and_interval_are_numpys_least_squares_with_the_textbook_quantile(points: int) -> None:
    noise = np.random.default_rng(points)
    tokens = DOUBLING[:points]
    values = [n**1.4 * math.exp(noise.normal(0, 0.2)) for n in tokens]
    x, y = np.log(tokens), np.log(values)
    (slope, _), (residual,), *_ = np.linalg.lstsq(np.vstack([x, np.ones(points)]).T, y, rcond=None)
    half = T_95[points - 2] * math.sqrt(residual / (points - 2) / np.var(x) / points)
    found = fit(tokens, values)
    assert (found.exponent, found.low, found.high) == pytest.approx((slope, slope - half, slope + half), rel=1e-5)


def test_the_interval_holds_the_true_exponent_in_95_of_100_noisy_series() -> None:
    noise, held = np.random.default_rng(1), 0
    for _ in range(4000):
        found = fit(DOUBLING[:5], [n**1.5 * math.exp(noise.normal(0, 0.3)) for n in DOUBLING[:5]])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.5 <= found.high
    assert held / 4000 == pytest.approx(0.95, abs=0.0125)  # 3.6 standard errors


@given(st.permutations(range(6)), st.floats(1e-9, 1e9))
def test_neither_the_order_nor_the_unit_changes_the_exponent(order: list[int], unit: float) -> None:
    values = [5.0, 9.0, 21.0, 35.0, 88.0, 130.0]
    plain = fit(DOUBLING[:6], values)
    other = fit([DOUBLING[i] for i in order], [values[i] * unit for i in order])
    assert (plain.exponent, plain.low, plain.high) == pytest.approx((other.exponent, other.low, other.high), rel=1e-9)


def test_every_figure_of_a_repeated_length_is_used() -> None:
    once = fit([64, 128, 256], [1.0, 2.0, 4.0])
    repeated = fit([64, 64, 128, 128, 256, 256], [0.9, 1.1, 1.8, 2.2, 3.6, 4.4])
    assert (once.points, repeated.points) == (3, 6)
    assert repeated.low is not None
    assert repeated.low < 1 < (repeated.high or 0)
    assert [(local.low_tokens, local.high_tokens) for local in repeated.local] == [(64, 128), (128, 256)]


def test_two_lengths_have_a_local_exponent_but_no_fit() -> None:
    found = fit([64, 128, 128], [1.0, 4.0, 4.0])
    assert (found.exponent, found.low, found.high) == (None, None, None)
    assert found.reason == "an exponent needs 3 lengths of prompt, there are 2"
    assert [local.exponent for local in found.local] == pytest.approx([2.0])
    assert fit([], []).reason == "an exponent needs 3 lengths of prompt, there are 0"


def test_a_figure_of_zero_has_no_exponent_and_is_not_left_out() -> None:
    found = fit([64, 128, 256, 512], [0, 1, 2, 4])
    assert found.exponent is None
    assert found.reason == "a figure of 0 has no logarithm, so there is no exponent"


def test_tokens_without_their_figures_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        fit([64, 128], [1.0])


def test_the_fitted_line_passes_through_a_power_law_at_any_length() -> None:
    found = fit([64, 128, 256], [3 * n**2 for n in (64, 128, 256)])
    assert found.at(1000) == pytest.approx(3e6)
    assert fit([64], [1]).at(1000) is None


def _interval(low: float, high: float) -> Fit:
    return Fit((low + high) / 2, low, high, 1.0, 5)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.0, 0.0, "constant"),
        (-0.2, 0.1, "constant"),
        (0.96, 1.1, "linear"),
        (1.97, 2.03, "quadratic"),
        (1.2, 1.8, "between linear and quadratic"),
        (0.9, 2.1, "linear or quadratic"),
        (0.2, 0.8, "between constant and linear"),
        (3.2, 3.4, "more than cubic"),
        (-2.0, -1.0, "less than constant"),
    ],
)
def test_growth_names_every_whole_exponent_that_the_interval_reaches(low: float, high: float, word: str) -> None:
    assert growth(_interval(low, high)) == word


@pytest.mark.parametrize(
    ("low", "high", "judgement"),
    [(0.0, 0.1, "holds"), (-3.0, -1.0, "holds"), (0.21, 0.5, "refuted"), (0.0, 0.5, "undecided"), (1.9, 2.1, "refuted")],
)
def test_near_constant_is_judged_by_both_ends_of_the_interval(low: float, high: float, judgement: str) -> None:
    assert near_constant(_interval(low, high)) == judgement


def test_nothing_is_said_of_growth_without_a_fit() -> None:
    none = fit([64], [1])
    assert (growth(none), near_constant(none)) == ("unknown", "undecided")
