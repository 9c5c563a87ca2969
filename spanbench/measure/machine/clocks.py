"""The CPU's clock: what it can do, what it does now, who sets it, and how hot the chip is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spanbench.measure.host.kernel import ROOT, text, whole
from spanbench.measure.machine.times import present_core

__all__ = ["celsius", "clocks", "governors", "now_hertz", "top_hertz"]

_CORES = "sys/devices/system/cpu"
_SENSORS = {"coretemp", "k10temp", "zenpower", "cpu_thermal"}  # hwmon drivers of CPUs; others (disks) can be slow to read
_ZONES = {"x86_pkg_temp", "cpu-thermal", "cpu_thermal"}


def clocks(root: Path = ROOT) -> dict[str, Any]:
    """Return the clock of the core that this process runs on, its limits in Hz, and what governs it."""
    core = present_core(root) or 0
    folder = _folder(root, core)
    return {
        "base_hertz": _hertz(folder / "base_frequency"),
        "min_hertz": _hertz(folder / "scaling_min_freq"),
        "max_hertz": top_hertz(root, core),
        "now_hertz": now_hertz(root, core),
        "governor": sorted(set(governors(root))) or None,
        "preference": text(folder / "energy_performance_preference") or None,
        "driver": text(folder / "scaling_driver") or None,
        "boost": _boost(root, folder),
        "celsius": celsius(root),
    }


def governors(root: Path = ROOT) -> tuple[str, ...]:
    """Return the governor of each group of cores that share a clock; () where no clock can be set, as in most guests."""
    return tuple(name for path in sorted((root / _CORES / "cpufreq").glob("policy*")) if (name := text(path / "scaling_governor")))


def now_hertz(root: Path, core: int) -> float | None:
    """Return the present clock of a core, or None where it cannot be read."""
    return _hertz(_folder(root, core) / "scaling_cur_freq")


def top_hertz(root: Path, core: int) -> float | None:
    """Return the highest clock of a core, boost included, or None where it is not said."""
    return _hertz(_folder(root, core) / "cpuinfo_max_freq")


def celsius(root: Path = ROOT) -> float | None:
    """Return the highest temperature that the CPU's own sensors read, or None where there is none."""
    sensors = [folder for folder in (root / "sys/class/hwmon").glob("hwmon*") if text(folder / "name") in _SENSORS]
    zones = [folder for folder in (root / "sys/class/thermal").glob("thermal_zone*") if text(folder / "type") in _ZONES]
    paths = [path for folder in sensors for path in folder.glob("temp*_input")] or [folder / "temp" for folder in zones]
    return max((milli / 1000 for path in paths if (milli := whole(path)) is not None), default=None)


def _folder(root: Path, core: int) -> Path:
    return root / _CORES / f"cpu{core}/cpufreq"


def _hertz(path: Path) -> float | None:
    """Return the Hz of a file of cpufreq, which counts kHz."""
    kilo = whole(path)
    return kilo * 1e3 if kilo is not None and kilo > 0 else None


def _boost(root: Path, folder: Path) -> bool | None:
    """Return whether the clock may exceed its base; each driver has its own switch."""
    off = whole(root / _CORES / "intel_pstate/no_turbo")
    if off is not None:
        return off == 0
    on = next((value for path in (root / _CORES / "cpufreq/boost", folder / "boost") if (value := whole(path)) is not None), None)
    return None if on is None else on == 1
