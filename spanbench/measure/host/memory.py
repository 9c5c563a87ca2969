"""Memory that is really left to this process: what the kernel has free, and what a control group still allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spanbench.measure.host.groups import enclosing
from spanbench.measure.host.kernel import ROOT, fields, whole

__all__ = ["available_bytes", "total_bytes"]

# Of a memory control group, by version: limit, use, and the key of memory.stat that says how much of the use is file
# cache that the kernel drops at need (version 1 counts a group's children under total_*).
_NAMES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def available_bytes(device: str = "cpu", root: Path = ROOT) -> int | None:
    """Return the bytes that can still be allocated on `device` ('cpu', 'cuda', 'cuda:1'), or None if unknown.

    On the CPU it is the smallest of MemAvailable and what each enclosing control group (v1 or v2) has left; `root`
    is where /proc and /sys are looked for. On CUDA it is the driver's figure.
    """
    if device.partition(":")[0] == "cuda":
        return _cuda(device)[0]
    return min([*_meminfo(root, "MemAvailable"), *(limit - used for limit, used in _groups(root))], default=None)


def total_bytes(device: str = "cpu", root: Path = ROOT) -> int | None:
    """Return the bytes that `device` has for this process in all: its memory, or a tighter control-group limit."""
    if device.partition(":")[0] == "cuda":
        return _cuda(device)[1]
    return min([*_meminfo(root, "MemTotal"), *(limit for limit, _ in _groups(root))], default=None)


def _cuda(device: str) -> tuple[int, int]:
    """Return free and total bytes of a CUDA device."""
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return free, total


def _meminfo(root: Path, key: str) -> Iterator[int]:
    """Yield the bytes of one line of /proc/meminfo, or nothing where there is none."""
    kibibytes, *_ = fields(root / "proc/meminfo", ":").get(key, "").split() or [""]
    if kibibytes.isdecimal():
        yield int(kibibytes) * 1024


def _groups(root: Path) -> Iterator[tuple[int, int]]:
    """Yield (limit, bytes in use that cannot be dropped) of every limited memory group that holds this process."""
    for group in enclosing("memory", root):
        limit_name, used_name, key = _NAMES[group.version]
        limit, used = whole(group.folder / limit_name), whole(group.folder / used_name)
        if limit is not None and used is not None:  # an unlimited group says 'max'
            yield limit, used - _droppable(group.folder / "memory.stat", key)


def _droppable(stat: Path, key: str) -> int:
    value = fields(stat).get(key, "")
    return int(value) if value.isdecimal() else 0
