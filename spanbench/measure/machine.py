"""The environment of a record: the machine, its software and its load, as plain JSON values.

Fast (a few small files), never fails: what cannot be found out is null. No host name and no user name.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spanbench.measure.memory import available_bytes, total_bytes

__all__ = ["environment", "git_commit"]

_ROOT = Path("/")
_PACKAGES = ("spanbench", "torch", "numpy", "codecarbon", "fvcore")
_SOURCE = Path(__file__).resolve().parents[2]  # the checkout, if spanbench runs from one
_HASH = re.compile(r"[0-9a-f]{40,64}")


def environment(device: str = "cpu", root: Path = _ROOT) -> dict[str, Any]:
    """Return where and with what a record was made; `root` is where /proc and /sys are looked for."""
    parts: dict[str, Callable[[], Any]] = {
        "time_utc": lambda: datetime.now(UTC).isoformat(timespec="seconds"),
        "os": platform.platform,
        "python": platform.python_version,
        "packages": lambda: {name: _version(name) for name in _PACKAGES},
        "commit": lambda: git_commit(_SOURCE),
        "cpu": lambda: _cpu(root),
        "memory": lambda: {"total_bytes": total_bytes(root=root), "available_bytes": available_bytes(root=root)},
        "load_average": lambda: [round(load, 2) for load in os.getloadavg()],
        "container": lambda: _container(root),
        "virtual_machine": lambda: _hypervisor(root),
        "torch": _torch,
        "device": lambda: _device(device),
    }
    return {name: _or_none(part) for name, part in parts.items()}


def _or_none(part: Callable[[], Any]) -> Any:
    try:
        return part()
    except Exception:  # noqa: BLE001 - a record must not be lost because a machine is unusual
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu(root: Path) -> dict[str, Any]:
    """Return model and cores; `usable_cores` is what this process may run on."""
    import psutil

    info = _cpuinfo(root)
    return {
        "model": info.get("model name") or platform.processor() or platform.machine() or None,
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def _cpuinfo(root: Path) -> dict[str, str]:
    """Return the fields of the first core in /proc/cpuinfo, or nothing where there is no such file."""
    try:
        first = (root / "proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _container(root: Path) -> bool:
    """Return whether a container runtime has left its mark; some leave none, so false is a hint."""
    if any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        return True
    try:
        groups = (root / "proc/1/cgroup").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(word in groups for word in ("docker", "kubepods", "containerd", "lxc"))


def _hypervisor(root: Path) -> bool | None:
    """Return whether the CPU says that it is a guest's; None where it does not list its flags."""
    flags = _cpuinfo(root).get("flags")
    return None if flags is None else "hypervisor" in flags.split()


def _torch() -> dict[str, Any] | None:
    """Return torch's threads and matrix library, if the process has loaded torch: it is not loaded for this."""
    if "torch" not in sys.modules:
        return None
    import torch

    built = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "blas": built[1] if built else None,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda,
    }


def _device(device: str) -> dict[str, Any]:
    """Return what runs the work; a GPU with its name, compute capability and memory."""
    if device.partition(":")[0] != "cuda":
        return {"name": device}
    import torch

    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "processors": properties.multi_processor_count,
        "total_bytes": total_bytes(device),
        "available_bytes": available_bytes(device),
    }


def git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in `folder`, read from .git without starting git; None where there is none."""
    git = folder / ".git"
    try:
        if git.is_file():  # a linked worktree: 'gitdir: <folder>'
            git = folder / _line(git).removeprefix("gitdir:").strip()
        head = _line(git / "HEAD")
        commit = _resolved(git, head.removeprefix("ref:").strip()) if head.startswith("ref:") else head
    except OSError:
        return None
    return commit if _HASH.fullmatch(commit) else None


def _resolved(git: Path, reference: str) -> str:
    """Return what a reference names: a file of its own, or a line of packed-refs; a worktree's are in its parent."""
    common = git / (_line(git / "commondir") or ".")
    packed = _line_ending(common / "packed-refs", f" {reference}")
    return _line(common / reference) or packed.partition(" ")[0]


def _line(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _line_ending(path: Path, end: str) -> str:
    return next((line for line in _line(path).splitlines() if line.endswith(end)), "")
