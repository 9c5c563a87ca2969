"""How long a measurement is: the number of blocks, decided from the time allowed and, where there is enough of it, from a pilot.

Little time, fewer than twelve blocks: as many as fit, and all of them count. A pilot would take a third of them, and an
interval needs blocks more than it needs to be planned.

More time: four blocks are a pilot, from whose spread the number of the others is planned (spanbench.judge.precision). The
pilot's blocks are in no estimate. So the number of blocks behind an interval does not depend on the numbers in it, and a
95% interval keeps its 95%; to stop as soon as an interval is narrow enough, or to keep the pilot's blocks, would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spanbench.judge.precision import PILOT_BLOCKS, blocks_for, sigma_limit
from spanbench.measure.pair.ratios import block_logs, joules_each, seconds_each
from spanbench.measure.pair.result import Plan
from spanbench.measure.pair.running import Runner
from spanbench.measure.pair.schedule import Part, choose_blocks, order, parts, rests_for, slots_of

__all__ = ["LEAST_WITH_NULL", "Pace", "measure_blocks"]

LEAST_WITH_NULL = 4
"""Blocks: beside them run two A/A blocks, the fewest with an interval. Where fewer fit, the pair's own blocks are worth more."""

_WORTH_A_PILOT = 12
_LEAST_FRESH = 8  # behind a pilot: fewer leave the A/A null an interval that says nothing

_REST = Part("rest")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that four slots are expected to take: of both arms, and of the A/A null."""

    block: float
    null: float

    def waiting(self, seconds: float) -> Pace:
        """Return the pace with so much waiting for the meter in each slot."""
        return Pace(self.block + 4 * seconds, self.null + 4 * seconds)

    def times(self, factor: float) -> Pace:
        """Return the pace of a machine that takes `factor` times as long."""
        return Pace(self.block * factor, self.null * factor)

    def each(self, *, null: bool) -> float:
        """Return the seconds of one block with its share of the A/A null, which follows every second block."""
        return self.block + self.null / 2 if null else self.block


def measure_blocks(runner: Runner, plan: Plan, pace: Pace, *, null: bool, resting: bool) -> float:
    """Run everything behind the warm-up; return the seconds it took. The only stops are decided before the first slot of a kind."""
    clock = runner.stage.clock
    opened = clock.now()
    rested = resting and _first_rest(runner)
    waited = clock.now() - opened  # longer than the rest where the meter waits for its ticks, which it does in a slot too
    rests = rests_for(waited, plan.max_seconds) if rested else 0
    pace = pace.waiting(max(0.0, waited - sum(rest.seconds for rest in runner.rests))) if rested else pace
    left = plan.max_seconds - waited * max(rests, 1)
    null = null and choose_blocks(pace.each(null=True), left, plan.blocks) >= LEAST_WITH_NULL
    blocks = choose_blocks(pace.each(null=null), left, plan.blocks)
    if blocks >= _WORTH_A_PILOT:
        blocks = _piloted(runner, plan, pace, left, null=null, most=blocks)
    runner.run(parts(blocks, null=null, rests=max(0, rests - 1)))
    return clock.now() - opened


def _first_rest(runner: Runner) -> bool:
    """Rest, once more where that gave no joules, and return whether any came of it: a meter that has none is not waited for again."""
    runner.run((_REST,))
    if runner.rests[-1].watts is None:
        runner.run((_REST,))
    return runner.rests[-1].watts is not None


def _piloted(runner: Runner, plan: Plan, pace: Pace, left: float, *, null: bool, most: int) -> int:
    """Run the pilot; return how many blocks the precision needs, as far as they fit into what is left of the time."""
    opened = runner.stage.clock.now()
    runner.run([Part("pilot", letters) for letters in order(PILOT_BLOCKS)], later=slots_of(parts(most, null=null, rests=0)))
    took = runner.stage.clock.now() - opened
    expected = PILOT_BLOCKS * pace.block
    pace = pace.times(took / expected) if expected > 0 else pace
    wanted = max(_LEAST_FRESH, _needed(runner, plan.precision))
    return choose_blocks(pace.each(null=null), left - took, min(plan.blocks, wanted))


def _needed(runner: Runner, precision: float) -> int:
    """Return the blocks that the wider of both ratios needs, of seconds and of measured joules; 0 where the pilot has neither."""
    pilot = runner.blocks("pilot")
    kinds: Sequence[Sequence[float | None]] = [seconds_each(pilot, runner.repeats)]
    if runner.stage.meter.source == "measured":
        kinds = [*kinds, joules_each(pilot, runner.repeats)]
    found = [block_logs(pilot.letters, values) for values in kinds]
    return max((blocks_for(sigma_limit(logs), precision) for logs in found if len(logs) == PILOT_BLOCKS), default=0)
