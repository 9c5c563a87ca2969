"""Two arms measured against each other: warm-up, repeats, rests, pilot, slots in ABBA BAAB order, ratios with their interval."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import Cost, Meter
from spanbench.measure.pair.length import Pace, measure_blocks
from spanbench.measure.pair.remarks import remarks
from spanbench.measure.pair.result import PairMeasurement, Plan
from spanbench.measure.pair.running import Runner
from spanbench.measure.pair.slot import Arm, Stage, find_repeats
from spanbench.measure.pair.summary import summary

__all__ = ["measure_pair"]


def measure_pair(
    arms: Mapping[str, Callable[[], object]],
    plan: Plan,
    meter: Meter,
    *,
    costs: Mapping[str, Cost] | None = None,
    clock: Clock | None = None,
    synchronize: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
    progress: Callable[[int, int], None] | None = None,
    null: bool = True,
) -> PairMeasurement:
    """Measure seconds and joules per forward of exactly two arms, and the ratio of the first to the second.

    Each arm is a call that runs one forward on inputs of its own; `synchronize` waits for its device (see
    `spanbench.measure.clock.synchronizer`). A slot repeats its arm back to back until it spans the window, and the
    device is waited for once, inside the window. `progress(done, total)` is called between slots, never in one; the
    total is the most there can be until a pilot has decided. A meter that fails costs its joules, never the time.

    Args:
        arms: name and call of each arm.
        plan: how long, and how well.
        meter: where joules come from. Where they are measured, rests are metered too.
        costs: what one forward of each arm costs as it was counted, for a meter that models joules.
        clock: where seconds come from.
        synchronize: waits for the device.
        sleep: passes the time of a rest, in seconds.
        progress: told how many slots are done, of how many.
        null: whether the faster arm is also run against itself, in half as many blocks again.

    Raises:
        ValueError: not exactly two arms.
        RuntimeError: a counter or profiler is active.
    """
    if len(arms) != 2:
        raise ValueError(f"a pair has exactly two arms, got {len(arms)}: {', '.join(arms) or 'none'}")
    both = [Arm(name, forward, (costs or {}).get(name)) for name, forward in arms.items()]
    with Guard(meter) as guard:
        stage = Stage(clock or PerfCounter(), synchronize, guard)
        _warm_up(both, plan.warmups, stage)
        window = max(plan.window_s, guard.min_window_s)
        repeats, pace, faster = _trial(both, window, stage)
        runner = Runner(both, repeats, stage, null=faster, rest_s=window, sleep=sleep, progress=progress)
        elapsed = measure_blocks(runner, plan, pace, null=null, resting=guard.source == "measured")
        found = summary(runner, plan, window, guard, null=null)
        return replace(found, cautions=remarks(found, elapsed, guard.note))


def _warm_up(arms: Sequence[Arm], times: int, stage: Stage) -> None:
    """Run each arm untimed: first calls allocate, choose kernels and fault memory in."""
    for arm in arms:
        for _ in range(times):
            arm.forward()
    stage.synchronize()


def _trial(arms: Sequence[Arm], window: float, stage: Stage) -> tuple[Mapping[str, int], Pace, Arm]:
    """Return how often each arm is repeated in a slot, what blocks will take, and the arm whose forward is faster."""
    found = {arm.name: find_repeats(arm, window, stage) for arm in arms}
    repeats = {name: count for name, (count, _) in found.items()}
    faster = min(arms, key=lambda arm: found[arm.name][1] / repeats[arm.name])
    pace = Pace(2 * sum(seconds for _, seconds in found.values()), 4 * found[faster.name][1])
    return repeats, pace, faster
