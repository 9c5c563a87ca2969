"""A pair measured in driven time: ratios, order, windows, joules, and meters that fail."""

from __future__ import annotations

import gc
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.judge.stats import Estimate
from spanbench.measure.clock import synchronizer
from spanbench.measure.energy import NullMeter
from spanbench.measure.energy.protocol import MeterError, Probe, Reading
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.result import PairMeasurement, Plan
from tests.measure.driven import DrivenMeter, World

SLOW, FAST = 3.0, 0.5
UNHURRIED = Plan(window_s=0.25, max_seconds=1e6, blocks=10)


def measured(world: World, meter: Any = None, plan: Plan = UNHURRIED, **disturbances: Any) -> PairMeasurement:
    arms = {"token": world.arm("token", SLOW, **disturbances), "latent": world.arm("latent", FAST, **disturbances)}
    used = meter or DrivenMeter(world)
    return measure_pair(arms, plan, used, clock=world, synchronize=world.synchronize, sleep=world.sleep, progress=world.progress)


def codes(result: PairMeasurement) -> set[str]:
    return {caution.code for caution in result.cautions}


def windows(result: PairMeasurement) -> list[int]:
    """Return which of the meter's windows each slot of the pair had, from what is told of the run."""
    found, opened = list[int](), 0
    for entry in result.sequence:
        slots = 1 if entry == "rest" else 4
        found += range(opened, opened + slots) if len(entry) == 4 and entry != "rest" else []
        opened += slots
    return found


def ends(estimate: Estimate) -> tuple[float, float, float]:
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.value, estimate.low, estimate.high


def test_a_known_ratio_is_recovered_exactly() -> None:
    result = measured(World())
    assert result.arms["token"].seconds == Estimate(SLOW, SLOW, SLOW)
    assert result.arms["latent"].seconds == Estimate(FAST, FAST, FAST)
    assert ends(result.seconds_ratio) == pytest.approx((6, 6, 6), rel=1e-12)
    assert result.joules_ratio.value == pytest.approx(6, rel=1e-12)
    assert result.arms["token"].joules == Estimate(30.0, 30.0, 30.0)
    assert (result.joules_source, result.joules_by, result.cautions) == ("measured", "driven by the test", ())
    assert result.arms["token"].watts == Estimate(10.0, 10.0, 10.0)
    assert result.conclusive


def test_the_arms_run_in_abba_baab_order() -> None:
    world = World()
    result = measured(world, NullMeter(), plan=Plan(window_s=0.25, max_seconds=30, blocks=12))
    assert result.order == ("ABBA", "BAAB", "ABBA", "BAAB")
    names = {"A": "token", "B": "latent"}
    assert [slot.arm for slot in result.slots] == [names[letter] for letter in "ABBABAABABBABAAB"]
    ran = [entry for entry in world.log if entry in names.values()]
    assert ran[-16:] == [slot.arm for slot in result.slots]
    assert [entry for entry in world.log if entry.startswith("progress")] == [f"progress {done}/16" for done in range(1, 17)]


def test_a_penalty_on_whichever_arm_runs_second_leaves_the_ratio() -> None:
    result = measured(World(), disturbance=lambda slot: 1.2 if slot % 2 else 1.0)
    assert result.seconds_ratio.value == pytest.approx(6, rel=1e-3)
    assert ends(result.arms["latent"].seconds) == pytest.approx((1.1 * FAST, FAST, 1.2 * FAST))


@given(st.floats(-0.01, 0.01))
def test_linear_drift_leaves_the_ratio(per_slot: float) -> None:
    result = measured(World(), disturbance=lambda slot: 1 + per_slot * slot)
    assert result.seconds_ratio.value == pytest.approx(6, rel=1e-3)
    assert result.joules_ratio.value == pytest.approx(6, rel=1e-3)


def test_one_disturbed_block_does_not_move_the_ratio_but_widens_its_interval() -> None:
    result = measured(World(), disturbance=lambda slot: 3.0 if slot == 12 else 1.0)
    assert result.seconds_ratio.value == pytest.approx(6, rel=1e-12)
    assert ends(result.seconds_ratio)[2] > 6.5


