"""How busy the machine is at one moment. Two such moments tell what others used in between."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from spanbench.measure.host.kernel import ROOT, text
from spanbench.measure.machine.clocks import celsius, now_hertz
from spanbench.measure.machine.times import cpu_times, present_core

__all__ = ["load", "others"]


def load(root: Path = ROOT) -> dict[str, Any]:
    """Return the load of this moment; every value is null where the kernel does not tell it.

    `average` is over 1, 5 and 15 minutes. `runnable` counts threads that run or want to, this one among them.
    `waiting` is the share of the last 10 s in which some thread waited for a core. `cpu_seconds` and `uptime_s` count
    since the machine started; their differences between two moments are what `others` needs.
    """
    times, core = cpu_times(root), present_core(root)
    average, runnable = _average(root)
    return {
        "average": average,
        "runnable": runnable,
        "waiting": _waiting(root),
        "uptime_s": _number(text(root / "proc/uptime").partition(" ")[0]),
        "cpu_seconds": None if times is None else asdict(times),
        "now_hertz": None if core is None else now_hertz(root, core),
        "celsius": celsius(root),
    }


def others(before: dict[str, Any], after: dict[str, Any]) -> float | None:
    """Return how many cores other processes kept busy, on average, between two loads; None if either is unknown."""
    first, last = before.get("cpu_seconds"), after.get("cpu_seconds")
    start, end = before.get("uptime_s"), after.get("uptime_s")
    if first is None or last is None or start is None or end is None or end <= start:
        return None
    used = (last["busy"] - last["own"]) - (first["busy"] - first["own"])
    return float(max(used, 0.0) / (end - start))  # rounded ticks can come out a little below nothing


def _average(root: Path) -> tuple[list[float | None] | None, int | None]:
    words = text(root / "proc/loadavg").split()
    if len(words) < 4:
        return None, None
    runnable = words[3].partition("/")[0]
    return [_number(word) for word in words[:3]], int(runnable) if runnable.isdecimal() else None


def _waiting(root: Path) -> float | None:
    """Return the share (0 to 1) of the kernel's pressure line 'some avg10=1.44 …', which counts percent."""
    words = dict(word.partition("=")[::2] for word in text(root / "proc/pressure/cpu").partition("\n")[0].split())
    percent = _number(words.get("avg10", ""))
    return None if percent is None else percent / 100


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
