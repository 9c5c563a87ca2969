"""How many blocks are run, in driven time: what fits, what a pilot asks for, and what is left out of the estimate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from spanbench.judge.precision import blocks_for, sigma_limit
from spanbench.measure.energy import NullMeter
from spanbench.measure.energy.protocol import Reading
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.result import PairMeasurement, Plan
from tests.measure.driven import DrivenMeter, World

BLOCK, NULL = 2 * (3.0 + 0.5), 4 * 0.5


def measured(
    plan: Plan, disturbance: Callable[[int], float] = lambda _: 1.0, *, null: bool = True, world: World | None = None
) -> PairMeasurement:
    world = world or World()
    arms = {"token": world.arm("token", 3.0, disturbance), "latent": world.arm("latent", 0.5)}
    return measure_pair(arms, plan, NullMeter(), clock=world, sleep=world.sleep, progress=world.progress, null=null)


def up_to(seconds: float, **more: float) -> Plan:
    return Plan(max_seconds=seconds, **more)  # type: ignore[arg-type]  # blocks are whole


def wobbling(size: float) -> Callable[[int], float]:
    """Return a disturbance whose block log-ratios alternate by ± `size`."""
    return lambda slot: math.exp(size if slot // 4 % 2 else -size)


def test_twelve_blocks_that_fit_are_worth_a_pilot() -> None:
    found = measured(up_to(12 * (BLOCK + NULL / 2) + 0.1))
    assert (len(found.pilot.order), len(found.order), len(found.null.order)) == (4, 8, 4)


@pytest.mark.parametrize("blocks", [4, 6, 8, 10])
def test_little_time_is_filled_with_blocks_that_all_count(blocks: int) -> None:
    found = measured(up_to(blocks * (BLOCK + NULL / 2) + 0.1))
    assert (len(found.order), len(found.null.order), found.pilot.order) == (blocks, blocks // 2, ())


def test_where_fewer_than_four_blocks_fit_beside_it_the_null_gives_way() -> None:
    found = measured(up_to(4 * BLOCK + 0.1))
    assert (len(found.order), found.null.order) == (4, ())
    assert found.null_seconds.value is None
    assert found.null_seconds.reason == "the time allowed holds no A/A blocks beside four of the pair"


def test_a_null_that_was_not_asked_for_takes_no_time() -> None:
    found = measured(up_to(6 * BLOCK + 0.1), null=False)
    assert (len(found.order), found.null.slots) == (6, ())
    assert found.null_seconds.reason == "no A/A null was asked for"


def test_the_null_is_of_the_faster_arm() -> None:
    assert {slot.arm for slot in measured(up_to(80.0)).null.slots} == {"latent"}


def test_more_time_buys_a_pilot_of_four_blocks_that_is_kept_and_not_counted() -> None:
    found = measured(up_to(1e4), lambda slot: 2.0 if slot < 16 else 1.0)
    assert found.pilot.order == ("ABBA", "BAAB", "ABBA", "BAAB")
    assert [slot.seconds for slot in found.pilot.slots if slot.arm == "token"] == [6.0] * 8
    assert found.seconds_ratio.value == pytest.approx(6.0)
    assert found.sequence[:6] == ("pilot ABBA", "pilot BAAB", "pilot ABBA", "pilot BAAB", "ABBA", "BAAB")


@pytest.mark.parametrize("size", [0.0, 0.005, 0.02, 0.05])
@pytest.mark.parametrize("precision", [0.01, 0.03, 0.1])
def test_a_pilot_asks_for_what_its_upper_limit_of_sigma_needs(size: float, precision: float) -> None:
    found = measured(Plan(max_seconds=1e5, precision=precision, blocks=1000), wobbling(size))
    logs = [math.log(6) + sign * size for sign in (-1, 1, -1, 1)]
    assert len(found.order) == max(8, blocks_for(sigma_limit(logs), precision))


def metered(own_joules: float, own_seconds: float, **more: Any) -> PairMeasurement:
    """Measure with a pilot whose block log-ratios alternate by ± so much: of joules, of seconds. Behind it nothing varies."""
    world = World()
    meter = DrivenMeter(world, **more)

    def fault(window: int) -> Reading | None:
        before = window if meter.source != "measured" else window - 1  # of the slots; measured joules begin with a rest
        if meter.windows[window].repeats == 0:
            return None
        return Reading(10.0 * (wobbling(own_joules)(before) if meter.windows[window].name == "token" and before < 16 else 1.0))

    meter.fault = fault
    seconds = wobbling(own_seconds)
    arms = {"token": world.arm("token", 3.0, lambda slot: seconds(slot) if slot < 16 else 1.0), "latent": world.arm("latent", 0.5)}
    plan = Plan(max_seconds=1e5, blocks=1000)
    return measure_pair(arms, plan, meter, clock=world, sleep=world.sleep, progress=world.progress)


@pytest.mark.parametrize(("joules", "seconds"), [(0.05, 0.0), (0.0, 0.05), (0.04, 0.05), (0.05, 0.04)])
def test_where_joules_are_measured_the_wider_of_both_ratios_decides(joules: float, seconds: float) -> None:
    needed = blocks_for(sigma_limit([-0.05, 0.05, -0.05, 0.05]), Plan().precision)
    assert needed > 8
    assert len(metered(joules, seconds).order) == needed


def test_joules_that_are_not_measured_ask_for_no_block() -> None:
    assert len(metered(0.05, 0.0, source="estimated", note="a guess").order) == 8


def test_a_pilot_asks_for_no_more_than_fits_or_is_allowed() -> None:
    noisy, world = wobbling(0.2), World()
    fitting = measured(up_to(200.0), noisy, world=world)
    took = sum(slot.seconds for blocks in (fitting.pilot, fitting.pair, fitting.null) for slot in blocks.slots)
    assert 200 * 0.9 < took <= 200 * 1.02
    assert len(measured(up_to(1e5, blocks=14), noisy).order) == 14
    assert not fitting.conclusive


def test_fewer_blocks_allowed_than_a_pilot_is_worth_are_run_without_one() -> None:
    assert measured(up_to(1e5, blocks=11)).pilot.order == ()
    assert len(measured(up_to(1e5, blocks=11)).order) == 10


def test_a_machine_that_turned_slow_gets_fewer_blocks_from_its_pilot() -> None:
    """Warm-up and trial are quick, everything from the first slot on takes twice as long."""
    world = World()
    slow = [1.0]
    arms = {"token": world.arm("token", 3.0, lambda _: slow[0]), "latent": world.arm("latent", 0.5, lambda _: slow[0])}

    def progress(done: int, _: int) -> None:
        slow[0] = 2.0 if done else 1.0

    allowed = 4 * BLOCK + 40 * (BLOCK + NULL / 2)
    found = measure_pair(arms, Plan(max_seconds=allowed, precision=1e-9), NullMeter(), clock=world, progress=progress)
    assert len(found.order) in {16, 18}
    assert "over-time" not in {caution.code for caution in found.cautions}


def test_progress_counts_every_slot_and_ends_at_its_total() -> None:
    world = World()
    found = measured(up_to(1e4), world=world)
    told = [entry.split()[1].split("/") for entry in world.log if entry.startswith("progress")]
    ran = len(found.slots) + len(found.null.slots) + len(found.pilot.slots)
    assert [int(done) for done, _ in told] == list(range(1, ran + 1))
    assert told[-1] == [str(ran), str(ran)]
    assert all(int(done) <= int(total) for done, total in told)


def test_waiting_for_a_slow_meter_is_part_of_a_blocks_time() -> None:
    """Each window waits 2 s at either end, so a block takes 16 s more."""
    world = World()
    meter = DrivenMeter(world, fault=lambda _: world.pass_time(2.0, 4.0))
    arms = {"token": world.arm("token", 3.0), "latent": world.arm("latent", 0.5)}
    found = measure_pair(arms, Plan(max_seconds=130.0), meter, clock=world, sleep=world.sleep)
    assert "over-time" not in {caution.code for caution in found.cautions}
    assert (len(found.order), len(found.rests)) == (4, 3)


@pytest.mark.parametrize(("seconds", "blocks"), [(100.0, 4), (107.0, 6)])
def test_the_rests_to_come_are_part_of_the_time(seconds: float, blocks: int) -> None:
    """Five rests of 2 s; with its A/A null a block takes 16 s: six of them would fit into 100 s beside a single rest."""
    world = World()
    arms = {"token": world.arm("token", 3.0), "latent": world.arm("latent", 0.5)}
    found = measure_pair(arms, Plan(window_s=2.0, max_seconds=seconds), DrivenMeter(world), clock=world, sleep=world.sleep)
    assert (len(found.rests), len(found.order)) == (5, blocks)
    slots = [slot.seconds for each in (found.pair, found.null) for slot in each.slots]
    assert sum(slots) + sum(rest.seconds for rest in found.rests) <= seconds
