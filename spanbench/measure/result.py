"""What a measurement of a pair is asked (`Plan`) and what it answers (`PairMeasurement`). Plain values only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from spanbench.errors import UsageError
from spanbench.judge.stats import Estimate
from spanbench.measure.caution import Caution
from spanbench.measure.energy.protocol import Reading, Source

__all__ = ["ArmMeasurement", "PairMeasurement", "Plan", "SlotResult"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure."""

    window_s: float = 0.2
    """Shortest slot, in seconds: a faster arm is repeated within its slot. A meter may ask for more."""
    max_seconds: float = 15.0
    """What all slots together should take; warm-up and pilot come on top. The least schedule, 8 slots, always runs."""
    blocks: int = 12
    """Most blocks (ABBA or BAAB, 4 slots each) to run."""
    warmups: int = 1
    """Untimed forwards of each arm before anything else."""

    def __post_init__(self) -> None:
        for name in ("window_s", "max_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be a positive number of seconds, got {value}")
        if self.blocks < 2:
            raise UsageError(f"blocks must be at least 2 (ABBA BAAB), got {self.blocks}")
        if self.warmups < 0:
            raise UsageError(f"warmups must be 0 or more, got {self.warmups}")


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
class ArmMeasurement:
    """One arm. Both estimates are per forward: the median of its slots, with the smallest and the largest slot."""

    name: str
    repeats: int
    seconds: Estimate
    joules: Estimate


@dataclass(frozen=True, slots=True)
class PairMeasurement:
    """Both arms and their ratios, first arm over second, with a 95% interval over blocks or the reason for none."""

    arms: Mapping[str, ArmMeasurement]
    seconds_ratio: Estimate
    joules_ratio: Estimate
    order: tuple[str, ...]
    """The run order, a string a block; A is the first arm."""
    slots: tuple[SlotResult, ...]
    """Every slot in the order it ran."""
    meter: str
    joules_source: Source
    joules_by: str
    """Which meter gave the joules, and how it came by them."""
    cautions: tuple[Caution, ...]
