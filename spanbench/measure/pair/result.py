"""What a measurement of a pair is asked (`Plan`) and what it answers (`PairMeasurement`). Plain values only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spanbench.errors import UsageError
from spanbench.judge.stats import Estimate
from spanbench.measure.caution import Caution
from spanbench.measure.energy.protocol import Reading, Source

__all__ = ["ArmMeasurement", "Blocks", "PairMeasurement", "Plan", "Rest", "SlotResult"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure, and how well."""

    window_s: float = 0.2
    """Shortest slot, in seconds: a faster arm is repeated within its slot. A meter may ask for more."""
    max_seconds: float = 15.0
    """What all slots and rests together should take; the warm-up comes on top. The least schedule, 8 slots, always runs."""
    blocks: int = 100
    """Most blocks (ABBA or BAAB, 4 slots each) to run; the precision asked for mostly needs fewer."""
    warmups: int = 1
    """Untimed forwards of each arm before anything else."""
    precision: float = 0.03
    """Relative half-width that the 95% interval of a ratio should have: 0.03 is ±3%."""
    seed: int = 0
    """Of the random moments that a meter waits before its windows. The order of the slots is not random."""

    def __post_init__(self) -> None:
        for name in ("window_s", "max_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be a positive number of seconds, got {value}")
        if self.blocks < 2:
            raise UsageError(f"blocks must be at least 2 (ABBA BAAB), got {self.blocks}")
        if self.warmups < 0:
            raise UsageError(f"warmups must be 0 or more, got {self.warmups}")
        if not 0 < self.precision < 1:
            raise UsageError(f"--precision must lie between 0 and 1 (0.03 is ±3%), got {self.precision}")


@dataclass(frozen=True, slots=True)
class SlotResult:
    """One timed window: seconds and joules of the whole slot, that is of all its repeats."""

    arm: str
    seconds: float
    energy: Reading

    @property
    def joules(self) -> float | None:
        """Return the slot's joules, or None; `energy.reason` then says why."""
        return self.energy.joules


@dataclass(frozen=True, slots=True)
class Rest:
    """A window in which nothing ran."""

    seconds: float
    energy: Reading

    @property
    def watts(self) -> float | None:
        """Return what the hardware drew at rest, or None where that is not known."""
        joules = self.energy.joules
        return None if joules is None or self.seconds <= 0 else joules / self.seconds


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of one kind: their order, a string a block, and their slots in the order they ran."""

    order: tuple[str, ...] = ()
    slots: tuple[SlotResult, ...] = ()
    places: tuple[int, ...] = ()
    """Of each slot, how many ran before it, of any kind."""

    @property
    def letters(self) -> str:
        """Return a letter a slot; A is the first arm, in an A/A block a label only."""
        return "".join(self.order)

    def to_json(self) -> list[list[Any]]:
        """Return the slots as [arm, seconds, joules or null]."""
        return [[slot.arm, slot.seconds, slot.joules] for slot in self.slots]


@dataclass(frozen=True, slots=True)
class ArmMeasurement:
    """One arm, per forward: of each estimate the median of its slots, with the smallest and the largest slot."""

    name: str
    repeats: int
    seconds: Estimate
    joules: Estimate
    joules_dynamic: Estimate
    """Joules above those of the machine at rest. Not clamped: a slot may have drawn less."""
    watts: Estimate
    """Joules ÷ seconds of the slots."""


@dataclass(frozen=True, slots=True)
class PairMeasurement:
    """Both arms and their ratios, first arm over second, with a 95% interval over blocks or the reason for none."""

    arms: Mapping[str, ArmMeasurement]
    seconds_ratio: Estimate
    joules_ratio: Estimate
    dynamic_ratio: Estimate
    """Of the joules above rest. A sensor's gain and offset do not reach it."""
    null_seconds: Estimate
    """The faster arm against itself in the same blocks: what differs from 1 is the machine's and the schedule's doing."""
    null_joules: Estimate
    idle_watts: Estimate
    """Mean of the rests, with the smallest and the largest."""
    conclusive: bool
    """Whether the ratio of seconds, and of measured joules, has an interval no wider than the plan's precision."""
    energy_bound: float | None
    """The widest error that a slot's joules can have by what the meter could not see, relative; None where that is not known."""
    plan: Plan
    window_s: float
    """The window that was held: the plan's, or the longer one that the meter needs."""
    pair: Blocks
    null: Blocks
    pilot: Blocks
    """Blocks that decided how many were run; they are in no estimate."""
    rests: tuple[Rest, ...]
    sequence: tuple[str, ...]
    """All that ran: 'ABBA', 'null ABBA', 'pilot ABBA', 'rest'."""
    meter: str
    joules_source: Source
    joules_by: str
    """Which meter gave the joules, and how it came by them."""
    cautions: tuple[Caution, ...]

    @property
    def order(self) -> tuple[str, ...]:
        """Return the run order of the blocks behind the ratios; A is the first arm."""
        return self.pair.order

    @property
    def slots(self) -> tuple[SlotResult, ...]:
        """Return every slot behind the ratios, in the order it ran."""
        return self.pair.slots

    def schedule(self) -> dict[str, Any]:
        """Return what was run and in which order, as plain JSON: enough to compute every figure again.

        `sequence` is the whole run. Slots are [arm, seconds, joules or null], of all repeats; rests are in watts.
        """
        kinds = {"pilot": self.pilot, "null": self.null}
        return {
            "order": list(self.order),
            **{name: list(blocks.order) for name, blocks in kinds.items()},
            "sequence": list(self.sequence),
            "repeats": {arm.name: arm.repeats for arm in self.arms.values()},
            "window_s": self.window_s,
            "precision": self.plan.precision,
            "conclusive": self.conclusive,
            "seed": self.plan.seed,
            "rests": [rest.watts for rest in self.rests],
            "energy_bound": self.energy_bound,
            "slots": self.pair.to_json(),
            **{f"{name}_slots": blocks.to_json() for name, blocks in kinds.items()},
        }