def test_a_fast_arm_is_repeated_until_its_slot_fills_the_window() -> None:
    world = World()
    arms = {"token": world.arm("token", 1.0), "latent": world.arm("latent", 2.0**-9)}
    result = measure_pair(arms, UNHURRIED, NullMeter(), clock=world)
    latent = result.arms["latent"]
    assert result.arms["token"].repeats == 1
    assert latent.repeats * 2.0**-9 >= 0.25
    assert latent.repeats * 2.0**-9 <= 0.25 * 1.1
    assert latent.seconds.value == 2.0**-9
    assert "short-window" not in codes(result)


def test_a_meter_gets_the_window_it_needs_but_not_where_it_does_not_run() -> None:
    world = World()
    asked = measured(world, DrivenMeter(world, min_window_s=2.0))
    assert asked.arms["latent"].repeats >= 4
    absent = measured(world, DrivenMeter(world, min_window_s=2.0, probe=Probe(available=False, reason="not there")))
    assert absent.arms["latent"].repeats == 1


def test_the_device_is_waited_for_before_and_inside_the_window() -> None:
    world = World()
    measured(world)
    opened = world.log.index("begin", world.log.index("sleep"))
    assert world.log[opened - 1 : opened + 6] == ["synchronize", "begin", "clock", "token", "synchronize", "clock", "end"]


@pytest.mark.parametrize(("max_seconds", "blocks"), [(1.0, 2), (30.5, 4), (66.5, 8)])
def test_the_time_allowed_decides_the_number_of_blocks(max_seconds: float, blocks: int) -> None:
    result = measured(World(), plan=Plan(window_s=0.25, max_seconds=max_seconds, blocks=12))
    assert len(result.order) == blocks
    assert result.pilot.slots == ()
    assert ("over-time" in codes(result)) == (max_seconds == 1.0)
    assert ("few-blocks" in codes(result)) == (blocks == 2)


def test_no_more_blocks_than_planned() -> None:
    assert len(measured(World(), plan=Plan(window_s=0.25, max_seconds=1e6, blocks=5)).order) == 4


def test_a_clock_that_stands_still_gives_no_ratio_and_says_so() -> None:
    world = World()
    arms = {"token": world.arm("token", 0.0), "latent": lambda: None}
    result = measure_pair(arms, Plan(window_s=0.25, blocks=2), NullMeter(), clock=StoppedClock())
    assert result.seconds_ratio.value is None
    assert result.seconds_ratio.reason
    assert "short-window" in codes(result)


class StoppedClock:
    def now(self) -> float:
        return 1.0


class MeterBrokenError(Exception):
    """What a third-party library might raise."""


FAULTS: dict[str, object] = {
    "raises at end": MeterBrokenError("lost\nand more"),
    "raises at begin": (MeterBrokenError("no start"),),
    "raises its own error": MeterError("the counter is gone"),
    "returns None": Reading(None, "no sample"),
    "returns None without a reason": Reading(None),
    "returns 0": Reading(0.0),
    "returns a negative": Reading(-261901.0),
    "returns nan": Reading(math.nan),
    "returns infinity": Reading(math.inf),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_failing_meter_costs_its_joules_and_never_the_time(name: str) -> None:
    world = World()
    result = measured(world, DrivenMeter(world, fault=lambda _: FAULTS[name]))
    assert result.seconds_ratio == measured(World(), NullMeter()).seconds_ratio
    for energy in (result.arms["token"].joules, result.arms["latent"].joules, result.joules_ratio):
        assert (energy.value, energy.low, energy.high) == (None, None, None)
        assert energy.reason
        assert "\n" not in energy.reason
    assert all(slot.joules is None and slot.energy.reason for slot in result.slots)
    assert codes(result) == {"energy-unknown"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_meter_that_fails_midway_leaves_the_joules_it_had(name: str) -> None:
    world = World()
    result = measured(world, DrivenMeter(world, fault=lambda window: FAULTS[name] if window >= 14 else None))
    assert [slot.joules is None for slot in result.slots] == [window >= 14 for window in windows(result)]
    assert result.joules_ratio.value == pytest.approx(6)
    assert result.joules_ratio.low == pytest.approx(6)
    assert result.arms["latent"].joules.value == 5.0
    assert codes(result) == {"energy-incomplete"}


def test_joules_of_a_single_block_have_no_interval() -> None:
    world = World()
    result = measured(world, DrivenMeter(world, fault=lambda window: Reading(None, "gone") if window >= 5 else None))
    assert result.joules_ratio.value == pytest.approx(6)
    assert (result.joules_ratio.low, result.joules_ratio.high) == (None, None)
    assert result.joules_ratio.reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"probe": Probe(available=False, reason="no counter", mend="buy one")}, "no counter; buy one"),
        ({"probe": Probe(available=False)}, "driven is not available"),
        ({"open_fault": MeterError("no hardware")}, "driven could not start: no hardware"),
        ({"open_fault": OSError()}, "driven could not start: OSError: no message"),
    ],
)
def test_a_meter_that_cannot_start_gives_its_reason(changed: dict[str, Any], reason: str) -> None:
    world = World()
    result = measured(world, DrivenMeter(world, **changed))
    assert result.arms["token"].joules.reason == reason
    assert result.seconds_ratio.value == pytest.approx(6)
    assert result.joules_by == "driven"


