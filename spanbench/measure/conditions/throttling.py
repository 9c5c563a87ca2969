"""Throttling: hardware that lowered its own clock, for heat or for power."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spanbench.measure.conditions.condition import Condition, Place
from spanbench.measure.host.kernel import whole
from spanbench.measure.machine.cpu import online

__all__ = ["CPU_THROTTLING", "GPU_THROTTLING"]

_COUNTS = ("core_throttle_count", "package_throttle_count")
_HARMLESS = {"idle", "none", "application-clocks"}


def _counts(place: Place) -> Mapping[Path, int]:
    """Return how often each core, and its package, was too hot since the start; nothing where the CPU does not count."""
    folders = (place.root / f"sys/devices/system/cpu/cpu{core}/thermal_throttle" for core in online(place.root))
    return {path: count for folder in folders for path in (folder / name for name in _COUNTS) if (count := whole(path)) is not None}


def _grown(before: Mapping[Path, int], after: Mapping[Path, int]) -> str | None:
    grown = {path: count - before[path] for path, count in after.items() if count > before.get(path, count)}
    if not grown:
        return None
    cores = len({path.parent for path in grown})  # every core of a hot package counts it
    return f"the CPU lowered its clock for heat up to {max(grown.values())} times (counted by {cores} cores)"


def _reasons(place: Place) -> Mapping[str, frozenset[str]]:
    """Return what holds each GPU's clock down at this moment."""
    return {device.uuid: frozenset(device.throttle_reasons() or ()) - _HARMLESS for device in place.gpus.all()}


def _held(before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> str | None:
    found = []
    for uuid in after:
        moments = {"before": before.get(uuid, frozenset()), "after": after[uuid]}
        found += [f"{', '.join(sorted(reasons))} {moment} the run on {uuid}" for moment, reasons in moments.items() if reasons]
    return f"the GPU's clock was held down: {'; '.join(found)}" if found else None


CPU_THROTTLING = Condition("throttling", _counts, _grown, "throttling of the CPU")
"""A count of thermal_throttle grew."""

GPU_THROTTLING = Condition("throttling", _reasons, _held, "throttling of the GPU")
"""NVML names a reason other than idleness and chosen clocks, at one of the two moments: in between nobody looks."""
