"""Bytes per second that this machine moves at best: by a copy, or by reading alone, whichever is faster.

A copy's rate counts each byte as read once and written once. It is what a copy attains, not what the memory could do: a
store may read its line first, which nobody counts. Decoding mostly reads weights, so reading alone is tried as well, and
the faster of them is the limit: a limit that the work itself could beat would be none.
"""

from __future__ import annotations

import itertools
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spanbench.measure.clock import Clock, PerfCounter, synchronizer
from spanbench.measure.host.kernel import ROOT, text
from spanbench.measure.limits.attained import Trial, best_rates

if TYPE_CHECKING:
    import torch

__all__ = ["Bandwidth", "buffer_bytes", "copy_bandwidth", "last_cache_bytes", "measure_bandwidth"]

CACHES = 4
"""The buffer is this many times the last cache: of what is swept over in turn, the cache then keeps next to nothing."""
SHARE_OF_FREE = 8
"""At most one part in so many of the free memory is taken."""
LEAST_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
MOST_BYTES = 1 << 32
PIECES = {"cpu": 16, "cuda": 1}
"""A sweep is timed in so many pieces: of short tries some are left alone by the other processes of a busy machine."""
_CACHED_BYTES = 1 << 25
"""Of a large last cache, a part that lies in it for certain; half of a small one."""
_CACHE_SHARE = 0.2
_SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes/s beyond the last cache, and within it where there is one whose size is known.

    `way` is what was fastest: 'copy' (read and written), 'sum' (one stream read) or 'dot' (two streams read).
    """

    way: str
    bytes_per_second: float
    buffer_bytes: int
    cache_bytes: int | None = None
    cached_bytes_per_second: float | None = None


def measure_bandwidth(device: str, free_bytes: int | None, budget_s: float = 0.5, clock: Clock | None = None) -> Bandwidth:
    """Measure both rates in about `budget_s` seconds, and what the system takes to hand out the memory (0.5 s a GiB).

    Args:
        device: 'cpu', 'cuda', 'cuda:1'.
        free_bytes: memory left on it; None where that is unknown.
        budget_s: seconds for all tries together.
        clock: for the tests.
    """
    import torch

    cache = last_cache_bytes(device)
    size = buffer_bytes(device, cache, free_bytes)
    numbers, ticks = _buffer(size, device), clock or PerfCounter()
    with torch.inference_mode():
        numbers.fill_(1.0)  # the pages of memory that was never written are all the same one
        way, rate = _fastest(numbers, PIECES[_kind(device)], budget_s * (1 - _CACHE_SHARE), device, ticks)
        cached = None
        if cache is not None:
            part = numbers[: _even(min(cache // 2, _CACHED_BYTES, size)) // 4]
            cached = max(rate, _fastest(part, 1, budget_s * _CACHE_SHARE, device, ticks)[1])
    return Bandwidth(way, rate, size, cache, cached)


def copy_bandwidth(device: str = "cpu", size_bytes: int = 1 << 28, repeats: int = 5, clock: Clock | None = None) -> float:
    """Return bytes/s of a copy of `size_bytes` by itself: the best of `repeats`, each byte counted as read and written."""
    import torch

    source = torch.ones(size_bytes, dtype=torch.uint8, device=device)
    target, wait, ticks = torch.empty_like(source), synchronizer(device), clock or PerfCounter()
    seconds = []
    target.copy_(source)
    wait()
    for _ in range(repeats):
        opened = ticks.now()
        target.copy_(source)
        wait()
        seconds.append(ticks.now() - opened)
    return 2 * size_bytes / min(seconds)


def buffer_bytes(device: str, cache: int | None, free_bytes: int | None) -> int:
    """Return how much memory to sweep over: four times the last cache, but no more than an eighth of what is free."""
    wanted = min(max(CACHES * (cache or 0), LEAST_BYTES[_kind(device)]), MOST_BYTES)
    return _even(wanted if free_bytes is None else min(wanted, max(free_bytes, 0) // SHARE_OF_FREE))


def last_cache_bytes(device: str = "cpu", root: Path = ROOT) -> int | None:
    """Return the bytes of the cache nearest to memory: all those of the cores that may be used; None where unknown.

    On a CPU from `root`/sys, where a virtual machine sees its host's, shared with others; on CUDA the L2 of the driver.
    """
    if _kind(device) != "cpu":
        import torch

        return torch.cuda.get_device_properties(device).L2_cache_size or None
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    found: dict[tuple[int, str], int] = {}  # cores that share a cache each describe it
    for core in cores:
        for folder in (root / f"sys/devices/system/cpu/cpu{core}/cache").glob("index*"):
            level, size = text(folder / "level"), _size(text(folder / "size"))
            if level.isdecimal() and size and text(folder / "type") != "Instruction":
                found[int(level), text(folder / "shared_cpu_list") or str(core)] = size
    last = max((level for level, _ in found), default=None)
    return sum(size for (level, _), size in found.items() if level == last) or None


def _size(written: str) -> int | None:
    """Return the bytes of '32768K'."""
    number, factor = (written[:-1], _SIZES[written[-1]]) if written[-1:] in _SIZES else (written, 1)
    return int(number) * factor if number.isdecimal() else None


def _fastest(numbers: torch.Tensor, pieces: int, budget_s: float, device: str, clock: Clock) -> tuple[str, float]:
    """Return the fastest way to sweep over a buffer, and its bytes/s."""
    rates = best_rates(_ways(numbers, pieces), budget_s, synchronizer(device), clock)
    known = [(rate.per_second, rate.name) for rate in rates if rate.per_second is not None]
    best, way = max(known)
    return way, best


def _ways(numbers: torch.Tensor, pieces: int) -> Sequence[Trial]:
    """Return the ways, each taking the buffer's next piece at each call, so that a piece comes round only after all others."""
    import torch

    source, target = (half.chunk(pieces) for half in numbers.chunk(2))
    whole, size = itertools.cycle(numbers.chunk(pieces)), numbers.numel() * numbers.element_size() // pieces
    copied, multiplied = (itertools.cycle(zip(source, target, strict=True)) for _ in range(2))

    def copy() -> None:
        piece, into = next(copied)
        into.copy_(piece)

    return (
        Trial("copy", size, copy),
        Trial("sum", size, lambda: next(whole).sum()),
        Trial("dot", size, lambda: torch.dot(*next(multiplied))),
    )


def _buffer(size: int, device: str) -> torch.Tensor:
    """Return float32 numbers that are given back when they are dropped.

    On a CPU they are mapped by hand: the C library may have been told to keep freed memory (allocator.py).
    """
    import torch

    if _kind(device) != "cpu":
        return torch.empty(size // 4, dtype=torch.float32, device=device)
    pages = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        _try_huge(pages)
    return torch.frombuffer(pages, dtype=torch.float32)


def _try_huge(pages: mmap.mmap) -> None:
    """Ask for large pages, which lower the rate less by look-ups of addresses; a kernel without them says no."""
    try:
        pages.madvise(mmap.MADV_HUGEPAGE)
    except OSError:
        return


def _even(size: int) -> int:
    """Return whole pages in each piece of both halves, at least one."""
    grain = 2 * max(PIECES.values()) * mmap.PAGESIZE
    return max(size // grain, 1) * grain


def _kind(device: str) -> str:
    return device.partition(":")[0]
