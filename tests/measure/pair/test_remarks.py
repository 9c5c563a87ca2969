"""What is noted of a pair, each condition provoked in driven time: its code appears with it and not without."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from spanbench.measure.caution import Caution
from spanbench.measure.energy import NullMeter
from spanbench.measure.energy.protocol import Cost, Reading
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.result import PairMeasurement, Plan
from tests.measure.driven import DrivenMeter, World
from tests.measure.pair.noisy import TRUTH, Noisy, lognormal, simulated

PLAN = Plan(window_s=0.25, max_seconds=1e4, blocks=10)
Disturbance = Callable[[int], float]


def steady(_: int) -> float:
    return 1.0


def measured(
    token: Disturbance = steady,
    latent: Disturbance = steady,
    plan: Plan = PLAN,
    fault: Callable[[int], object] = lambda _: None,
    **more: Any,
) -> PairMeasurement:
    world = World()
    arms = {"token": world.arm("token", 3.0, token), "latent": world.arm("latent", 0.5, latent)}
    meter = DrivenMeter(world, fault=fault, **more)
    return measure_pair(arms, plan, meter, clock=world, sleep=world.sleep, progress=world.progress)


def noted(found: PairMeasurement) -> Mapping[str, str]:
    codes = [caution.code for caution in found.cautions]
    assert len(codes) == len(set(codes))
    return {caution.code: caution.text for caution in found.cautions}


def test_a_steady_pair_has_nothing_to_note() -> None:
    assert noted(measured()) == {}


# ---- disturbances ---------------------------------------------------------------------------------------------------


DISTURBANCES: Mapping[str, Disturbance] = {
    "second is slower": lambda slot: 1.2 if slot % 2 else 1.0,
    "linear drift": lambda slot: 1 + 0.01 * slot,
    "exponential drift": lambda slot: 1.01**slot,
    "both": lambda slot: (1.2 if slot % 2 else 1.0) * (1 + 0.01 * slot),
}


@pytest.mark.parametrize("plan", [PLAN, Plan(window_s=0.25, max_seconds=1e5), Plan(window_s=0.25, max_seconds=60.0)])
@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_penalty_for_being_second_and_drift_move_the_ratios_by_no_more_than_a_thousandth(name: str, plan: Plan) -> None:
    disturbance = DISTURBANCES[name]
    found = measured(disturbance, disturbance, plan)
    assert found.seconds_ratio.value == pytest.approx(6, rel=1e-3)
    assert found.joules_ratio.value == pytest.approx(6, rel=1e-3)
    if found.null.slots:
        assert found.null_seconds.value == pytest.approx(1, rel=1e-3)
        assert found.null_joules.value == pytest.approx(1, rel=1e-3)


def test_drift_is_noted_with_its_percent_a_slot() -> None:
    text = noted(measured(lambda slot: 1.01**slot, lambda slot: 1.01**slot))["trend"]
    assert text == "seconds drifted during the run: token by +1% a slot, latent by +1% a slot"


def test_drift_of_one_arm_alone_is_drift_of_the_ratio() -> None:
    text = noted(measured(token=lambda slot: 1.005**slot))["trend"]
    assert "the ratio itself by +3" in text
    assert "latent" not in text


def test_drift_that_stays_within_the_precision_is_not_worth_a_note() -> None:
    assert "trend" not in noted(measured(lambda slot: 1.0001**slot, lambda slot: 1.0001**slot))


def test_blocks_far_from_the_rest_are_counted_and_kept() -> None:
    found = measured(token=lambda slot: 5.0 if slot in {12, 13, 14, 15} else 1.0)
    assert noted(found)["outliers"].startswith("1 of 10 blocks lie more than 5 robust sigmas")
    assert found.seconds_ratio.high > 7  # type: ignore[operator]  # it has an interval


def test_a_biased_schedule_is_seen_by_the_arm_against_itself() -> None:
    """The middle two slots of each null block are slower: no drift does that, so no order cancels it."""
    middle = {at + inner for at in range(8, 60, 12) for inner in (1, 2)}
    found = measured(latent=lambda slot: 1.1 + slot / 1e6 if slot in middle else 1.0)
    assert "null-biased" not in noted(found)  # the labels turn from block to block, and it cancels after all
    first_half = {at + inner for at in range(8, 60, 24) for inner in (1, 2)} | {at + inner for at in range(20, 60, 24) for inner in (0, 3)}
    found = measured(latent=lambda slot: 1.1 + slot / 1e6 if slot in first_half else 1.0)
    assert noted(found)["null-biased"].startswith("an arm against itself came out away from 1: seconds 0.9")
    assert found.null_seconds.value == pytest.approx(1 / 1.1, rel=1e-3)
    assert found.seconds_ratio.value == pytest.approx(6)


# ---- width ----------------------------------------------------------------------------------------------------------


def test_a_wide_interval_is_inconclusive_and_says_what_it_would_take() -> None:
    found = next(run for seed in range(50) if not (run := simulated(seed, lognormal(0.05), Plan(max_seconds=66.0))).conclusive)
    text = noted(found)["inconclusive"]
    assert text.startswith("the ratio of seconds is known to ±")
    assert ", where ±3% was asked for; about " in text
    needed = float(text.split("about ")[1].split(" s ")[0])
    assert needed > 66
    longer = [simulated(seed, lognormal(0.05), Plan(max_seconds=3 * needed)) for seed in range(20)]
    assert sum(run.conclusive for run in longer) >= 15


def test_two_noisy_blocks_are_few_and_inconclusive() -> None:
    codes = noted(simulated(1, lognormal(0.03), Plan(max_seconds=1.0)))
    assert {"few-blocks", "inconclusive", "over-time"} <= set(codes)


def test_without_a_ratio_there_is_no_conclusion() -> None:
    class Stopped:
        def now(self) -> float:
            return 1.0

    found = measure_pair({"a": lambda: None, "b": lambda: None}, Plan(blocks=2), NullMeter(), clock=Stopped())
    assert not found.conclusive
    assert noted(found)["inconclusive"].startswith("the ratio of seconds has no interval (no complete block was measured)")


def test_measured_joules_that_are_too_noisy_make_a_pair_inconclusive_and_estimated_ones_do_not() -> None:
    plan = Plan(max_seconds=66.0, warmups=0)
    loud = simulated(3, lognormal(0.001), plan, metered=lognormal(0.3))
    assert not loud.conclusive
    assert "the ratio of joules is known to ±" in noted(loud)["inconclusive"]
    assert "seconds" not in noted(loud)["inconclusive"]

    class Estimating(Noisy):
        source = "estimated"
        note = "a guess"

    world = Estimating(3, lognormal(0.001), lognormal(0.3))
    arms = {"token": world.arm(TRUTH), "latent": world.arm(1.0)}
    found = measure_pair(arms, plan, world, clock=world, sleep=world.sleep)
    assert found.conclusive
    assert noted(found)["energy-estimated"] == "a guess"


# ---- energy ---------------------------------------------------------------------------------------------------------


def test_the_widest_bound_is_kept_and_noted_where_it_exceeds_the_precision() -> None:
    found = measured(fault=lambda window: Reading(10.0, low=9.9, high=10.05 if window != 20 else 10.5))
    assert found.energy_bound == pytest.approx(0.05)
    assert "5.00%" in noted(found)["energy-bound"]
    tight = measured(fault=lambda _: Reading(10.0, low=9.9, high=10.05))
    assert tight.energy_bound == pytest.approx(0.01)
    assert "energy-bound" not in noted(tight)


def test_one_slot_without_a_bound_leaves_none() -> None:
    found = measured(fault=lambda window: Reading(10.0, low=9.9, high=10.05 if window != 20 else None))
    assert found.energy_bound is None


def test_a_meters_own_cautions_are_told_once_with_the_number_of_slots() -> None:
    disagree = Caution("energy-disagree", "counter and power differ")
    found = measured(fault=lambda window: Reading(10.0, cautions=(disagree, disagree)) if window % 2 else None)
    text = noted(found)["energy-disagree"]
    assert text.startswith("counter and power differ (")
    assert text.endswith(" of 40 slots)")


def test_a_counted_cost_reaches_the_meters_windows_of_its_arm() -> None:
    world = World()
    meter = DrivenMeter(world)
    arms = {"token": world.arm("token", 3.0), "latent": world.arm("latent", 0.5)}
    costs = {"token": Cost(10, 20), "latent": Cost(1, 2)}
    measure_pair(arms, PLAN, meter, costs=costs, clock=world, sleep=world.sleep)
    assert {window.name: window.cost for window in meter.windows} == {"idle": None, **costs}


# ---- the record -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [PLAN, Plan(window_s=0.25, max_seconds=1e4, seed=7, precision=0.01)])
def test_the_schedule_is_plain_json_with_every_slot_from_which_the_ratio_follows(plan: Plan) -> None:
    found = measured(latent=lambda slot: 1 + 0.001 * (slot % 5), plan=plan)
    kept = found.schedule()
    assert json.loads(json.dumps(kept)) == kept
    assert kept["order"] == [entry for entry in kept["sequence"] if entry in {"ABBA", "BAAB"}]
    for kind in ("pilot", "null"):
        assert kept[kind] == [entry.split()[1] for entry in kept["sequence"] if entry.startswith(kind)]
        assert len(kept[f"{kind}_slots"]) == 4 * len(kept[kind])
    assert len(kept["rests"]) == kept["sequence"].count("rest")
    assert (kept["seed"], kept["precision"], kept["window_s"]) == (plan.seed, plan.precision, 0.25)
    letters = "".join(kept["order"])
    assert [slot[0] for slot in kept["slots"]] == [{"A": "token", "B": "latent"}[letter] for letter in letters]


def test_joules_that_were_lost_are_null_in_the_schedule() -> None:
    kept = measured(fault=lambda window: Reading(None, "gone") if window > 4 else None).schedule()
    assert kept["slots"][-1][2] is None
    assert kept["rests"][-1] is None
