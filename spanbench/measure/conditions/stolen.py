"""Stolen time: what the host of a virtual machine gave to others while this one had work to do."""

from __future__ import annotations

from spanbench.measure.conditions.condition import Condition, Place
from spanbench.measure.machine.times import COARSE_S, CpuTimes, cpu_times

__all__ = ["STOLEN"]

_MOST = 0.01


def _read(place: Place) -> CpuTimes | None:
    return cpu_times(place.root)


def _judge(before: CpuTimes | None, after: CpuTimes | None) -> str | None:
    if before is None or after is None:  # `load` says so already
        return None
    spent = after.since(before)
    share = spent.stolen / (spent.busy + spent.stolen) if spent.busy + spent.stolen > 0 else 0.0
    if share <= _MOST or spent.stolen < COARSE_S:
        return None
    return f"this virtual machine's host took {share:.1%} of the CPU time that it wanted ({spent.stolen:.3g} s)"


STOLEN = Condition("stolen", _read, _judge)
"""More than 1% of the CPU time that all processes of this machine wanted."""
