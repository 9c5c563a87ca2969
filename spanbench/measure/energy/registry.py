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

ADDABLE: Mapping[str, str] = {"nvml": "gpu", "nvml-power": "gpu", "rapl": "cpu"}
"""What may stand in a sum, and whose joules it reads: only sensors of disjoint hardware."""

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
    if "+" in name:
        return _sum(name, target)
    if name not in METERS:
        raise UsageError(f"--meter: unknown value {name!r}{suggest(name, (*METERS, AUTO))}")
    return METERS[name](target)


def _sum(name: str, target: Target) -> Meter:
    parts = [part.strip() for part in name.split("+")]
    if any(part not in ADDABLE for part in parts):
        raise UsageError(f"--meter {name!r}: a sum needs meters of different hardware, such as rapl+nvml — known: {', '.join(ADDABLE)}")
    if len({ADDABLE[part] for part in parts}) < len(parts):
        raise UsageError(f"--meter {name!r}: reads the same hardware twice, and its joules would count twice; take one of each kind")
    from spanbench.measure.energy.total import Total

    return Total([METERS[part](target) for part in parts])


def best_meter(target: Target = CPU) -> Meter:
    """Return the meter with the strongest source that is available for a target, or the one that reads nothing."""
    found = (METERS[name](target) for name in (_ON_GPU if target.gpu else _ON_CPU))
    return next((meter for meter in found if meter.probe().available), NullMeter())
