"""How a pair is to be measured, and with what."""

from __future__ import annotations

from dataclasses import dataclass, field

from spanbench.measure.carbon import Carbon
from spanbench.measure.energy import Meter, NullMeter, Target, get_meter
from spanbench.measure.pair.result import Plan
from spanbench.point import Point

__all__ = ["Timing", "board_of", "meter_of"]


@dataclass(frozen=True, slots=True)
class Timing:
    """How to measure, what to measure beside the pair, and what to do with a pair that does not fit in memory.

    `must_run` refuses it (NotEnoughMemory); otherwise it is counted and not run, and the record says so.
    """

    plan: Plan = field(default_factory=Plan)
    """For each regime."""
    meter: Meter = field(default_factory=NullMeter)
    must_run: bool = False
    compiled: bool = False
    """Time the forwards under torch.compile."""
    stages: bool = False
    """Time each stage by itself too."""
    limits: bool = True
    """Measure the machine's limits before and after the slots."""
    peak: bool = True
    """Measure each arm's peak memory in a process of its own."""
    carbon: Carbon | None = None


def meter_of(name: str, point: Point) -> Meter:
    """Return the meter of that name for the device and dtype of a point; see `spanbench.measure.energy.get_meter`.

    Raises:
        UsageError: there is none.
    """
    return get_meter(name, Target(point.device, point.dtype, board_of(point.device), point.seed))


def board_of(device: str) -> str:
    """Return 'cpu', or a GPU's name as its driver gives it; 'cuda' where this build of torch sees none (a point only counted)."""
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_properties(device).name if torch.cuda.is_available() else device
