"""The CPU: model, cores, sockets, caches, and how its clock is governed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spanbench.measure.host.kernel import ROOT, cpuinfo, listed, text, whole
from spanbench.measure.machine.clocks import clocks

__all__ = ["cpu", "online", "usable_cores"]

_CORES = "sys/devices/system/cpu"
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def cpu(root: Path = ROOT) -> dict[str, Any]:
    """Return what the CPU is and how its clock is set; `usable_cores` is how many this process may run on."""
    names, info = online(root), cpuinfo(root)
    physical, sockets = _topology(root, names)
    logical = len(names) or None
    if root == ROOT and logical is None:  # not Linux
        import psutil

        logical, physical = os.cpu_count(), psutil.cpu_count(logical=False)
    return {
        "model": info.get("model name") or platform.processor() or platform.machine() or None,
        "architecture": platform.machine() or None,
        "microcode": info.get("microcode"),
        "physical_cores": physical,
        "logical_cores": logical,
        "usable_cores": usable_cores(),
        "sockets": sockets,
        "smt": _smt(root),
        "caches": list(_caches(root)),
        **clocks(root),
    }


def online(root: Path = ROOT) -> tuple[int, ...]:
    """Return the numbers of the logical cores that are switched on; () where the kernel does not say."""
    return listed(text(root / _CORES / "online"))


def usable_cores() -> int | None:
    """Return how many logical cores this process may run on, or None where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _topology(root: Path, names: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Return the numbers of physical cores and of sockets."""
    folders = [root / _CORES / f"cpu{name}/topology" for name in names]
    # The older name of the same list (before Linux 5.3) is read where there is no newer one.
    siblings = {text(folder / "core_cpus_list") or text(folder / "thread_siblings_list") for folder in folders} - {""}
    packages = {text(folder / "physical_package_id") for folder in folders} - {"", "-1"}
    return len(siblings) or None, len(packages) or None


def _smt(root: Path) -> bool | None:
    """Return whether two threads share a core; None where the kernel does not say."""
    active = whole(root / _CORES / "smt/active")
    return None if active is None else active == 1


def _caches(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the caches of the first core, nearest first; other kinds of core, where there are any, may have others."""
    for folder in sorted((root / _CORES / "cpu0/cache").glob("index*"), key=lambda path: path.name):
        yield {
            "level": whole(folder / "level"),
            "type": text(folder / "type").lower() or None,
            "bytes": _bytes(text(folder / "size")),
            "shared_by_cores": len(listed(text(folder / "shared_cpu_list"))) or None,
        }


def _bytes(size: str) -> int | None:
    """Return the bytes of '48K'."""
    number, unit = size[:-1], size[-1:]
    return int(number) * _UNITS[unit] if number.isdecimal() and unit in _UNITS else None