def test_a_meter_that_cannot_stop_costs_nothing() -> None:
    world = World()
    result = measured(world, DrivenMeter(world, close_fault=OSError("still busy")))
    assert result.joules_ratio.value == pytest.approx(6)


def test_ctrl_c_passes_and_closes_the_meter() -> None:
    world = World()
    meter = DrivenMeter(world)

    def interrupted() -> None:
        if world.slots_done == 3:
            raise KeyboardInterrupt
        world.seconds += 1

    with pytest.raises(KeyboardInterrupt):
        measure_pair(
            {"token": interrupted, "latent": interrupted}, UNHURRIED, meter, clock=world, sleep=world.sleep, progress=world.progress
        )
    assert meter.closed
    assert gc.isenabled()


def test_without_a_meter_there_are_no_joules_and_no_caution_about_them() -> None:
    result = measured(World(), NullMeter())
    assert result.joules_ratio == Estimate(None, None, None, "no meter was asked for")
    assert (result.meter, result.cautions) == ("none", ())


def test_the_garbage_collector_rests_inside_a_window_only() -> None:
    seen = []
    world = World()

    def forward() -> None:
        seen.append(gc.isenabled())
        world.seconds += 1

    measure_pair({"token": forward, "latent": forward}, Plan(blocks=2), NullMeter(), clock=world)
    assert seen[-8:] == [False] * 8
    assert gc.isenabled()


def test_an_active_counter_is_refused() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False), pytest.raises(RuntimeError, match="FlopCounterMode"):
        measured(World(), NullMeter())


def test_an_active_profiler_is_refused() -> None:
    from torch.autograd.profiler import profile

    with profile(), pytest.raises(RuntimeError, match="profiler"):
        measured(World(), NullMeter())


@pytest.mark.parametrize("names", [[], ["token"], ["token", "latent", "third"]])
def test_a_pair_is_two(names: list[str]) -> None:
    with pytest.raises(ValueError, match="exactly two arms"):
        measure_pair({name: lambda: None for name in names}, UNHURRIED, NullMeter())


@pytest.mark.parametrize("precision", [0.0, -0.03, 1.0, 3.0, math.nan, math.inf])
def test_an_impossible_precision_is_refused_by_its_option(precision: float) -> None:
    with pytest.raises(UsageError, match="--precision must lie between 0 and 1"):
        Plan(precision=precision)


@pytest.mark.parametrize("wrong", [{"window_s": 0}, {"max_seconds": -1.0}, {"window_s": math.nan}, {"blocks": 1}, {"warmups": -1}])
def test_an_impossible_plan_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Plan(**wrong)


def test_real_work_on_the_real_clock_has_an_interval() -> None:
    import torch

    x_NxN = torch.randn(64, 64)
    arms = {"token": lambda: x_NxN @ x_NxN @ x_NxN, "latent": lambda: x_NxN @ x_NxN}
    result = measure_pair(arms, Plan(window_s=0.01, max_seconds=0.2, blocks=4), NullMeter(), synchronize=synchronizer("cpu"))
    ratio, low, high = ends(result.seconds_ratio)  # whatever they are: how busy the machine is decides
    assert 0 < low <= ratio <= high
    assert low < high
    assert all(slot.seconds > 0 for slot in result.slots)
