"""Where a condition of a pair begins to be noted: on either side of each limit that the documentation names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import stdev

import pytest

from spanbench.judge.precision import blocks_for
from spanbench.judge.stats import Estimate
from spanbench.measure.energy import NullMeter
from spanbench.measure.energy.protocol import Meter, Reading, Source
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.remarks import remarks
from spanbench.measure.pair.result import Blocks, PairMeasurement, Plan, SlotResult
from tests.measure.driven import DrivenMeter, World


def measured(
    world: World,
    plan: Plan,
    *,
    token: Callable[[int], float] = lambda _: 1.0,
    latent: Callable[[int], float] = lambda _: 1.0,
    seconds: tuple[float, float] = (3.0, 0.5),
    meter: Meter | None = None,
) -> PairMeasurement:
    arms = {"token": world.arm("token", seconds[0], token), "latent": world.arm("latent", seconds[1], latent)}
    return measure_pair(arms, plan, meter or NullMeter(), clock=world, sleep=world.sleep, progress=world.progress)


def noted(found: PairMeasurement) -> Mapping[str, str]:
    return {caution.code: caution.text for caution in found.cautions}


# ---- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "late"), [(1.09, False), (1.11, True)])
def test_more_than_eleven_tenths_of_the_time_allowed_is_noted(share: float, late: bool) -> None:
    """The least schedule, two blocks of 7 s, runs however little was allowed."""
    found = measured(World(), Plan(max_seconds=14 / share))
    assert len(found.slots) == 8
    assert ("over-time" in noted(found)) == late


def slow_in(*slots: int) -> Callable[[int], float]:
    return lambda slot: 1.0 if slot in slots else 0.3


def test_an_arm_whose_median_slot_is_too_short_is_noted_with_it_though_one_slot_was_long_enough() -> None:
    found = measured(World(), Plan(window_s=0.45, max_seconds=30.5), latent=slow_in(0, 1))
    assert sorted(slot.seconds for slot in found.slots if slot.arm == "latent")[-2:] == [pytest.approx(0.15), 0.5]
    assert noted(found)["short-window"] == "slots were shorter than the 0.45 s asked for: latent 0.15 s"


def test_one_short_slot_is_not_noted() -> None:
    found = measured(World(), Plan(window_s=0.45, max_seconds=30.5), latent=lambda slot: 0.3 if slot == 2 else 1.0)
    assert min(slot.seconds for slot in found.slots) == pytest.approx(0.15)
    assert "short-window" not in noted(found)


# ---- the seconds that would do --------------------------------------------------------------------------------------


def blockwise(size: float) -> Callable[[int], float]:
    return lambda slot: math.exp(size if slot // 4 % 2 else -size)


def hinted(found: PairMeasurement) -> float:
    match = re.search(r"; about ([\d,]+) s would likely do$", noted(found)["inconclusive"])
    assert match is not None
    return float(match[1].replace(",", ""))


def test_the_seconds_hinted_are_those_of_the_blocks_needed_of_half_as_many_null_blocks_and_of_a_pilot() -> None:
    """Arms of one speed, so that all blocks take the same 4 s."""
    found = measured(World(), Plan(max_seconds=24.5), token=blockwise(0.04), seconds=(1.0, 1.0))
    assert (len(found.order), len(found.null.order), found.pilot.order) == (4, 2, ())
    ran = [slot.seconds for blocks in (found.pair, found.null) for slot in blocks.slots]
    needed = blocks_for(stdev([0.04, 0.04, -0.04, -0.04]), 0.03)
    assert needed > 4
    assert hinted(found) == round(sum(ran) / 6 * (1.5 * needed + 4))


def test_a_pilots_blocks_are_part_of_the_pace_of_which_the_hint_is_made() -> None:
    found = measured(World(), Plan(max_seconds=80.0, precision=0.005), token=blockwise(0.04), seconds=(1.0, 1.0))
    assert len(found.pilot.order) == 4
    ran = [slot.seconds for blocks in (found.pilot, found.pair, found.null) for slot in blocks.slots]
    signs = [1 if found.pair.places[4 * block] // 4 % 2 else -1 for block in range(len(found.order))]
    needed = blocks_for(stdev([0.04 * sign for sign in signs]), 0.005)
    assert hinted(found) == round(sum(ran) / (len(ran) / 4) * (1.5 * needed + 4))


def test_where_both_ratios_are_too_wide_the_wider_one_sets_the_hint() -> None:
    world, wide = World(), blockwise(0.06)
    meter = DrivenMeter(world)

    def fault(window: int) -> Reading | None:
        kind = meter.windows[window].name
        return None if kind == "idle" else Reading(10.0 * (wide(world.slots_done) if kind == "token" else 1.0))

    meter.fault = fault
    found = measured(world, Plan(max_seconds=26.0), token=blockwise(0.04), seconds=(1.0, 1.0), meter=meter)
    assert (len(found.order), len(found.null.order)) == (4, 2)
    assert noted(found)["inconclusive"].count(" is known to ±") == 2
    took = sum(slot.seconds for blocks in (found.pair, found.null) for slot in blocks.slots) + sum(rest.seconds for rest in found.rests)
    assert hinted(found) == round(took / 6 * (1.5 * blocks_for(stdev([0.06, 0.06, -0.06, -0.06]), 0.03) + 4))


def test_blocks_of_which_there_were_enough_but_for_the_median_hint_at_two_more() -> None:
    """Four of ten blocks lie off by so much that the interval of the mean is narrow enough, but must be widened to the median."""
    off = 0.079
    assert blocks_for(stdev([off] * 4 + [0.0] * 6), 0.03) == 10
    found = measured(World(), Plan(max_seconds=60.5), token=lambda slot: math.exp(off * (slot // 4 in {3, 6, 9, 12})), seconds=(1.0, 1.0))
    assert (len(found.order), len(found.null.order), found.seconds_ratio.low) == (10, 5, found.seconds_ratio.value)
    took = sum(slot.seconds for blocks in (found.pair, found.null) for slot in blocks.slots)
    assert hinted(found) == round(took / 15 * (1.5 * 12 + 4))


def test_the_seconds_hinted_do() -> None:
    plan = Plan(max_seconds=24.5)
    first = measured(World(), plan, token=blockwise(0.04), seconds=(1.0, 1.0))
    again = measured(World(), replace(plan, max_seconds=hinted(first)), token=blockwise(0.04), seconds=(1.0, 1.0))
    assert not first.conclusive
    assert again.conclusive


# ---- the arm against itself -----------------------------------------------------------------------------------------

ONE, EACH_OF_TWO = 3.182, 4.177
"""Student's t with 3 degrees of freedom as printed: two-sided 95%, and 97.5%, of which two together leave 5%."""
NOISE = (-0.01, 0.01, -0.02, 0.02)


