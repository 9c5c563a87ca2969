"""The clock: it was lower after the run than before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spanbench.measure.conditions.condition import Condition, Place
from spanbench.measure.machine.clocks import now_hertz, top_hertz
from spanbench.measure.machine.times import present_core

__all__ = ["CPU_FREQUENCY", "GPU_FREQUENCY"]

_MOST = 0.10


@dataclass(frozen=True, slots=True)
class _Clock:
    """A clock in Hz, and the highest that this core or GPU can reach: cores of one chip may differ."""

    now: float
    top: float

    @property
    def share(self) -> float:
        return self.now / self.top

    def __str__(self) -> str:
        return f"{self.share:.0%} of its highest ({self.now / 1e9:.2f} GHz)"


def _cpu(place: Place) -> Mapping[str, _Clock]:
    """Return the clock of the core that this process runs on: the one core that is surely not asleep."""
    core = present_core(place.root)
    pair = (None, None) if core is None else (now_hertz(place.root, core), top_hertz(place.root, core))
    return _known({"the CPU": pair})


def _gpu(place: Place) -> Mapping[str, _Clock]:
    devices = place.gpus.all()
    return _known({device.uuid: (device.clocks_hertz()["sm"], device.max_clocks_hertz()["sm"]) for device in devices})


def _known(pairs: Mapping[str, tuple[float | None, float | None]]) -> Mapping[str, _Clock]:
    return {name: _Clock(now, top) for name, (now, top) in pairs.items() if now is not None and top is not None and top > 0}


def _judge(before: Mapping[str, _Clock], after: Mapping[str, _Clock]) -> str | None:
    fallen = [name for name in after if name in before and after[name].share < (1 - _MOST) * before[name].share]
    return "; ".join(f"the clock of {name} fell from {before[name]} to {after[name]} during the run" for name in fallen) or None


CPU_FREQUENCY = Condition("frequency", _cpu, _judge, "frequency of the CPU")
"""By more than 10%, as a share of the core's highest clock; not readable in most guests."""

GPU_FREQUENCY = Condition("frequency", _gpu, _judge, "frequency of the GPU")
"""By more than 10%, as a share of the highest clock of the multiprocessors."""
