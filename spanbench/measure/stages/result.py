"""What the slots of stages say: seconds and joules of each, their sum over the whole, and what a reader must know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spanbench.judge.stats import Estimate, median, spread, unknown
from spanbench.measure.caution import Caution
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import Source
from spanbench.measure.pair.result import SlotResult

__all__ = ["WHOLE", "ArmStages", "StageMeasurement", "StagesMeasurement", "arm_stages", "energy_cautions", "time_cautions"]

WHOLE = "total"
"""Under this name the whole stands among an arm's stages."""

_PAIR = 2  # rounds there and back
_APART = 0.1  # a sum of stages this far from the whole must be explained to the reader


@dataclass(frozen=True, slots=True)
class StageMeasurement:
    """Per forward: the median of a stage's slots, with the smallest and the largest slot."""

    repeats: int
    seconds: Estimate
    joules: Estimate


@dataclass(frozen=True, slots=True)
class ArmStages:
    """One arm's stages, its whole, and the sum of the stages over the whole.

    Both quotients are medians over pairs of rounds, with the smallest and the largest pair.
    """

    stages: Mapping[str, StageMeasurement]
    whole: StageMeasurement
    seconds_over_whole: Estimate
    joules_over_whole: Estimate
    absent: Mapping[str, str]
    """Stages that the arm has and that did not run, each with the reason."""


@dataclass(frozen=True, slots=True)
class StagesMeasurement:
    """Both arms, and how they were measured."""

    arms: Mapping[str, ArmStages]
    order: tuple[tuple[str, ...], ...]
    """The slots of each round, by arm and stage."""
    slots: tuple[SlotResult, ...]
    """Every slot in the order it ran."""
    meter: str
    joules_source: Source
    joules_by: str
    cautions: tuple[Caution, ...]


def arm_stages(slots: Mapping[str, Sequence[SlotResult]], repeats: Mapping[str, int], absent: Mapping[str, str]) -> ArmStages:
    """Sum up one arm from the slots of its stages and of its `WHOLE`, each stage's in the order they ran."""
    seconds: dict[str, list[float | None]] = {name: [slot.seconds / repeats[name] for slot in own] for name, own in slots.items()}
    joules = {name: [None if slot.joules is None else slot.joules / repeats[name] for slot in own] for name, own in slots.items()}
    found = {name: _stage(own, repeats[name]) for name, own in slots.items()}
    why = _why([slot for own in slots.values() for slot in own])
    return ArmStages(
        stages={name: stage for name, stage in found.items() if name != WHOLE},
        whole=found[WHOLE],
        seconds_over_whole=_over_whole(seconds, "no time passed on this clock"),
        joules_over_whole=_over_whole(joules, why),
        absent=absent,
    )


def _stage(slots: Sequence[SlotResult], repeats: int) -> StageMeasurement:
    joules = [slot.joules / repeats for slot in slots if slot.joules is not None]
    energy = spread(joules) if joules else unknown(_why(slots))
    return StageMeasurement(repeats, spread([slot.seconds / repeats for slot in slots]), energy)


def _over_whole(values: Mapping[str, Sequence[float | None]], reason: str) -> Estimate:
    """Return the quotient over those pairs of rounds that are known in all their slots."""
    quotients = []
    for start in range(0, len(values[WHOLE]), _PAIR):
        whole = _sum(values[WHOLE][start : start + _PAIR])
        stages = _sum([value for name, of in values.items() if name != WHOLE for value in of[start : start + _PAIR]])
        if whole and stages is not None:
            quotients.append(stages / whole)
    return spread(quotients) if quotients else unknown(reason)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None


def _why(slots: Sequence[SlotResult]) -> str:
    """Return the first reason that a slot gave for having no joules."""
    return next((slot.energy.reason for slot in slots if slot.energy.reason), "no slot was metered")


def time_cautions(arms: Mapping[str, ArmStages], slots: Sequence[SlotResult], window_s: float) -> list[Caution]:
    """Say which slots were shorter than the window, and which arm's stages do not sum to its whole within 10%."""
    names = dict.fromkeys(slot.arm for slot in slots)
    medians = {name: median([slot.seconds for slot in slots if slot.arm == name]) for name in names}
    short = [name for name, middle in medians.items() if middle < window_s]
    shortest = f"slots shorter than the {window_s:g} s asked for, the shortest {min(medians.values()):.3g} s: {', '.join(short)}"
    apart = [
        Caution("stages-apart", f"{name}: the stages, each alone, take {ratio:.2f} times the whole, so their shares are rough")
        for name, arm in arms.items()
        if (ratio := arm.seconds_over_whole.value) is not None and abs(ratio - 1) > _APART
    ]
    return [Caution("short-window", shortest), *apart] if short else apart


def energy_cautions(slots: Sequence[SlotResult], guard: Guard) -> list[Caution]:
    """Say which slots have no joules, what the meter said of the others, and where a figure was not measured."""
    if not guard.wanted:
        return []
    found = list({caution.code: caution for slot in slots for caution in slot.energy.cautions}.values())
    lost = [slot for slot in slots if slot.joules is None]
    if lost:
        code = "energy-unknown" if len(lost) == len(slots) else "energy-incomplete"
        found.append(Caution(code, f"{len(lost)} of {len(slots)} slots of stages have no joules: {_why(lost)}"))
    if len(lost) < len(slots) and guard.source != "measured":
        found.append(Caution(f"energy-{guard.source}", guard.note))
    return found
