"""The most memory that some work holds at once, by the kernel's own high-water mark of a process of its own.

Only anonymous pages count: those of programs and libraries in memory are the system's to drop, and shared with others.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from spanbench.measure.host.kernel import ROOT, fields

__all__ = ["ALLOCATOR", "Resident", "give_way_in_need", "leave_with", "plain_pages", "reset_high_water", "resident"]

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Environment of such a process: glibc hands freed blocks of 128 KiB and more back at once, so that what is resident is alive."""

_PR_SET_PDEATHSIG = 1
_PR_SET_THP_DISABLE = 41
_HIGH_WATER = "5"  # proc_pid_clear_refs(5)


@dataclass(frozen=True, slots=True)
class Resident:
    """Bytes of this process in memory: anonymous, of files (and shared), and the most of both at once so far."""

    anonymous: int
    files: int
    high_water: int

    @property
    def most_anonymous(self) -> int:
        """Return the high-water mark less the files' pages of now, which hardly come and go once a library is in use."""
        return max(self.high_water - self.files, self.anonymous)


def resident(root: Path = ROOT) -> Resident | None:
    """Return what `root`/proc/self/status says, or None where it does not say it (not Linux, or an old one)."""
    lines = fields(root / "proc/self/status", ":")
    found = [_bytes(lines.get(name, "")) for name in ("RssAnon", "RssFile", "RssShmem", "VmHWM")]
    known = [value for value in found if value is not None]
    if len(known) < len(found):
        return None
    anonymous, files, shared, high_water = known
    return Resident(anonymous, files + shared, high_water)


def reset_high_water(root: Path = ROOT) -> bool:
    """Let the high-water mark of this process begin again at what is resident now; return whether the kernel can."""
    try:
        (root / "proc/self/clear_refs").write_text(_HIGH_WATER, encoding="ascii")
    except OSError:
        return False
    return True


def plain_pages() -> bool:
    """Refuse large pages for this process, of which a small tensor may take a whole one; return whether the kernel agreed."""
    return _prctl(_PR_SET_THP_DISABLE, 1)


def leave_with(parent: int) -> None:
    """Let the kernel kill this process when `parent`, which must be its parent, ends; end now if that has happened.

    A parent that is killed, or that ends within a signal's handler, cannot do it itself. Linux only; elsewhere nothing is done.
    """
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent:
        os._exit(1)


def give_way_in_need(root: Path = ROOT) -> bool:
    """Ask the kernel to end this process before others where memory runs out; return whether it agreed."""
    try:
        (root / "proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        return False
    return True


def _bytes(written: str) -> int | None:
    """Return the bytes of '1736 kB'."""
    number = written.partition(" ")[0]
    return int(number) * 1024 if number.isdecimal() else None


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):  # another C library
        return False
    return bool(prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0)
