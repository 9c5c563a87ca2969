"""The environment of a record: the machine, its software and its load, as plain JSON values.

Fast (small files, no child process) and never fails: what cannot be found out is null. No host name and no user name.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spanbench.measure.host.kernel import ROOT
from spanbench.measure.host.memory import available_bytes, total_bytes
from spanbench.measure.machine.commit import git_commit
from spanbench.measure.machine.cpu import cpu
from spanbench.measure.machine.gpu import gpu
from spanbench.measure.machine.library import device_of, torch_build
from spanbench.measure.machine.load import load
from spanbench.measure.machine.system import container, guest, hardware, numa_nodes, power, system
from spanbench.measure.machine.threads import threads

__all__ = ["environment"]

_PACKAGES = ("spanbench", "torch", "numpy", "codecarbon", "fvcore", "nvidia-ml-py")
_SOURCE = Path(__file__).resolve().parents[3]  # the checkout, if spanbench runs from one


def environment(device: str = "cpu", root: Path = ROOT) -> dict[str, Any]:
    """Return where and with what a record was made; `root` is where /proc and /sys are looked for.

    Every quantity is in the unit that its name ends in. `load` is of this moment; call `load` again after the run.
    """
    parts: dict[str, Callable[[], Any]] = {
        "time_utc": lambda: datetime.now(UTC).isoformat(timespec="seconds"),
        "os": platform.platform,
        "system": lambda: system(root),
        "python": platform.python_version,
        "packages": lambda: {name: _version(name) for name in _PACKAGES},
        "commit": lambda: git_commit(_SOURCE),
        "cpu": lambda: cpu(root),
        "threads": lambda: threads(root),
        "numa_nodes": lambda: numa_nodes(root),
        "memory": lambda: {"total_bytes": total_bytes(root=root), "available_bytes": available_bytes(root=root)},
        "load_average": lambda: [round(load, 2) for load in os.getloadavg()],
        "load": lambda: load(root),
        "power": lambda: power(root),
        "container": lambda: container(root),
        "virtual_machine": lambda: guest(root),
        "hardware": lambda: hardware(root),
        "torch": torch_build,
        "gpu": gpu,
        "device": lambda: device_of(device),
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
