"""CPU time as the kernel accounts it: of the whole machine since it started, and of this process with its children.

The kernel counts in ticks of 10 ms, so a difference over a short run is coarse: see `COARSE_S`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spanbench.measure.host.kernel import ROOT, text

__all__ = ["COARSE_S", "TICK_S", "CpuTimes", "cpu_times", "present_core"]

TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01
"""Seconds that one count of /proc/stat stands for."""

COARSE_S = 5 * TICK_S
"""A smaller difference between two readings may be nothing but their rounding."""

_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq; user holds a guest's time already
_STOLEN = 7
_OWN = slice(11, 15)  # after the name: utime, stime, and both of the children that have ended
_CORE = 36


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU-seconds over all cores since the machine started."""

    busy: float
    """Of all processes and of the kernel."""
    stolen: float
    """That the host of a virtual machine gave to another guest while this one wanted them."""
    own: float
    """Of this process and its children, living or ended: a part of `busy`."""

    def since(self, before: CpuTimes) -> CpuTimes:
        """Return what passed since `before`."""
        return CpuTimes(self.busy - before.busy, self.stolen - before.stolen, self.own - before.own)

    @property
    def others(self) -> float:
        """Return the CPU-seconds of other processes, which the ticks' rounding can bring a little below 0."""
        return self.busy - self.own


def cpu_times(root: Path = ROOT) -> CpuTimes | None:
    """Return the CPU times until now, or None where the kernel does not tell them."""
    name, *counts = (text(root / "proc/stat").partition("\n")[0] or "none").split()
    own = _own_ticks(root)
    if name != "cpu" or len(counts) <= _BUSY[-1] or own is None or not all(map(str.isdecimal, counts)):
        return None
    stolen = int(counts[_STOLEN]) if len(counts) > _STOLEN else 0
    return CpuTimes(math.fsum(int(counts[index]) for index in _BUSY) * TICK_S, stolen * TICK_S, own * TICK_S)


def present_core(root: Path = ROOT) -> int | None:
    """Return the logical core that this process last ran on, or None where the kernel does not say."""
    words = _stat(root / "proc/self")
    return int(words[_CORE]) if len(words) > _CORE and words[_CORE].isdecimal() else None


def _own_ticks(root: Path) -> int | None:
    own = _ticks(root / "proc/self")
    return None if own is None else own + sum(_ticks(folder) or 0 for folder in _descendants(root))


def _descendants(root: Path) -> Iterator[Path]:
    """Yield the folders of the living children of this process, and of theirs. One that ends meanwhile has no times."""
    waiting = [root / "proc/self"]
    while waiting:
        children = [text(path) for path in waiting.pop().glob("task/*/children")]
        found = [root / "proc" / number for line in children for number in line.split()]
        yield from found
        waiting += found


def _ticks(folder: Path) -> int | None:
    words = _stat(folder)[_OWN]
    return sum(map(int, words)) if words and all(map(str.isdecimal, words)) else None


def _stat(folder: Path) -> list[str]:
    """Return the fields after the name, which is in brackets and may hold spaces and brackets itself."""
    return text(folder / "stat").rpartition(")")[2].split()
