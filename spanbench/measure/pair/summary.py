"""What the slots of a pair come to."""

from __future__ import annotations

from collections.abc import Sequence

from spanbench.judge.precision import reaches
from spanbench.judge.stats import Estimate, spread, unknown
from spanbench.measure.energy.guard import Guard
from spanbench.measure.pair.ratios import dynamic_ratio, joules_each, ratio_of, seconds_each
from spanbench.measure.pair.result import ArmMeasurement, Blocks, PairMeasurement, Plan, Rest, SlotResult
from spanbench.measure.pair.running import Runner

__all__ = ["summary", "why_unknown"]


def summary(runner: Runner, plan: Plan, window_s: float, guard: Guard, *, null: bool) -> PairMeasurement:
    """Return every figure of the pair; its cautions are still to be found. `null` is whether A/A blocks were wanted."""
    pair, aa, repeats, rests = runner.blocks("pair"), runner.blocks("null"), runner.repeats, tuple(runner.rests)
    seconds, joules, idle = seconds_each(pair, repeats), joules_each(pair, repeats), _idle(rests, guard)
    seconds_ratio = ratio_of(pair.letters, seconds)
    joules_ratio = _joules_ratio(pair, joules, modelled=guard.source == "modelled")
    return PairMeasurement(
        arms={name: _arm(name, pair.slots, repeats[name], idle, modelled=guard.source == "modelled") for name in repeats},
        seconds_ratio=seconds_ratio,
        joules_ratio=joules_ratio,
        dynamic_ratio=_dynamic(pair, joules, seconds, idle),
        null_seconds=_null(aa, seconds_each(aa, repeats), wanted=null),
        null_joules=_null(aa, joules_each(aa, repeats), wanted=null),
        idle_watts=idle,
        conclusive=all(reaches(ratio, plan.precision) for ratio in _promised(seconds_ratio, joules_ratio, guard)),
        energy_bound=_bound(pair.slots),
        plan=plan,
        window_s=window_s,
        pair=pair,
        null=aa,
        pilot=runner.blocks("pilot"),
        rests=rests,
        sequence=tuple(runner.sequence),
        meter=guard.name,
        joules_source=guard.source,
        joules_by=guard.by,
        cautions=(),
    )


def why_unknown(slots: Sequence[SlotResult]) -> str:
    """Return the first reason that a slot gave for having no joules."""
    return next((slot.energy.reason for slot in slots if slot.energy.reason), "no slot was metered")


def _promised(seconds: Estimate, joules: Estimate, guard: Guard) -> list[Estimate]:
    """Return the ratios that the precision is promised for: estimated or modelled joules have errors no interval shows."""
    return [seconds, joules] if guard.source == "measured" and joules.value is not None else [seconds]


def _arm(name: str, slots: Sequence[SlotResult], repeats: int, idle: Estimate, *, modelled: bool) -> ArmMeasurement:
    own = [slot for slot in slots if slot.arm == name]
    metered = [(joules, slot.seconds) for slot in own if (joules := slot.joules) is not None]
    reason = why_unknown(own)
    return ArmMeasurement(
        name,
        repeats,
        seconds=spread([slot.seconds / repeats for slot in own]),
        joules=_known_within(own, repeats) if modelled and metered else _spread([joules / repeats for joules, _ in metered], reason),
        joules_dynamic=_above(metered, repeats, idle, reason),
        watts=_spread([joules / seconds for joules, seconds in metered if seconds > 0], reason),
    )


def _known_within(slots: Sequence[SlotResult], repeats: int) -> Estimate:
    """Return the median of a model's slots with the ends that its constants leave open: its slots hardly differ."""
    found = [slot.energy for slot in slots]
    value = spread([each.joules / repeats for each in found if each.joules is not None]).value
    lows, highs = ([end for each in found if (end := getattr(each, name)) is not None] for name in ("low", "high"))
    return Estimate(value, min(lows) / repeats if lows else None, max(highs) / repeats if highs else None)


def _above(metered: Sequence[tuple[float, float]], repeats: int, idle: Estimate, reason: str) -> Estimate:
    if metered and idle.value is None:
        return idle
    return _spread([(joules - (idle.value or 0.0) * seconds) / repeats for joules, seconds in metered], reason)


def _spread(values: Sequence[float], reason: str) -> Estimate:
    return spread(values) if values else unknown(reason)


def _idle(rests: Sequence[Rest], guard: Guard) -> Estimate:
    """Return the mean of the rests, with the smallest and the largest."""
    watts = [value for rest in rests if (value := rest.watts) is not None]
    if watts:
        return Estimate(sum(watts) / len(watts), min(watts), max(watts))
    reason = next((rest.energy.reason for rest in rests if rest.energy.reason), None)
    return unknown(reason or f"{'modelled' if guard.source == 'modelled' else 'estimated'} joules have no rest to subtract")


def _joules_ratio(pair: Blocks, joules: Sequence[float | None], *, modelled: bool) -> Estimate:
    found = ratio_of(pair.letters, joules)
    if found.value is None:
        return unknown(why_unknown(pair.slots))
    if modelled:
        return Estimate(found.value, None, None, "a model has no interval over blocks: both arms share its constants")
    return found


def _dynamic(pair: Blocks, joules: Sequence[float | None], seconds: Sequence[float], idle: Estimate) -> Estimate:
    if all(value is None for value in joules):
        return unknown(why_unknown(pair.slots))
    if idle.value is None:
        return idle
    found = dynamic_ratio(pair.letters, joules, seconds, idle)
    missing = found.value is None and any(value is None for value in joules)
    return unknown(why_unknown(pair.slots)) if missing else found


def _null(blocks: Blocks, values: Sequence[float | None], *, wanted: bool) -> Estimate:
    if not blocks.slots:
        return unknown("the time allowed holds no A/A blocks beside four of the pair" if wanted else "no A/A null was asked for")
    found = ratio_of(blocks.letters, values)
    missing = found.value is None and any(value is None for value in values)
    return unknown(why_unknown(blocks.slots)) if missing else found


def _bound(slots: Sequence[SlotResult]) -> float | None:
    """Return the widest relative distance of a slot's joules to the ends of its bound; None where a metered slot has none."""
    widest = 0.0
    metered = [slot.energy for slot in slots if slot.energy.joules is not None]
    for energy in metered:
        if energy.low is None or energy.high is None or energy.joules is None:
            return None
        widest = max(widest, (energy.high - energy.joules) / energy.joules, (energy.joules - energy.low) / energy.joules)
    return widest if metered else None
