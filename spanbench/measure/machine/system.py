"""The system around the process: kernel, container, virtual machine, memory nodes, and where its power comes from."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any, Literal

from spanbench.measure.host.kernel import ROOT, cpuinfo, fields, text, whole

__all__ = ["container", "guest", "hardware", "numa_nodes", "power", "system"]

_MARKS = (".dockerenv", "run/.containerenv")
_RUNTIMES = ("docker", "kubepods", "containerd", "lxc")


def system(root: Path = ROOT) -> dict[str, Any]:
    """Return the kernel's release, the distribution, and when the kernel gives out large pages ('always', 'madvise', 'never')."""
    chosen = re.search(r"\[(\w+)\]", text(root / "sys/kernel/mm/transparent_hugepage/enabled"))
    return {
        "kernel": platform.release() or None,
        "distribution": fields(root / "etc/os-release", "=").get("PRETTY_NAME", "").strip('"') or None,
        "huge_pages": chosen[1] if chosen else None,
    }


def container(root: Path = ROOT) -> bool:
    """Return whether a container runtime has left its mark; some leave none, so false is a hint."""
    groups = text(root / "proc/1/cgroup")
    return any((root / mark).exists() for mark in _MARKS) or any(word in groups for word in _RUNTIMES)


def guest(root: Path = ROOT) -> bool | None:
    """Return whether the CPU says that it is a guest's; None where it does not list its flags."""
    flags = cpuinfo(root).get("flags")
    return None if flags is None else "hypervisor" in flags.split()


def hardware(root: Path = ROOT) -> dict[str, Any]:
    """Return maker and product as the firmware names them: for a guest, whose machine it pretends to be."""
    names = {"vendor": "sys_vendor", "product": "product_name"}
    return {key: text(root / "sys/class/dmi/id" / name) or None for key, name in names.items()}


def numa_nodes(root: Path = ROOT) -> list[dict[str, Any]]:
    """Return each memory node with its cores (a list such as '0-15') and its bytes; [] where the kernel names none."""
    folders = (root / "sys/devices/system/node").glob("node[0-9]*")
    return [_node(folder) for folder in sorted(folders, key=lambda folder: int(folder.name.removeprefix("node")))]


def _node(folder: Path) -> dict[str, Any]:
    total = re.search(r"MemTotal:\s+(\d+) kB", text(folder / "meminfo"))
    return {
        "node": int(folder.name.removeprefix("node")),
        "cores": text(folder / "cpulist") or None,
        "total_bytes": int(total[1]) * 1024 if total else None,
    }


def power(root: Path = ROOT) -> Literal["mains", "battery"] | None:
    """Return what feeds the machine, or None where the kernel lists no supply: most desktops, servers and guests.

    Batteries of mice and the like have the scope 'Device' and are not asked.
    """
    folders = [folder for folder in (root / "sys/class/power_supply").glob("*") if text(folder / "scope") != "Device"]
    kinds = {folder: text(folder / "type") for folder in folders}
    batteries = [folder for folder, kind in kinds.items() if kind == "Battery"]
    mains = [whole(folder / "online") for folder, kind in kinds.items() if kind in {"Mains", "USB"}]
    if any(online == 1 for online in mains):
        return "mains"
    if batteries and (0 in mains or any(text(folder / "status") == "Discharging" for folder in batteries)):
        return "battery"
    return "mains" if batteries else None
