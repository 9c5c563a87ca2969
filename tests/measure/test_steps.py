"""Single steps in driven time: order, windows, medians, ranks, jitter and ratios that are known beforehand."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.stats import Estimate
from spanbench.measure.pair.result import Plan
from spanbench.measure.steps import StepArm, StepsMeasurement, StepTimes, measure_steps
from tests.measure.driven import World

PLAN = Plan(max_seconds=1e6, blocks=4)
DENSE, LATENT = (2.0, 2.0, 2.0, 2.5), (0.5, 0.5, 0.5, 4.0)
REWIND = 1.0

Costs = Sequence[float]


def arm(world: World, name: str, costs: Costs, slower: Callable[[int], float] = lambda _: 1.0) -> StepArm:
    steps = [world.arm(f"{name}{position}", cost, slower) for position, cost in enumerate(costs)]
    return StepArm(name, world.arm(f"{name} back", REWIND), steps)


def measured(
    world: World, dense: Costs = DENSE, latent: Costs = LATENT, plan: Plan = PLAN, **slower: Callable[[int], float]
) -> StepsMeasurement:
    arms = [arm(world, "token", dense, **slower), arm(world, "latent", latent, **slower)]
    return measure_steps(arms, plan, clock=world, synchronize=world.synchronize, progress=world.progress)


def runs(world: World) -> list[str]:
    """Return the arms in the order of their passes, warm-up and pilot included."""
    return [entry.removesuffix(" back") for entry in world.log if entry.endswith(" back")]


def test_each_step_is_timed_by_itself_and_the_way_back_is_not() -> None:
    found = measured(World())
    for name, costs in (("token", DENSE), ("latent", LATENT)):
        assert found.arms[name].passes == (tuple(costs),) * 8
        assert [found.arms[name].at(position) for position in range(4)] == [Estimate(cost, cost, cost) for cost in costs]


def test_passes_run_in_abba_baab_order_behind_warm_up_and_pilot() -> None:
    world = World()
    found = measured(world)
    assert found.order == ("ABBA", "BAAB", "ABBA", "BAAB")
    names = {"A": "token", "B": "latent"}
    assert runs(world) == [names[letter] for letter in "AB" + "AB" + "ABBABAABABBABAAB"]
    assert [entry for entry in world.log if entry.startswith("progress")] == [f"progress {done}/16" for done in range(1, 17)]


def test_every_pass_goes_back_and_then_takes_every_step_in_order() -> None:
    world = World()
    measured(world)
    taken = [entry for entry in world.log if entry.startswith("latent")]
    assert taken == ["latent back", "latent0", "latent1", "latent2", "latent3"] * (len(taken) // 5)


def test_the_device_is_waited_for_on_both_sides_of_every_step() -> None:
    world = World()
    measured(world)
    log = [entry for entry in world.log if not entry.endswith(" back") and not entry.startswith("progress")]
    steps = [index for index, entry in enumerate(log) if entry.startswith(("token", "latent"))]
    assert len(steps) == 4 * (2 + 2 + 16)
    for index in steps:
        assert log[index - 2 : index] == ["synchronize", "clock"]
        assert log[index + 1 : index + 3] == ["synchronize", "clock"]


def test_as_many_passes_as_the_time_holds() -> None:
    block = 2 * (sum(DENSE) + sum(LATENT) + 2 * REWIND)
    assert measured(World(), plan=Plan(max_seconds=4.5 * block, blocks=12)).order == ("ABBA", "BAAB") * 2
    assert measured(World(), plan=Plan(max_seconds=0.01, blocks=12)).order == ("ABBA", "BAAB")
    assert measured(World(), plan=Plan(max_seconds=1e6, blocks=6)).order == ("ABBA", "BAAB") * 3


def test_one_slow_minute_moves_neither_medians_nor_the_ratio() -> None:
    """Passes 5 to 7, one block but for its last, take ten times as long."""
    found = measured(World(), slower=lambda done: 10.0 if 4 <= done < 7 else 1.0)
    token, latent = (found.arms[name].at(3) for name in ("token", "latent"))
    assert (token.value, latent.value) == (2.5, 4.0)
    assert (token.low, token.high) == (2.5, 25.0)
    assert found.ratio({"token": 3, "latent": 3}).value == pytest.approx(2.5 / 4.0)


def test_a_ratio_is_of_each_arm_s_own_position_with_an_interval() -> None:
    ratio = measured(World()).ratio({"token": 0, "latent": 3})
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.5, 0.5, 0.5))


def test_drift_does_not_reach_the_ratio() -> None:
    ratio = measured(World(), slower=lambda done: 1.01**done).ratio({"token": 0, "latent": 0})
    assert ratio.value == pytest.approx(DENSE[0] / LATENT[0], rel=1e-9)


# ---- the distribution -----------------------------------------------------------------------------------------------

PASSES = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.lists(st.floats(1e-6, 1e3), min_size=width, max_size=width).map(tuple), min_size=1, max_size=7)
)


@given(PASSES, st.integers(1, 100))
def test_a_percentile_is_the_least_median_that_enough_positions_do_not_exceed(passes: list[tuple[float, ...]], percent: int) -> None:
    medians = [statistics.median(column) for column in zip(*passes, strict=True)]
    found = StepTimes("token", tuple(passes)).percentile(percent)
    enough = [m for m in medians if Fraction(sum(other <= m for other in medians), len(medians)) >= Fraction(percent, 100)]
    assert found.value == pytest.approx(min(enough))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high  # type: ignore[operator]  # it has a value


def test_percentiles_of_a_span_tell_the_closing_step_from_the_rest() -> None:
    times = StepTimes("latent", ((1.0,) * 31 + (9.0,),) * 3)
    assert [times.percentile(percent).value for percent in (50, 90, 100)] == [1.0, 1.0, 9.0]


@given(PASSES, st.data())
def test_jitter_is_edge_over_ordinary_within_each_pass(passes: list[tuple[float, ...]], data: st.DataObject) -> None:
    edge = data.draw(st.integers(0, len(passes[0]) - 1))
    found = StepTimes("latent", tuple(passes)).jitter([edge])
    ratios = [run[edge] / statistics.median([*run[:edge], *run[edge + 1 :]]) for run in passes if len(run) > 1]
    if not ratios:
        assert found == Estimate(None, None, None, "every step closes a span")
        return
    assert found.value == pytest.approx(statistics.median(ratios))
    assert (found.low, found.high) == pytest.approx((min(ratios), max(ratios)))


def test_jitter_of_a_slow_pass_is_that_of_a_quick_one() -> None:
    times = StepTimes("latent", ((1.0, 1.0, 3.0), (8.0, 8.0, 24.0)))
    assert times.jitter([2]) == Estimate(3.0, 3.0, 3.0)


def test_without_an_edge_or_a_clock_that_moves_there_is_no_jitter() -> None:
    assert StepTimes("token", ((1.0, 1.0),)).jitter([]).reason == "no step closes a span"
    assert StepTimes("token", ((0.0, 1.0),)).jitter([1]).reason == "ordinary steps are too short for the clock"


def test_a_clock_that_stands_still_gives_no_ratio() -> None:
    ratio = measured(World(), dense=(0.0,), latent=(0.0,)).ratio({"token": 0, "latent": 0})
    assert (ratio.value, ratio.reason) == (None, "no complete block was measured")


# ---- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("costs", [[], [DENSE], [DENSE, LATENT, LATENT], [DENSE, LATENT[:3]], [(), ()]])
def test_anything_but_two_arms_with_the_same_steps_is_refused(costs: list[Costs]) -> None:
    world = World()
    arms = [arm(world, f"arm{index}", own) for index, own in enumerate(costs)]
    with pytest.raises(ValueError, match="two arms with the same steps"):
        measure_steps(arms, PLAN, clock=world, synchronize=world.synchronize)
    assert world.log == []


def test_the_collector_is_off_in_every_window_and_on_again_after() -> None:
    world, seen = World(), set[bool]()
    arms = [StepArm(name, lambda: None, [lambda: seen.add(gc.isenabled())]) for name in ("token", "latent")]
    assert gc.isenabled()
    measure_steps(arms, Plan(max_seconds=1, blocks=2), clock=world, synchronize=world.synchronize)
    assert seen == {False}
    assert gc.isenabled()
