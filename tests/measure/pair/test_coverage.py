"""What the intervals promise, held over thousands of simulated measurements: the whole of `measure_pair`, its stopping rule included."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from spanbench.judge.stats import Estimate
from spanbench.measure.pair.result import PairMeasurement, Plan
from tests.measure.pair.noisy import TRUTH, contaminated, lognormal, simulated

FIXED = Plan(max_seconds=66.0, warmups=0)  # holds eight blocks and their A/A null: no pilot
PLANNED = Plan(max_seconds=1000.0, warmups=0, precision=0.02)  # holds 124: a pilot decides
CASES = [(FIXED, 0.01), (FIXED, 0.03), (PLANNED, 0.01), (PLANNED, 0.03)]
NAMES = ["fixed, 1%", "fixed, 3%", "pilot, 1%", "pilot, 3%"]


def holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low is not None and estimate.high is not None and estimate.low <= truth <= estimate.high


def share(runs: Sequence[PairMeasurement], name: str, truth: float) -> float:
    return sum(holds(getattr(run, name), truth) for run in runs) / len(runs)


def binomial(count: int, chance: float) -> float:
    return math.sqrt(chance * (1 - chance) / count)


def many(plan: Plan, sigma: float, count: int, **more: object) -> list[PairMeasurement]:
    return [simulated(seed, lognormal(sigma), plan, **more) for seed in range(count)]  # type: ignore[arg-type]  # what `simulated` takes


@pytest.fixture(scope="module")
def runs() -> dict[str, list[PairMeasurement]]:
    """Return 1000 measurements of each case: 4000 in all."""
    return {name: many(plan, sigma, 1000) for name, (plan, sigma) in zip(NAMES, CASES, strict=True)}


def test_both_ways_of_choosing_the_length_are_simulated(runs: dict[str, list[PairMeasurement]]) -> None:
    for name, own in runs.items():
        assert {len(run.pilot.order) for run in own} == {0 if name.startswith("fixed") else 4}
    assert {len(run.order) for name in NAMES[:2] for run in runs[name]} <= {6, 8, 10}
    assert len({len(run.order) for run in runs["pilot, 3%"]}) > 10


def test_the_interval_covers_the_truth_in_94_to_96_percent_of_4000_runs(runs: dict[str, list[PairMeasurement]]) -> None:
    every = [run for own in runs.values() for run in own]
    assert len(every) == 4000
    assert 0.94 <= share(every, "seconds_ratio", TRUTH) <= 0.96
    for name, own in runs.items():
        assert share(own, "seconds_ratio", TRUTH) == pytest.approx(0.95, abs=3 * binomial(1000, 0.95)), name


def test_an_arm_against_itself_is_called_biased_in_at_most_6_percent(runs: dict[str, list[PairMeasurement]]) -> None:
    every = [run for own in runs.values() for run in own]
    alarms = [run for run in every if any(caution.code == "null-biased" for caution in run.cautions)]
    assert 0.03 <= len(alarms) / len(every) <= 0.06
    assert all(run.null_seconds.low is not None for run in every)


def test_two_equal_arms_are_told_apart_in_at_most_6_percent() -> None:
    found = [run for plan, sigma in CASES for run in many(plan, sigma, 250, costs=(1.0, 1.0))]
    assert 1 - share(found, "seconds_ratio", 1.0) <= 0.06


def test_about_four_pilots_in_five_plan_enough_blocks(runs: dict[str, list[PairMeasurement]]) -> None:
    assert 0.75 <= sum(run.conclusive for run in runs["pilot, 3%"]) / 1000 <= 0.95


def test_joules_with_noise_of_their_own_have_intervals_that_hold() -> None:
    found = many(PLANNED, 0.01, 1000, metered=lognormal(0.005))
    for name, truth in (("joules_ratio", TRUTH), ("null_joules", 1.0)):
        assert share(found, name, truth) == pytest.approx(0.95, abs=3 * binomial(1000, 0.95)), name
    assert sum(any(caution.code == "null-biased" for caution in run.cautions) for run in found) / 1000 <= 0.06
    assert share(found, "dynamic_ratio", TRUTH) >= 0.94  # widened by what the rests leave open


@pytest.mark.slow
@pytest.mark.parametrize(("plan", "sigma"), CASES, ids=NAMES)
def test_each_case_covers_the_truth_in_94_to_96_percent_of_4000_runs(plan: Plan, sigma: float) -> None:
    found = many(plan, sigma, 4000)
    assert 0.94 <= share(found, "seconds_ratio", TRUTH) <= 0.96
    assert 1 - share(found, "null_seconds", 1.0) <= 0.06


# ---- a loaded machine -----------------------------------------------------------------------------------------------

LOADS = {"a tenth of the slots up to 4 times": (0.1, 4.0), "half up to twice": (0.5, 2.0), "one in fifty up to 50 times": (0.02, 50.0)}


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("seconds", [5.0, 26.0, 70.0, 400.0])
def test_a_loaded_machine_gets_an_interval_or_the_word_inconclusive_and_never_a_bare_ratio(load: str, seconds: float) -> None:
    plan = Plan(max_seconds=seconds, warmups=0)
    for seed in range(40):
        found = simulated(seed, contaminated(0.02, *LOADS[load]), plan, metered=lognormal(0.01))
        for ratio in (found.seconds_ratio, found.joules_ratio, found.dynamic_ratio, found.null_seconds, found.null_joules):
            assert (ratio.low is not None and ratio.high is not None) or ratio.reason
        inconclusive = [caution for caution in found.cautions if caution.code == "inconclusive"]
        assert found.conclusive == (not inconclusive)


@pytest.mark.parametrize("load", LOADS)
def test_the_intervals_of_a_loaded_machine_still_hold(load: str) -> None:
    found = [simulated(seed, contaminated(0.02, *LOADS[load]), FIXED) for seed in range(400)]
    assert share(found, "seconds_ratio", TRUTH) >= 0.93
    assert not all(run.conclusive for run in found)
