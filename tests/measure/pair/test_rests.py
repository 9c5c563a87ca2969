"""Rests and what is drawn above them, in driven time: known watts, sensors with gain and offset, and rests that fail."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.stats import Estimate
from spanbench.measure.energy import NullMeter
from spanbench.measure.energy.protocol import IDLE, Reading
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.result import PairMeasurement, Plan
from tests.measure.driven import DrivenMeter, World

IDLE_WATTS, TOKEN_WATTS, LATENT_WATTS = 60.0, 300.0, 180.0
DYNAMIC = 3.0 * (TOKEN_WATTS - IDLE_WATTS) / (0.5 * (LATENT_WATTS - IDLE_WATTS))
PLAN = Plan(window_s=0.25, max_seconds=70.0)


def measured(meter: Any = None, plan: Plan = PLAN, seed: int | None = None, world: World | None = None, **changed: Any) -> PairMeasurement:
    world = world or World(idle_watts=IDLE_WATTS)
    draw = random.Random(seed)  # noqa: S311 - a simulation, repeatable by intent
    noise = (lambda _: 1.0) if seed is None else (lambda _: draw.lognormvariate(0, 0.02))
    arms = {
        "token": world.arm("token", 3.0, noise, watts=changed.pop("token_watts", TOKEN_WATTS)),
        "latent": world.arm("latent", 0.5, noise, watts=LATENT_WATTS),
    }
    used = meter or DrivenMeter(world, **changed)
    return measure_pair(arms, plan, used, clock=world, sleep=world.sleep, progress=world.progress)


def codes(result: PairMeasurement) -> set[str]:
    return {caution.code for caution in result.cautions}


def test_joules_above_rest_are_recovered_exactly() -> None:
    found = measured()
    assert found.idle_watts.value == pytest.approx(IDLE_WATTS)
    assert found.arms["token"].joules.value == pytest.approx(3.0 * TOKEN_WATTS)
    assert found.arms["token"].joules_dynamic.value == pytest.approx(3.0 * (TOKEN_WATTS - IDLE_WATTS))
    assert found.arms["latent"].watts.value == pytest.approx(LATENT_WATTS)
    assert found.dynamic_ratio.value == pytest.approx(DYNAMIC)
    assert (found.dynamic_ratio.low, found.dynamic_ratio.high) == pytest.approx((DYNAMIC, DYNAMIC))


def test_joules_above_rest_are_of_one_forward_however_often_a_slot_repeats_it() -> None:
    found = measured(plan=Plan(window_s=1.0, max_seconds=70.0))
    assert found.arms["latent"].repeats == 3
    assert found.arms["latent"].joules.value == pytest.approx(0.5 * LATENT_WATTS)
    assert found.arms["latent"].joules_dynamic.value == pytest.approx(0.5 * (LATENT_WATTS - IDLE_WATTS))
    assert found.dynamic_ratio.value == pytest.approx(DYNAMIC)


def test_the_device_is_waited_for_before_every_rest() -> None:
    world = World()
    meter = DrivenMeter(world)
    arms = {"token": world.arm("token", 3.0), "latent": world.arm("latent", 0.5)}
    measure_pair(arms, PLAN, meter, clock=world, synchronize=world.synchronize, sleep=world.sleep)
    slept = [place for place, entry in enumerate(world.log) if entry == "sleep"]
    assert len(slept) > 1
    for place in slept:
        assert world.log[place - 3 : place + 3] == ["synchronize", "begin", "clock", "sleep", "clock", "end"]


@given(st.floats(0.87, 1.18), st.floats(-24.0, 16.0), st.integers(0, 10**6))
def test_a_sensors_gain_and_offset_do_not_reach_the_ratio_above_rest(gain: float, offset: float, seed: int) -> None:
    true, seen = measured(seed=seed), measured(seed=seed, gain=gain, offset=offset)
    for end in ("value", "low", "high"):
        assert getattr(seen.dynamic_ratio, end) == pytest.approx(getattr(true.dynamic_ratio, end), rel=1e-4)


def test_the_gross_ratio_is_moved_by_an_offset_where_the_ratio_above_rest_is_not() -> None:
    true, seen = measured(), measured(offset=-24.0)
    assert abs(seen.joules_ratio.value / true.joules_ratio.value - 1) > 0.01  # type: ignore[operator]  # both have a value


def test_rests_are_before_between_and_after_and_of_the_windows_length() -> None:
    world = World(idle_watts=IDLE_WATTS)
    meter = DrivenMeter(world, min_window_s=2.0)
    found = measured(meter, world=world)
    assert found.sequence[0] == found.sequence[-1] == "rest"
    assert "rest" in found.sequence[1:-1]
    assert [rest.seconds for rest in found.rests] == pytest.approx([2.0] * 3)
    assert sum(window == IDLE for window in meter.windows) == 3


def test_rests_take_at_most_a_tenth_of_the_time_where_three_of_them_do() -> None:
    found = measured(plan=Plan(window_s=0.25, max_seconds=1e5))
    assert 3 <= len(found.rests) <= 9


@pytest.mark.parametrize("source", ["estimated", "modelled"])
def test_joules_that_are_not_measured_have_no_rest(source: str) -> None:
    found = measured(source=source, note="a guess")
    assert found.rests == ()
    assert found.dynamic_ratio == Estimate(None, None, None, f"{source} joules have no rest to subtract")
    assert found.arms["token"].joules_dynamic.reason == f"{source} joules have no rest to subtract"
    assert found.joules_ratio.value is not None


def test_without_a_meter_nothing_rests_and_the_reason_is_that() -> None:
    world = World()
    found = measured(NullMeter(), world=world)
    assert "sleep" not in world.log
    assert found.dynamic_ratio.reason == found.arms["latent"].watts.reason == "no meter was asked for"


def test_a_meter_that_has_no_joules_in_two_rests_is_waited_for_no_more() -> None:
    world = World()
    found = measured(DrivenMeter(world, fault=lambda window: Reading(None, "stuck") if window < 2 else None), world=world)
    assert world.log.count("sleep") == len(found.rests) == 2
    assert found.dynamic_ratio == Estimate(None, None, None, "stuck")
    assert found.joules_ratio.value is not None
    assert [rest.watts for rest in found.rests] == [None, None]


def test_a_first_rest_without_joules_is_taken_once_more() -> None:
    world = World(idle_watts=IDLE_WATTS)
    found = measured(DrivenMeter(world, fault=lambda window: Reading(None, "late") if window == 0 else None), world=world)
    assert found.sequence[:3] == ("rest", "rest", "ABBA")
    assert [rest.watts for rest in found.rests[:2]] == [None, pytest.approx(IDLE_WATTS)]
    assert found.sequence[-1] == "rest"
    assert found.dynamic_ratio.value == pytest.approx(DYNAMIC)


def test_a_rest_lost_later_leaves_the_others() -> None:
    world = World(idle_watts=IDLE_WATTS)
    last = DrivenMeter(world, min_window_s=2.0)
    last.fault = lambda window: Reading(None, "lost") if window > 0 and last.windows[window] == IDLE else None
    found = measured(last, world=world)
    assert [rest.watts for rest in found.rests] == [pytest.approx(IDLE_WATTS), None, None]
    assert found.dynamic_ratio.value == pytest.approx(DYNAMIC)


def test_an_arm_that_draws_less_than_rest_is_shown_as_it_is_and_has_no_ratio() -> None:
    found = measured(token_watts=50.0)
    assert found.arms["token"].joules_dynamic.value == pytest.approx(-30.0)
    assert found.arms["token"].joules.value == pytest.approx(150.0)
    assert found.dynamic_ratio.value is None
    assert "no more than the machine at rest" in (found.dynamic_ratio.reason or "")


def resting_at(*watts: float) -> PairMeasurement:
    """Measure with rests that draw so many watts, one after another."""
    meter = DrivenMeter(World(idle_watts=IDLE_WATTS))
    meter.fault = lambda window: Reading(0.25 * watts[meter.windows.count(IDLE) - 1]) if meter.windows[window] == IDLE else None
    found = measured(meter, world=meter.world, plan=Plan(window_s=0.25, max_seconds=1.0))
    assert len(found.rests) == len(watts)
    return found


def test_the_power_at_rest_is_the_mean_of_the_rests_with_the_smallest_and_the_largest() -> None:
    found = resting_at(50.0, 55.0, 90.0)
    assert (found.idle_watts.value, found.idle_watts.low, found.idle_watts.high) == pytest.approx((65.0, 50.0, 90.0))
    assert found.arms["token"].joules_dynamic.value == pytest.approx(3.0 * (TOKEN_WATTS - 65.0))


@pytest.mark.parametrize(("watts", "noted"), [((57.1, 60.0, 62.9), False), ((56.9, 60.0, 63.1), True), ((60.0, 56.9, 63.1), True)])
def test_rests_that_differ_by_more_than_a_tenth_of_their_mean_are_noted(watts: tuple[float, ...], noted: bool) -> None:
    assert ("idle-drift" in codes(resting_at(*watts))) == noted


def rising(world: World, step: float) -> DrivenMeter:
    """Return a meter behind which the machine at rest draws `step` watts more after every window."""

    def fault(_: int) -> None:
        world.idle_watts += step

    return DrivenMeter(world, fault=fault)


def test_rests_that_differ_widen_the_ratio_above_rest_and_are_noted() -> None:
    world = World(idle_watts=IDLE_WATTS)
    found = measured(rising(world, 0.25), world=world)
    assert "idle-drift" in codes(found)
    low, high = found.dynamic_ratio.low, found.dynamic_ratio.high
    assert low is not None
    assert high is not None
    assert low < found.dynamic_ratio.value < high  # type: ignore[operator]  # it has a value
    assert "idle-drift" not in codes(measured())


def test_rests_that_differ_by_more_than_the_work_draws_leave_no_interval() -> None:
    world = World(idle_watts=IDLE_WATTS)
    found = measured(rising(world, 1.5), world=world)
    assert found.dynamic_ratio.value is not None
    assert (found.dynamic_ratio.low, found.dynamic_ratio.high) == (None, None)
    assert found.dynamic_ratio.reason == "no interval: the rests differ by more than the work draws above them"
