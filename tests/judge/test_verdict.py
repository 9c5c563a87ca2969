"""Better, same, worse or not told: where an interval lies against the tolerance, and what this machine makes out of nothing."""

from __future__ import annotations

import math
from statistics import NormalDist, mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.stats import Estimate, t_quantile
from spanbench.judge.verdict import MOST_BLOCKS, PILOT_BLOCKS, Verdict, blocks_wanted, floor_of, judge, overall

QUIET = [0.0001, -0.0001] * 4
LOGS = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=30)


def around(ratio: float, noise: float = 0.001) -> list[float]:
    """Return eight block log-ratios with a mean of exactly log(ratio)."""
    return [math.log(ratio) + sign * noise for sign in (1, -1) * 4]


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (1.0, "same"),
        (1.03, "worse"),
        (1 / 1.03, "better"),
        (1.02, "inconclusive"),
        (1 / 1.02, "inconclusive"),
        (1.01, "same"),
        (3.0, "worse"),
    ],
)
def test_the_whole_interval_must_lie_on_one_side_of_the_tolerance(ratio: float, verdict: Verdict) -> None:
    assert judge(around(ratio), QUIET, 0.02).verdict == verdict


def test_only_what_is_inconclusive_has_a_reason_and_it_names_the_tolerance() -> None:
    assert judge(around(1.0), QUIET, 0.02).reason is None
    assert "2.00%" in (judge(around(1.02), QUIET, 0.02).reason or "")


@given(LOGS, LOGS, st.floats(0.001, 0.2))
def test_head_and_base_exchanged_turn_worse_into_better_and_leave_the_rest(logs: list[float], nulls: list[float], tolerance: float) -> None:
    turned: dict[Verdict, Verdict] = {"worse": "better", "better": "worse", "same": "same", "inconclusive": "inconclusive"}
    there, back = judge(logs, nulls, tolerance), judge([-log for log in logs], nulls, tolerance)
    bounds = [abs(math.log(end)) for end in (there.ratio.low, there.ratio.high) if end]
    if all(abs(bound - math.log1p(tolerance)) > 1e-12 for bound in bounds):  # an end at the very bound is decided by rounding
        assert back.verdict == turned[there.verdict]


@given(LOGS, LOGS, st.floats(0.001, 0.2))
def test_whatever_is_told_has_a_tolerance_of_at_least_the_floor(logs: list[float], nulls: list[float], tolerance: float) -> None:
    found = judge(logs, nulls, tolerance)
    if found.verdict != "inconclusive":
        assert found.floor is not None
        assert found.floor <= tolerance


@given(LOGS)
def test_the_floor_is_the_shift_and_the_half_width_of_the_null(nulls: list[float]) -> None:
    half = t_quantile(0.99, len(nulls) - 1) * stdev(nulls) / math.sqrt(len(nulls))
    floor = judge(around(1.0), nulls, 0.02).floor
    assert floor is not None
    assert floor >= math.expm1(abs(mean(nulls)) + half) - 1e-12


def test_a_null_without_an_interval_has_no_floor_and_tells_nothing() -> None:
    assert floor_of(Estimate(1.0, None, None, "one block")) is None
    found = judge(around(1.5), [0.0], 0.02)
    assert (found.verdict, found.floor) == ("inconclusive", None)
    assert "too few" in (found.reason or "")


def test_a_program_that_differs_from_itself_by_more_than_the_tolerance_judges_nothing() -> None:
    found = judge(around(1.5), [0.03, 0.031] * 4, 0.02)
    assert found.verdict == "inconclusive"
    assert found.floor is not None
    assert found.floor > 0.03
    assert "against itself" in (found.reason or "")


@pytest.mark.parametrize("tolerance", [0.0, -0.1, math.nan, math.inf])
def test_a_tolerance_that_is_no_positive_share_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        judge(around(1.0), QUIET, tolerance)


@given(st.lists(st.floats(-0.1, 0.1), min_size=PILOT_BLOCKS, max_size=PILOT_BLOCKS), st.floats(0.005, 0.2))
def test_the_number_of_blocks_is_even_and_bounded_and_enough_for_a_quarter_of_the_tolerance(pilot: list[float], tolerance: float) -> None:
    blocks = blocks_wanted(pilot, tolerance)
    assert 8 <= blocks <= MOST_BLOCKS
    assert blocks % 2 == 0
    if blocks < MOST_BLOCKS:
        assert t_quantile(0.99, blocks - 1) * stdev(pilot) / math.sqrt(blocks) <= math.log1p(tolerance) / 4


def test_a_pilot_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a pilot has 4 blocks"):
        blocks_wanted([0.0, 0.1], 0.02)


def test_the_power_that_the_module_promises_is_what_the_normal_distribution_says() -> None:
    error = 0.01 / math.sqrt(MOST_BLOCKS)
    beyond = (math.log(1.03) - math.log(1.02)) / error - t_quantile(0.99, MOST_BLOCKS - 1)
    assert NormalDist().cdf(beyond) > 0.99


@pytest.mark.parametrize(
    ("verdicts", "found"),
    [
        (["same", "better"], "better"),
        (["same", "same"], "same"),
        (["better", "inconclusive"], "inconclusive"),
        (["inconclusive", "worse", "same"], "worse"),
        ([], "inconclusive"),
    ],
)
def test_what_is_worse_is_never_hidden_and_what_is_not_told_is_never_good(verdicts: list[Verdict], found: Verdict) -> None:
    assert overall(verdicts) == found
