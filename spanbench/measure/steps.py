"""Single steps of two arms: each position of a period timed by itself, pass after pass, the arms in turn.

A mean over a period hides what a listener hears: that one step of it is dearer than the others. So each step has its own
window here, with the device waited for on both sides. A window this short is noisy; the median over passes is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from spanbench.judge.stats import Estimate, block_log_ratio, median, ratio_estimate, spread, unknown
from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy import NullMeter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.pair.result import Plan
from spanbench.measure.pair.schedule import choose_blocks, order
from spanbench.measure.pair.slot import Arm, Stage, run_slot

__all__ = ["StepArm", "StepTimes", "StepsMeasurement", "measure_steps"]

_OWN_PASSES = 2  # of each arm in a block, ABBA or BAAB
_MOST_BLOCKS = 12  # a median over 24 passes is steady; the plan's own cap is for intervals


@dataclass(frozen=True, slots=True)
class StepArm:
    """One arm: `rewind` goes back to where the period begins, each of `steps` takes the next step of it."""

    name: str
    rewind: Callable[[], object]
    steps: Sequence[Callable[[], object]]


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Seconds of one arm, by pass (in the order they ran) and position."""

    name: str
    passes: tuple[tuple[float, ...], ...]

    def at(self, position: int) -> Estimate:
        """Return the median of one position, with its fastest and slowest pass."""
        return spread(self._of(position))

    def percentile(self, percent: int) -> Estimate:
        """Return the time that `percent` of the positions do not exceed: one that a position took (nearest rank).

        Of the positions' medians; `low` and `high` are the same rank among their fastest and among their slowest passes.
        """
        ranges = [spread(self._of(position)) for position in range(len(self.passes[0]))]
        value, low, high = ([end for r in ranges if (end := getattr(r, name)) is not None] for name in ("value", "low", "high"))
        return Estimate(_rank(value, percent), _rank(low, percent), _rank(high, percent))

    def jitter(self, edges: Collection[int]) -> Estimate:
        """Return how many ordinary steps a step at a span's edge takes: median ÷ median within a pass, then over passes."""
        if not edges or len(edges) == len(self.passes[0]):
            return unknown("every step closes a span" if edges else "no step closes a span")
        ratios = [one for run in self.passes if (one := _edge_over_ordinary(run, edges)) is not None]
        return spread(ratios) if ratios else unknown("ordinary steps are too short for the clock")

    def _of(self, position: int) -> list[float]:
        return [run[position] for run in self.passes]


@dataclass(frozen=True, slots=True)
class StepsMeasurement:
    """Both arms' step times, and the order of their passes, a string a block; A is the first arm."""

    arms: Mapping[str, StepTimes]
    order: tuple[str, ...]

    def ratio(self, positions: Mapping[str, int]) -> Estimate:
        """Return the first arm's time over the second's, each at a position of its own, with a 95% interval over blocks."""
        return _paired(*([run[positions[name]] for run in times.passes] for name, times in self.arms.items()))

    def percentile_ratio(self, percent: int) -> Estimate:
        """Return the ratio of what `percent` of the positions do not exceed in a pass, with a 95% interval over blocks."""
        return _paired(*([_rank(run, percent) for run in times.passes] for times in self.arms.values()))

    def jitter_ratio(self, edges: Collection[int]) -> Estimate:
        """Return the ratio of both arms' jitter, with a 95% interval over blocks."""
        sides = [[one for run in times.passes if (one := _edge_over_ordinary(run, edges))] for times in self.arms.values()]
        short = any(len(side) < len(times.passes) for side, times in zip(sides, self.arms.values(), strict=True))
        return next(iter(self.arms.values())).jitter(edges) if short else _paired(*sides)


def measure_steps(
    arms: Sequence[StepArm],
    plan: Plan,
    *,
    synchronize: Callable[[], None],
    clock: Clock | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StepsMeasurement:
    """Time every step of two arms by itself, in as many interleaved passes as `plan.max_seconds` holds (least 8, both arms).

    Raises:
        ValueError: not exactly two arms, or not the same number of steps (at least one) in both.
        RuntimeError: a counter or profiler is active.
    """
    if len(arms) != 2 or len({len(arm.steps) for arm in arms}) > 1 or not arms[0].steps:
        raise ValueError(f"two arms with the same steps are needed, got {', '.join(f'{a.name} ({len(a.steps)})' for a in arms) or 'none'}")
    with Guard(NullMeter()) as guard:
        stage = Stage(clock or PerfCounter(), synchronize, guard)
        for arm in (*arms,) * plan.warmups:
            _pass(arm, stage)
        blocks = order(
            choose_blocks(_OWN_PASSES * sum(_trial(arm, stage) for arm in arms), plan.max_seconds, min(plan.blocks, _MOST_BLOCKS))
        )
        passes = _run("".join(blocks), dict(zip("AB", arms, strict=True)), stage, progress)
    return StepsMeasurement({arm.name: StepTimes(arm.name, tuple(passes[letter])) for letter, arm in zip("AB", arms, strict=True)}, blocks)


def _run(
    letters: str, arms: Mapping[str, StepArm], stage: Stage, progress: Callable[[int, int], None] | None
) -> Mapping[str, list[tuple[float, ...]]]:
    passes: dict[str, list[tuple[float, ...]]] = {letter: [] for letter in arms}
    for done, letter in enumerate(letters, start=1):
        passes[letter].append(_pass(arms[letter], stage))
        if progress is not None:
            progress(done, len(letters))
    return passes


def _pass(arm: StepArm, stage: Stage) -> tuple[float, ...]:
    """Go back and take all steps; each is a slot of its own, the way back is in none of them."""
    arm.rewind()
    return tuple(run_slot(Arm(arm.name, step), 1, stage).seconds for step in arm.steps)


def _trial(arm: StepArm, stage: Stage) -> float:
    """Return what one pass takes in all, the way back and the waiting included."""
    opened = stage.clock.now()
    _pass(arm, stage)
    return stage.clock.now() - opened


def _edge_over_ordinary(run: Sequence[float], edges: Collection[int]) -> float | None:
    """Return the median step at an edge ÷ the median of all others in one pass; None where there is no such quotient."""
    ordinary = [seconds for position, seconds in enumerate(run) if position not in edges]
    usual = median(ordinary) if ordinary else 0.0
    return median([run[position] for position in sorted(edges)]) / usual if edges and usual > 0 else None


def _paired(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return the ratio of two arms' passes, block by block."""
    blocks = [slice(start, start + _OWN_PASSES) for start in range(0, len(first), _OWN_PASSES)]
    return ratio_estimate([block_log_ratio(first[b], second[b]) for b in blocks if min(*first[b], *second[b]) > 0])


def _rank(values: Sequence[float], percent: int) -> float:
    """Return the nearest rank: the smallest of the values that at least `percent` of them do not exceed."""
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]