def off_by(errors: float) -> list[float]:
    """Return a figure a slot, of four A/A blocks whose mean log-ratio lies so many standard errors off 0."""
    off = errors * stdev(NOISE) / math.sqrt(len(NOISE))
    return [math.exp(each + off) if letter == "A" else 1.0 for each in NOISE for letter in "ABBA"]


def against_itself(seconds: float, joules: float, source: Source = "measured") -> Mapping[str, str]:
    """Return what is noted where an arm's seconds and joules differ from themselves by so many standard errors."""
    world = World()
    found = measured(world, Plan(max_seconds=70.0), meter=DrivenMeter(world, source=source, note="a guess"))
    both = zip(off_by(seconds), off_by(joules), strict=True)
    null = Blocks(("ABBA",) * 4, tuple(SlotResult("latent", each, Reading(energy)) for each, energy in both), tuple(range(16)))
    cautions = remarks(replace(found, null=null, null_joules=Estimate(1.0, 0.9, 1.1)), 60.0, "a guess")
    return {caution.code: caution.text for caution in cautions}


@pytest.mark.parametrize(("errors", "biased"), [(0.98 * ONE, False), (1.02 * ONE, True), (-1.02 * ONE, True)])
def test_seconds_alone_are_biased_beyond_their_95_percent(errors: float, biased: bool) -> None:
    text = against_itself(errors, 9.0, "estimated").get("null-biased", "")
    assert ("seconds" in text) == biased
    assert "joules" not in text


@pytest.mark.parametrize(("errors", "biased"), [(1.02 * ONE, False), (0.98 * EACH_OF_TWO, False), (1.02 * EACH_OF_TWO, True)])
def test_seconds_and_measured_joules_share_the_five_percent(errors: float, biased: bool) -> None:
    for name, text in (("seconds", against_itself(errors, 0.0)), ("joules", against_itself(0.0, errors))):
        assert (f"away from 1: {name} " in text.get("null-biased", "")) == biased
