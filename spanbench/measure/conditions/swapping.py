"""Memory pressure: the system swapped while the run was timed."""

from __future__ import annotations

import os

from spanbench.measure.conditions.condition import Condition, Place
from spanbench.measure.host.kernel import fields

__all__ = ["MEMORY_PRESSURE"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def _read(place: Place) -> tuple[int, int] | None:
    """Return the bytes swapped in and out since the start, or None where the kernel does not count them."""
    counts = fields(place.root / "proc/vmstat")
    pages = [counts.get(name, "") for name in ("pswpin", "pswpout")]
    return (int(pages[0]) * _PAGE_BYTES, int(pages[1]) * _PAGE_BYTES) if all(page.isdecimal() for page in pages) else None


def _judge(before: tuple[int, int] | None, after: tuple[int, int] | None) -> str | None:
    if before is None or after is None:
        return None
    inward, outward = (last - first for first, last in zip(before, after, strict=True))
    if inward <= 0 and outward <= 0:
        return None
    return f"memory ran short: {inward / 2**20:.3g} MiB were swapped in and {outward / 2**20:.3g} MiB out during the run"


MEMORY_PRESSURE = Condition("memory-pressure", _read, _judge)
"""Any page was swapped in or out, of whichever process."""
