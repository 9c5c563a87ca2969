"""The meters by name, and which of them is the best where it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from spanbench.errors import UsageError, suggest
from spanbench.measure.energy.null import NullMeter
from spanbench.measure.energy.protocol import Meter

__all__ = ["AUTO", "METERS", "Target", "best_meter", "get_meter"]

AUTO = "auto"
"""What `--meter` takes for the best one that is there."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is metered: torch's device ('cpu', 'cuda:1') and dtype, and the board's name ('cpu', 'NVIDIA H200')."""

    device: str = "cpu"
    dtype: str = "float32"
    board: str = "cpu"
    seed: int = 0
    """Of the random moments that a meter waits before its windows."""

    @property
    def gpu(self) -> str | None:
        """Return which GPU to read, or None for all that are visible: a run on the CPU names none."""
        return self.device if self.device.startswith("cuda") else None


CPU = Target()


def _nvml(target: Target) -> Meter:
    from spanbench.measure.energy.nvml import NvmlMeter

    return NvmlMeter(target.gpu, random=Random(target.seed))  # noqa: S311 - jitter, no secret


def _nvml_power(target: Target) -> Meter:
    from spanbench.measure.energy.nvml import NvmlPowerMeter

    return NvmlPowerMeter(target.gpu)


def _rapl(target: Target) -> Meter:
    from spanbench.measure.energy.rapl import RaplMeter

    return RaplMeter(random=Random(target.seed))  # noqa: S311 - jitter, no secret


def _codecarbon(_: Target) -> Meter:
    from spanbench.measure.energy.codecarbon import CodeCarbonMeter

    return CodeCarbonMeter()


def _model(target: Target) -> Meter:
    from spanbench.measure.energy.model import ModelMeter

    return ModelMeter(target.dtype, target.board)


# Each meter's module is loaded when the meter is asked for: together they take longer to import than anything else here.
METERS: Mapping[str, Callable[[Target], Meter]] = {
    "nvml": _nvml,
    "nvml-power": _nvml_power,
    "rapl": _rapl,
    "codecarbon": _codecarbon,
    "model": _model,
    "none": lambda _: NullMeter(),
}

_ON_CPU = ("rapl", "codecarbon", "model")
_ON_GPU = ("nvml", "nvml-power", "codecarbon", "model")
# From the strongest source to the weakest, of those that see the device at work.


def get_meter(name: str, target: Target = CPU) -> Meter:
    """Return the meter of that name: one of `METERS`, 'auto', or a sum such as 'rapl+nvml'.

    Raises:
        UsageError: there is none, or a sum names a meter twice.
    """
    if name == AUTO:
        return best_meter(target)
    parts = name.split("+")
    for part in parts:
        if part not in METERS:
            raise UsageError(f"--meter: unknown value {part!r}{suggest(part, (*METERS, AUTO))}")
    if len(set(parts)) < len(parts):
        raise UsageError(f"--meter {name!r}: names a meter twice, and its joules would count twice; name each once")
    meters = [METERS[part](target) for part in parts]
    if len(meters) == 1:
        return meters[0]
    from spanbench.measure.energy.total import Total

    return Total(meters)


def best_meter(target: Target = CPU) -> Meter:
    """Return the meter with the strongest source that is available for a target, or the one that reads nothing."""
    found = (METERS[name](target) for name in (_ON_GPU if target.gpu else _ON_CPU))
    return next((meter for meter in found if meter.probe().available), NullMeter())
