"""Others' load: CPU time that other processes used while the run was timed."""

from __future__ import annotations

from spanbench.measure.conditions.condition import Condition, Place, Unwatched
from spanbench.measure.machine.times import COARSE_S, CpuTimes, cpu_times

__all__ = ["LOAD"]

_MOST = 0.05  # of one core: an idle system's daemons stay below it


def _read(place: Place) -> tuple[float, CpuTimes]:
    """Return the time, and the CPU times until then."""
    times = cpu_times(place.root)
    if times is None:
        raise Unwatched("this system does not tell its CPU times (/proc/stat)")
    return place.clock.now(), times


def _judge(before: tuple[float, CpuTimes], after: tuple[float, CpuTimes]) -> str | None:
    elapsed, others = after[0] - before[0], after[1].since(before[1]).others
    if others <= max(_MOST * elapsed, COARSE_S):
        return None
    return f"other processes used {others:.3g} s of CPU time in the run's {elapsed:.3g} s ({others / elapsed:.2f} of a core on average)"


LOAD = Condition("load", _read, _judge)
"""More than 5% of one core, over all cores, and more than 5 ticks of the kernel's accounting (0.05 s)."""
