"""Stages in driven time: rounds, sums over the whole, and joules that are known beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.stats import Estimate
from spanbench.measure.caution import Caution
from spanbench.measure.energy import MeterError, NullMeter, Reading
from spanbench.measure.energy.protocol import IDLE, Cost, Meter, Session, Window
from spanbench.measure.pair.result import Plan
from spanbench.measure.stages.measured import LEAST_ROUNDS, StagedArm, measure_stages, rounds_of
from spanbench.measure.stages.result import StagesMeasurement
from tests.measure.driven import DrivenMeter, World

PLAN = Plan(window_s=1.0, max_seconds=1e6, blocks=6, warmups=0)
TOKEN = {"layers": 3.0, "head": 1.0}
LATENT = {"encoder": 0.5, "mixer": 1.0, "head": 1.0}
NAMES = ("token layers", "token head", "token total", "latent encoder", "latent mixer", "latent head", "latent total")

Costs = Mapping[str, float]
Disturbance = Callable[[int], float]


def undisturbed(_slot: int) -> float:
    return 1.0


def staged(world: World, name: str, costs: Costs, whole: float | None, slower: Disturbance = undisturbed) -> StagedArm:
    stages = {stage: world.arm(f"{name} {stage}", cost, slower) for stage, cost in costs.items()}
    return StagedArm(name, stages, world.arm(f"{name} total", sum(costs.values()) if whole is None else whole, slower))


def measured(
    world: World, plan: Plan = PLAN, meter: Meter | None = None, whole: float | None = None, slower: Disturbance = undisturbed
) -> StagesMeasurement:
    arms = [staged(world, "token", TOKEN, None, slower), staged(world, "latent", LATENT, whole, slower)]

    def sleep(seconds: float) -> None:
        world.log.append("sleep")
        world.seconds += seconds

    return measure_stages(
        arms, plan, meter or NullMeter(), clock=world, synchronize=world.synchronize, sleep=sleep, progress=world.progress
    )


def codes(found: StagesMeasurement) -> list[str]:
    return [caution.code for caution in found.cautions]


# ---- seconds --------------------------------------------------------------------------------------------------------


def test_each_stage_is_timed_alone_and_the_sum_is_held_against_the_whole() -> None:
    found = measured(World(), whole=2.0)
    assert {name: stage.seconds for name, stage in found.arms["token"].stages.items()} == {
        "layers": Estimate(3.0, 3.0, 3.0),
        "head": Estimate(1.0, 1.0, 1.0),
    }
    assert found.arms["token"].seconds_over_whole == Estimate(1.0, 1.0, 1.0)
    assert found.arms["latent"].whole.seconds == Estimate(2.0, 2.0, 2.0)
    assert found.arms["latent"].seconds_over_whole == Estimate(1.25, 1.25, 1.25)


def test_a_stage_shorter_than_the_window_is_repeated_and_told_per_forward() -> None:
    found = measured(World(), plan=Plan(window_s=10.0, max_seconds=1e6, blocks=4, warmups=0))
    encoder = found.arms["latent"].stages["encoder"]
    assert encoder.repeats == 21, "10 s and a margin of half a second, at 0.5 s a call"
    assert encoder.seconds == Estimate(0.5, 0.5, 0.5)
    assert found.arms["latent"].seconds_over_whole == Estimate(1.0, 1.0, 1.0)


def test_every_stage_and_whole_has_one_slot_in_every_round() -> None:
    world = World()
    found = measured(world)
    assert len(found.order) == PLAN.blocks
    assert all(Counter(one) == Counter(NAMES) for one in found.order)
    assert [slot.arm for slot in found.slots] == [name for one in found.order for name in one]
    assert [entry for entry in world.log if entry.startswith("progress")] == [f"progress {done}/42" for done in range(1, 43)]


@given(st.integers(1, 12), st.integers(1, 12))
def test_rounds_go_there_and_back_and_begin_elsewhere_each_time(slots: int, pairs: int) -> None:
    names = [str(index) for index in range(slots)]
    order = rounds_of(names, 2 * pairs)
    for pair in range(pairs):
        there, back = order[2 * pair : 2 * pair + 2]
        assert there[::-1] == back
        assert there[0] == names[pair % slots]
        places = Counter({name: there.index(name) + slots + back.index(name) for name in names})
        assert len(set(places.values())) == 1, "mean positions within a pair are equal"


@given(st.floats(-0.004, 0.02), st.booleans())
def test_linear_drift_does_not_reach_the_sum_over_the_whole(drift: float, turned: bool) -> None:
    found = measured(World(), slower=lambda slot: 1 + drift * ((42 - slot) if turned else slot))
    for arm in found.arms.values():
        over = arm.seconds_over_whole
        assert over.value is not None
        assert over.low is not None
        assert over.high is not None
        assert over.low == pytest.approx(1, abs=1e-9)
        assert over.high == pytest.approx(1, abs=1e-9)


def test_a_disturbed_round_widens_the_spread_and_hardly_moves_the_median() -> None:
    found = measured(World(), slower=lambda slot: 1.5 if slot == 3 else 1.0)  # the fourth slot: the latent encoder
    assert found.slots[3].arm == "latent encoder"
    over = found.arms["latent"].seconds_over_whole
    assert (over.value, over.low) == (1.0, 1.0)
    assert over.high == pytest.approx(1 + 0.25 / 5.0)


def test_as_many_rounds_as_the_time_holds_even_and_at_least_four() -> None:
    one = sum((3.0, 2.0, 4.0, 1.5, 2.0, 2.0, 2.5))  # a round: to fill a second with a margin, calls of 1 s run twice, of 0.5 s thrice
    assert len(measured(World(), plan=Plan(window_s=1.0, max_seconds=7.9 * one, blocks=100, warmups=0)).order) == 6
    assert len(measured(World(), plan=Plan(window_s=1.0, max_seconds=1e9, blocks=100, warmups=0)).order) == 12
    short = measured(World(), plan=Plan(window_s=1.0, max_seconds=0.5 * one, blocks=100, warmups=0))
    assert len(short.order) == LEAST_ROUNDS
    assert codes(short) == ["over-time"]


def test_stages_that_do_not_sum_to_the_whole_are_told() -> None:
    assert not measured(World(), whole=2.4).cautions
    (caution,) = measured(World(), whole=2.0).cautions
    assert caution == Caution("stages-apart", "latent: the stages, each alone, take 1.25 times the whole, so their shares are rough")


def test_slots_that_turn_out_too_short_are_named_with_the_shortest_of_them() -> None:
    world = World()
    trials = iter(range(3))  # the token arm's: a slow start, after which it runs four times as fast
    arm = staged(world, "token", TOKEN, None, lambda _: 1.0 if next(trials, None) is not None else 0.25)
    found = measure_stages([arm], PLAN, NullMeter(), clock=world, sleep=lambda _: None)
    text = "slots shorter than the 1 s asked for, the shortest 0.5 s: token layers, token head"
    assert Caution("short-window", text) in found.cautions, (
        "3 s and twice 1 s a slot were aimed at; 4 s at a quarter is no shorter than 1 s"
    )


def test_warm_ups_are_not_timed() -> None:
    world = World()
    measured(world, plan=Plan(window_s=1.0, max_seconds=1e6, blocks=4, warmups=2))
    before = world.log[: world.log.index("clock")]
    assert Counter(entry for entry in before if entry != "synchronize") == Counter(dict.fromkeys(NAMES, 2))


def test_a_clock_that_stands_still_gives_no_quotient_and_says_why() -> None:
    arms = [StagedArm("token", {"head": lambda: None}, lambda: None)]
    found = measure_stages(arms, PLAN, NullMeter(), clock=World())
    assert found.arms["token"].seconds_over_whole == Estimate(None, None, None, "no time passed on this clock")


@pytest.mark.parametrize("arms", [[], [StagedArm("token", {}, lambda: None)]])
def test_nothing_to_time_is_refused(arms: list[StagedArm]) -> None:
    with pytest.raises(ValueError, match="each arm needs a stage to time"):
        measure_stages(arms, PLAN, NullMeter(), clock=World())


# ---- joules ---------------------------------------------------------------------------------------------------------


def test_joules_are_those_of_the_stage_and_sum_to_the_whole() -> None:
    world = World()
    found = measured(world, meter=DrivenMeter(world, watts=10.0))
    arm = found.arms["latent"]
    assert arm.stages["mixer"].joules == Estimate(10.0, 10.0, 10.0)
    assert arm.whole.joules == Estimate(25.0, 25.0, 25.0)
    assert arm.joules_over_whole == Estimate(1.0, 1.0, 1.0)
    assert (found.meter, found.joules_source, found.joules_by) == ("driven", "measured", "driven by the test")


def test_without_a_meter_there_are_no_joules_and_no_caution() -> None:
    found = measured(World())
    assert found.arms["token"].stages["head"].joules.value is None
    assert found.arms["token"].joules_over_whole.reason
    assert not found.cautions


def test_a_window_that_is_lost_costs_its_own_pair_of_rounds_and_no_time() -> None:
    world = World()
    meter = DrivenMeter(world, fault=lambda window: MeterError("the GPU is lost") if window == 0 else None)
    found = measured(world, meter=meter)
    assert found.arms["token"].joules_over_whole == Estimate(1.0, 1.0, 1.0)
    assert len([slot for slot in found.slots if slot.joules is None]) == 1
    (caution,) = found.cautions
    assert caution == Caution(
        "energy-incomplete", "1 of 42 slots of stages have no joules: driven could not close a window: the GPU is lost"
    )


def test_a_meter_that_always_fails_leaves_all_seconds_and_the_reason() -> None:
    world = World()
    found = measured(world, meter=DrivenMeter(world, fault=lambda _: MeterError("no such counter")))
    head = found.arms["token"].stages["head"]
    assert head.seconds == Estimate(1.0, 1.0, 1.0)
    assert head.joules == Estimate(None, None, None, "driven could not close a window: no such counter")
    assert found.arms["token"].joules_over_whole == head.joules
    assert codes(found) == ["energy-unknown"]


def test_what_the_meter_says_of_its_windows_is_handed_on_once() -> None:
    world = World()
    said = Caution("meters-apart", "two meters disagree")
    found = measured(world, meter=DrivenMeter(world, fault=lambda _: Reading(5.0, cautions=(said,))))
    assert found.cautions == (said,)


def test_a_meter_that_needs_longer_windows_gets_them_and_one_look_at_rest_before() -> None:
    world = World()
    meter = DrivenMeter(world, min_window_s=10.0)
    found = measured(world, meter=meter)
    assert all(slot.seconds >= 10.0 for slot in found.slots)
    assert world.log.count("sleep") == 1
    assert world.log.index("begin") < world.log.index("sleep") < world.log.index("end"), "nothing else ran in the first window"


def test_each_window_tells_the_meter_what_its_work_costs() -> None:
    world, meter = World(), Remembering(World(), min_window_s=0.5)
    costs = {"layers": Cost(30, 3), "total": Cost(40, 4)}
    arm = replace(staged(world, "token", TOKEN, None), costs=costs)
    measure_stages([arm], PLAN, meter, clock=world, sleep=lambda _: None)
    assert meter.windows[0] is IDLE
    assert {window.name: window.cost for window in meter.windows[1:]} == {
        "token layers": Cost(30, 3),
        "token head": None,
        "token total": Cost(40, 4),
    }


class Remembering(DrivenMeter):
    """Keeps the windows that its session was told of."""

    windows: list[Window]

    @contextmanager
    def session(self) -> Iterator[Session]:
        self.windows = []
        yield RememberingSession(self.windows)


@dataclass
class RememberingSession:
    """Reads a joule in every window."""

    windows: list[Window]
    by: str = "remembered by the test"

    def begin(self, window: Window) -> None:
        self.windows.append(window)

    def end(self) -> Reading:
        return Reading(1.0)
