"""Time strategies in turn: all of them in one order, then in the other, so that a slow drift meets each alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from torch import Tensor

from spanbench.judge.reuse import Cost
from spanbench.judge.reuse.result import Energy
from spanbench.judge.stats import Estimate, spread, unknown
from spanbench.measure.clock import PerfCounter, synchronizer
from spanbench.measure.energy import Meter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import Cost as MeterCost
from spanbench.measure.pair.slot import Arm, Stage, find_repeats, run_slot
from spanbench.run.reuse.ways import Way

__all__ = ["Clocked", "time_once", "time_queries"]

MOST_PASSES = 16
LEAST_PASSES = 2
LEAST_WINDOWS = 3
"""Windows of a meter below which a range of joules says nothing, so that they are left out."""
METERED_PASSES = 4
"""The least even number of passes that has as many windows."""
LEAST_ONCE = 2
"""Times that a document is read at the least, so that there is a range."""
SHORT = 0.02
"""Seconds that a slot should fill where no meter asks for more: a hundred times what a clock's reading takes."""


@dataclass(frozen=True, slots=True)
class Clocked:
    """What a strategy's queries took: medians with the smallest and the largest slot, and how they were timed."""

    seconds: Estimate
    joules: Estimate
    repeats: int
    passes: int
    energy: Energy


def time_queries(
    ways: Mapping[str, Way],
    queries: Sequence[Tensor],
    costs: Mapping[str, Cost],
    meter: Meter,
    max_seconds: float,
    device: str,
    progress: Callable[[int, int], None],
) -> dict[str, Clocked]:
    """Time each way's warm queries (each was asked before); all ways in turn, a pass backwards after each forwards.

    Where the meter's window is longer than the time allows for all ways twice, joules are left out with a reason.

    Raises:
        RuntimeError: a counter or profiler is active.
    """
    with Guard(meter) as guard:
        stage = Stage(PerfCounter(), synchronizer(device), guard)
        window, refused = _window(guard, len(ways), max_seconds)
        arms = {name: _arm(name, way, queries, costs[name]) for name, way in ways.items()}
        found = {name: find_repeats(arm, window, stage) for name, arm in arms.items()}
        passes = _passes(sum(seconds for _, seconds in found.values()), max_seconds, metered=guard.wanted and not refused)
        slots: dict[str, list[tuple[float, float | None, str]]] = {name: [] for name in arms}
        for done in range(passes):
            progress(done, passes)
            for name in list(arms) if done % 2 == 0 else reversed(arms):
                repeats = found[name][0]
                slot = run_slot(arms[name], repeats, stage)
                joules = slot.joules
                slots[name].append((slot.seconds / repeats, None if joules is None else joules / repeats, slot.energy.reason or ""))
        progress(passes, passes)
        energy = Energy(guard.by, guard.source)
    return {name: _clocked(rows, found[name][0], refused, energy) for name, rows in slots.items()}


def time_once(way: Way, times: int, max_seconds: float) -> Estimate:
    """Return what reading and keeping the document takes: the median of two to so many times, with their range."""
    if way.once is None:
        return Estimate(0.0, 0.0, 0.0)
    took: list[float] = []
    while len(took) < LEAST_ONCE or (len(took) < times and sum(took) + min(took) < max_seconds):
        start = perf_counter()
        way.once()
        took.append(perf_counter() - start)
    return spread(took)


def _window(guard: Guard, ways: int, max_seconds: float) -> tuple[float, str]:
    """Return the seconds that a slot should fill, and why joules are left out ('' where they are not)."""
    needed = guard.min_window_s
    if needed * ways * METERED_PASSES > max_seconds:
        return (
            SHORT,
            f"{guard.name} needs windows of {needed:g} s, and --max-time has too few; give at least {needed * ways * METERED_PASSES:g} s",
        )
    return max(SHORT, needed), ""


def _passes(each: float, max_seconds: float, *, metered: bool) -> int:
    """Return an even number of passes that the time holds; as many as joules need, where that takes at most half as long again."""
    held = math.floor(max_seconds / each) if each > 0 else MOST_PASSES
    least = METERED_PASSES if metered and METERED_PASSES * each <= 1.5 * max_seconds else LEAST_PASSES
    return max(least, min(MOST_PASSES, held) // 2 * 2)


def _arm(name: str, way: Way, queries: Sequence[Tensor], cost: Cost) -> Arm:
    """Return a call that asks one query after the other, from the first again at the end."""
    asked = 0

    def forward() -> Tensor:
        nonlocal asked
        asked += 1
        return way.ask(queries[(asked - 1) % len(queries)])

    return Arm(name, forward, MeterCost(cost.flops, cost.bytes_moved))


def _clocked(rows: Sequence[tuple[float, float | None, str]], repeats: int, refused: str, energy: Energy) -> Clocked:
    return Clocked(spread([seconds for seconds, _, _ in rows]), _joules(rows, refused), repeats, len(rows), energy)


def _joules(rows: Sequence[tuple[float, float | None, str]], refused: str) -> Estimate:
    """Return the joules of a query with their range, or why there are none."""
    joules = [value for _, value, _ in rows if value is not None]
    if joules and not refused and len(joules) >= LEAST_WINDOWS:
        return spread(joules)
    few = (
        f"only {len(joules)} windows of the meter's least length, and a range needs {LEAST_WINDOWS}; give more --max-time" if joules else ""
    )
    reasons = [refused, few, *(reason for _, value, reason in rows if value is None), "no meter was asked"]
    return unknown(next(filter(None, reasons)))
