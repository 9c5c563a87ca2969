"""Foreign processes on the GPU: somebody else computes on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from spanbench.measure.conditions.condition import Condition, Place, Unwatched
from spanbench.measure.nvml.device import Device

__all__ = ["FOREIGN"]

_OUTERMOST = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel: the namespace whose numbers a driver uses

_Seen = tuple[bool, Mapping[str, frozenset[int]]]
"""Whether this process goes by the number that the driver knows it by, and the processes on each GPU."""


def _read(place: Place) -> _Seen:
    return _outermost(place.root), {device.uuid: _processes(device) for device in place.gpus.all()}


def _processes(device: Device) -> frozenset[int]:
    """Return the processes on a GPU, as the driver numbers them.

    Raises:
        Unwatched: the driver does not list them.
    """
    found = device.processes()
    if found is None:
        raise Unwatched(f"the driver does not list the processes on {device.uuid}")
    return frozenset(found)


def _outermost(root: Path) -> bool:
    """Return whether the process is in the system's own namespace of numbers: not so in most containers."""
    try:
        return str((root / "proc/self/ns/pid").readlink()) == _OUTERMOST
    except OSError:
        return False


def _judge(before: _Seen, after: _Seen) -> str | None:
    """Return who else is there.

    Raises:
        Unwatched: the numbers are not this container's, so that nobody can be told from this process.
    """
    own = os.getpid()
    all_seen = {uuid: before[1].get(uuid, frozenset()) | pids for uuid, pids in after[1].items()}
    known = {uuid: pids for uuid, pids in all_seen.items() if after[0] or own in pids}
    others = {uuid: count for uuid, pids in known.items() if (count := len(pids - {own}))}
    if others:
        return "; ".join(f"{_said(count, 'other process')} computed on {uuid}" for uuid, count in others.items())
    blind = next((uuid for uuid in all_seen if uuid not in known), None)
    if blind is not None:
        listed = _said(len(all_seen[blind]), "process")
        raise Unwatched(f"the driver lists {listed} on {blind}, numbered from outside this container: none can be told from this one")
    return None


def _said(count: int, what: str) -> str:
    return f"{count} {what}{'es' * (count != 1)}"


FOREIGN = Condition("foreign-gpu", _read, _judge)
"""Another process computes on a GPU of this run, before or after it."""
