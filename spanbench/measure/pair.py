"""Two arms measured against each other: warm-up, pilot, slots in ABBA BAAB order, ratios with their interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from spanbench.judge.stats import Estimate, block_log_ratio, median, ratio_estimate, spread, unknown
from spanbench.measure.caution import Caution
from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import Meter
from spanbench.measure.result import ArmMeasurement, PairMeasurement, Plan, SlotResult
from spanbench.measure.schedule import LEAST_BLOCKS, choose_blocks, order
from spanbench.measure.slot import Arm, Stage, find_repeats, run_slot

__all__ = ["measure_pair"]

_SLOTS_PER_BLOCK = 4
_FEW_BLOCKS = 4  # below this Student's t makes an interval so wide that a reader should be told why


def measure_pair(
    arms: Mapping[str, Callable[[], object]],
    plan: Plan,
    meter: Meter,
    *,
    clock: Clock | None = None,
    synchronize: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] | None = None,
) -> PairMeasurement:
    """Measure seconds and joules per forward of exactly two arms, and the ratio of the first to the second.

    Each arm is a call that runs one forward on inputs of its own; `synchronize` waits for its device (see
    `spanbench.measure.clock.synchronizer`). A slot repeats its arm back to back until it spans the window, and the
    device is waited for once, inside the window. `progress(done, total)` is called between slots, never in one.
    A meter that fails costs its joules, never the time.

    Raises:
        ValueError: not exactly two arms.
        RuntimeError: a counter or profiler is active.
    """
    if len(arms) != 2:
        raise ValueError(f"a pair has exactly two arms, got {len(arms)}: {', '.join(arms) or 'none'}")
    first, second = (Arm(name, forward) for name, forward in arms.items())
    with Guard(meter) as guard:
        stage = Stage(clock or PerfCounter(), synchronize, guard)
        _warm_up((first, second), plan.warmups, stage)
        window = max(plan.window_s, guard.min_window_s)
        pilots = {arm.name: find_repeats(arm, window, stage) for arm in (first, second)}
        repeats = {name: count for name, (count, _) in pilots.items()}
        block_seconds = _SLOTS_PER_BLOCK / 2 * sum(seconds for _, seconds in pilots.values())
        blocks = order(choose_blocks(block_seconds, plan.max_seconds, plan.blocks))
        slots = _run(blocks, {"A": first, "B": second}, repeats, stage, progress)
        return _summary(blocks, slots, repeats, guard, _cautions(slots, len(blocks), window, plan, guard))


def _warm_up(arms: Sequence[Arm], times: int, stage: Stage) -> None:
    """Run each arm untimed: first calls allocate, choose kernels and fault memory in."""
    for arm in arms:
        for _ in range(times):
            arm.forward()
    stage.synchronize()


def _run(
    blocks: Sequence[str],
    arms: Mapping[str, Arm],
    repeats: Mapping[str, int],
    stage: Stage,
    progress: Callable[[int, int], None] | None,
) -> tuple[SlotResult, ...]:
    letters = "".join(blocks)
    slots = []
    for done, letter in enumerate(letters, start=1):
        arm = arms[letter]
        slots.append(run_slot(arm, repeats[arm.name], stage))
        if progress is not None:
            progress(done, len(letters))
    return tuple(slots)


def _summary(
    blocks: tuple[str, ...], slots: tuple[SlotResult, ...], repeats: Mapping[str, int], guard: Guard, cautions: tuple[Caution, ...]
) -> PairMeasurement:
    first, second = repeats
    return PairMeasurement(
        arms={name: _arm(name, slots, repeats[name]) for name in repeats},
        seconds_ratio=_ratio([_seconds(slot, repeats) for slot in slots], slots, first, second),
        joules_ratio=_joules_ratio(slots, repeats, first, second),
        order=blocks,
        slots=slots,
        meter=guard.name,
        joules_source=guard.source,
        joules_by=guard.by,
        cautions=cautions,
    )


def _seconds(slot: SlotResult, repeats: Mapping[str, int]) -> float:
    return slot.seconds / repeats[slot.arm]


def _joules(slot: SlotResult, repeats: Mapping[str, int]) -> float | None:
    return None if slot.joules is None else slot.joules / repeats[slot.arm]


def _arm(name: str, slots: Sequence[SlotResult], repeats: int) -> ArmMeasurement:
    own = [slot for slot in slots if slot.arm == name]
    joules = [slot.joules / repeats for slot in own if slot.joules is not None]
    energy = spread(joules) if joules else unknown(_why(own))
    return ArmMeasurement(name, repeats, spread([slot.seconds / repeats for slot in own]), energy)


def _why(slots: Sequence[SlotResult]) -> str:
    """Return the first reason that a slot gave for having no joules."""
    return next((slot.energy.reason for slot in slots if slot.energy.reason), "no slot was metered")


def _joules_ratio(slots: Sequence[SlotResult], repeats: Mapping[str, int], first: str, second: str) -> Estimate:
    estimate = _ratio([_joules(slot, repeats) for slot in slots], slots, first, second)
    return estimate if estimate.value is not None else unknown(_why(slots))


def _ratio(values: Sequence[float | None], slots: Sequence[SlotResult], first: str, second: str) -> Estimate:
    """Return the ratio over the blocks all of whose four slots have a positive value."""
    logs = []
    for start in range(0, len(slots), _SLOTS_PER_BLOCK):
        block = range(start, start + _SLOTS_PER_BLOCK)
        known = {index: value for index in block if (value := values[index]) is not None and value > 0}
        if len(known) == _SLOTS_PER_BLOCK:
            sides = {name: [known[index] for index in block if slots[index].arm == name] for name in (first, second)}
            logs.append(block_log_ratio(sides[first], sides[second]))
    return ratio_estimate(logs)


def _cautions(slots: Sequence[SlotResult], blocks: int, window: float, plan: Plan, guard: Guard) -> tuple[Caution, ...]:
    """Return what the reader must know of these slots, each under its code."""
    return tuple(_time_cautions(slots, blocks, window, plan) + _energy_cautions(slots, guard))


def _time_cautions(slots: Sequence[SlotResult], blocks: int, window: float, plan: Plan) -> list[Caution]:
    names = dict.fromkeys(slot.arm for slot in slots)
    medians = {name: median([slot.seconds for slot in slots if slot.arm == name]) for name in names}
    found = [
        Caution("short-window", f"{name}: slots took {middle:.3g} s, shorter than the {window:g} s asked for")
        for name, middle in medians.items()
        if middle < window
    ]
    if blocks < _FEW_BLOCKS:
        found.append(Caution("few-blocks", f"{blocks} blocks were run (at most {plan.max_seconds:.3g} s), so the intervals are wide"))
    total = math.fsum(slot.seconds for slot in slots)
    if blocks == LEAST_BLOCKS and total > plan.max_seconds:
        found.append(Caution("over-time", f"the least schedule, 8 slots, took {total:.1f} s where {plan.max_seconds:.3g} s were asked for"))
    return found


def _energy_cautions(slots: Sequence[SlotResult], guard: Guard) -> list[Caution]:
    if not guard.wanted:
        return []
    lost = [slot for slot in slots if slot.joules is None]
    found = []
    if lost:
        code = "energy-unknown" if len(lost) == len(slots) else "energy-incomplete"
        found.append(Caution(code, f"{len(lost)} of {len(slots)} slots have no joules: {_why(lost)}"))
    if len(lost) < len(slots) and guard.source != "measured":
        found.append(Caution(f"energy-{guard.source}", guard.note))
    return found
