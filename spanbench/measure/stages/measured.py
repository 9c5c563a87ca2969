"""Stages of two arms, each timed alone, with the whole beside them in the same rounds.

A round gives one slot to each stage of each arm and one to each whole. Rounds come in pairs, there and back, so that
mean positions coincide and linear drift cancels within a pair; each pair begins one slot later than the one before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spanbench.measure.caution import Caution
from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import IDLE, Cost, Meter
from spanbench.measure.pair.result import Plan, SlotResult
from spanbench.measure.pair.slot import Arm, Stage, find_repeats, run_slot
from spanbench.measure.stages.result import WHOLE, ArmStages, StagesMeasurement, arm_stages, energy_cautions, time_cautions

__all__ = ["LEAST_ROUNDS", "StagedArm", "measure_stages", "rounds_of"]

LEAST_ROUNDS = 4
"""Two pairs: one has no spread."""

_MOST_ROUNDS = 12  # a share needs no narrow interval, and the time is better spent on the ratio

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StagedArm:
    """One arm: the calls that run each of its stages on stored activations, and the one that runs the whole."""

    name: str
    stages: Mapping[str, Callable[[], object]]
    whole: Callable[[], object]
    costs: Mapping[str, Cost] = field(default_factory=dict)
    """What each stage costs, and the whole under `WHOLE`, where that was counted."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Stages that the arm has and that do not run, each with the reason."""

    def slots(self) -> dict[str, Arm]:
        """Return what takes a slot of its own, by stage."""
        calls = {**self.stages, WHOLE: self.whole}
        return {stage: Arm(f"{self.name} {stage}", call, self.costs.get(stage)) for stage, call in calls.items()}


def measure_stages(
    arms: Sequence[StagedArm],
    plan: Plan,
    meter: Meter,
    *,
    clock: Clock | None = None,
    synchronize: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress | None = None,
) -> StagesMeasurement:
    """Measure seconds and joules per forward of every stage and whole, in as many rounds as `plan.max_seconds` holds.

    At least 4 rounds are run and at most 12. A meter that fails costs its joules, never the time.

    Raises:
        ValueError: there is no arm, or one without stages.
        RuntimeError: a counter or profiler is active.
    """
    if not arms or any(not arm.stages for arm in arms):
        raise ValueError("each arm needs a stage to time")
    slots = {slot.name: slot for arm in arms for slot in arm.slots().values()}
    with Guard(meter) as guard:
        stage = Stage(clock or PerfCounter(), synchronize, guard)
        _warm_up(slots.values(), plan.warmups, stage)
        window_s = max(plan.window_s, guard.min_window_s)
        pilots = {name: find_repeats(slot, window_s, stage) for name, slot in slots.items()}
        repeats = {name: count for name, (count, _) in pilots.items()}
        order = rounds_of(tuple(slots), _rounds(math.fsum(seconds for _, seconds in pilots.values()), plan))
        _rest(guard, sleep)
        done = _run([slots[name] for names in order for name in names], repeats, stage, progress)
        found = {arm.name: _summary(arm, done, repeats) for arm in arms}
        cautions = (*time_cautions(found, done, window_s), *_over_time(done, len(order), plan), *energy_cautions(done, guard))
        return StagesMeasurement(found, order, done, guard.name, guard.source, guard.by, cautions)


def rounds_of(names: Sequence[str], rounds: int) -> tuple[tuple[str, ...], ...]:
    """Return the slots of each round: there and back, then one slot later there and back, and so on."""
    found: list[tuple[str, ...]] = []
    for index in range(rounds):
        first = index // 2 % len(names)
        there = (*names[first:], *names[:first])
        found.append(there[::-1] if index % 2 else there)
    return tuple(found)


def _warm_up(slots: Iterable[Arm], times: int, stage: Stage) -> None:
    """Run each slot's work untimed: first calls allocate and choose kernels."""
    for slot in slots:
        for _ in range(times):
            slot.forward()
    stage.synchronize()


def _rounds(round_seconds: float, plan: Plan) -> int:
    """Return how many rounds fit into the time: even, and fixed before the first of them."""
    most = min(plan.blocks, _MOST_ROUNDS)
    fitting = math.floor(plan.max_seconds / round_seconds) if round_seconds > 0 else most
    chosen = min(fitting, most)
    return max(LEAST_ROUNDS, chosen - chosen % 2)


def _rest(guard: Guard, sleep: Callable[[float], None]) -> None:
    """Show the meter what the hardware draws at rest: a counter's session charges the edges of its windows with it."""
    if guard.wanted and guard.min_window_s > 0:
        guard.begin(IDLE)
        sleep(guard.min_window_s)
        guard.end()


def _run(slots: Sequence[Arm], repeats: Mapping[str, int], stage: Stage, progress: Progress | None) -> tuple[SlotResult, ...]:
    done = []
    for index, slot in enumerate(slots, start=1):
        done.append(run_slot(slot, repeats[slot.name], stage))
        if progress is not None:
            progress(index, len(slots))
    return tuple(done)


def _summary(arm: StagedArm, done: Sequence[SlotResult], repeats: Mapping[str, int]) -> ArmStages:
    names = {stage: slot.name for stage, slot in arm.slots().items()}
    own = {stage: [slot for slot in done if slot.arm == name] for stage, name in names.items()}
    return arm_stages(own, {stage: repeats[name] for stage, name in names.items()}, arm.absent)


def _over_time(slots: Sequence[SlotResult], rounds: int, plan: Plan) -> list[Caution]:
    total = math.fsum(slot.seconds for slot in slots)
    if rounds > LEAST_ROUNDS or total <= plan.max_seconds:
        return []
    text = f"the least schedule of stages, {rounds} rounds, took {total:.1f} s where {plan.max_seconds:.3g} s were asked for"
    return [Caution("over-time", text)]
