"""What this machine can do at best: matrix FLOP/s and copied bytes/s, attained here and now rather than quoted.

A peak is the best of many tries over several shapes: noise can only lower a rate, so the best one is the closest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spanbench.measure.clock import Clock, PerfCounter, synchronizer

if TYPE_CHECKING:
    import torch

__all__ = ["Gemm", "MatrixPeak", "copy_bandwidth", "matrix_peak"]

_SEED = 0
_REPEATS = 5


@dataclass(frozen=True, slots=True)
class Gemm:
    """A product of R rows, a -> b; 2·R·a·b FLOP."""

    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        """Return the FLOPs of one product."""
        return 2 * self.rows * self.inner * self.columns


# Squares are what a library is tuned for; the skinny ones are a transformer's own (a few rows, a wide MLP).
_CPU = tuple(
    Gemm(*sizes)
    for sizes in ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (2048, 512, 2048), (2048, 2048, 512), (64, 512, 2048))
)
_GPU = tuple(
    Gemm(*sizes) for sizes in ((4096, 4096, 4096), (8192, 8192, 8192), (16384, 4096, 4096), (8192, 4096, 16384), (64, 4096, 16384))
)


@dataclass(frozen=True, slots=True)
class MatrixPeak:
    """Attained matrix rates in FLOP/s: the best of each shape, in the order they were tried."""

    dtype: str
    device: str
    rates: tuple[tuple[Gemm, float], ...]

    @property
    def flops_per_second(self) -> float:
        """Return the best rate of all shapes."""
        return max(rate for _, rate in self.rates)

    @property
    def shape(self) -> Gemm:
        """Return the shape that reached it."""
        return max(self.rates, key=lambda pair: pair[1])[0]


def matrix_peak(
    dtype: str,
    device: str = "cpu",
    shapes: tuple[Gemm, ...] | None = None,
    repeats: int = _REPEATS,
    clock: Clock | None = None,
) -> MatrixPeak:
    """Return the matrix rates that linear layers of `dtype` ('float32', 'bfloat16' ...) attain on `device`.

    The operands are random, never zeros: power, and with it the clock rate, depends on the values. About 1 s on two
    CPU cores in float32.
    """
    chosen = shapes or (_CPU if device.partition(":")[0] == "cpu" else _GPU)
    wait, ticks = synchronizer(device), clock or PerfCounter()
    rates = ((gemm, gemm.flops / _product_seconds(gemm, dtype, device, repeats, wait, ticks)) for gemm in chosen)
    return MatrixPeak(dtype, device, tuple(rates))


def copy_bandwidth(device: str = "cpu", size_bytes: int = 1 << 28, repeats: int = _REPEATS, clock: Clock | None = None) -> float:
    """Return bytes/s of a copy, each byte counted as read once and written once.

    `size_bytes` (default 256 MiB) should be larger than the last cache, or the cache is what is measured; the copy
    needs twice as much memory.
    """
    import torch

    source = torch.ones(size_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = _best(lambda: target.copy_(source), repeats, synchronizer(device), clock or PerfCounter())
    return 2 * size_bytes / seconds


def _product_seconds(gemm: Gemm, dtype: str, device: str, repeats: int, wait: Callable[[], None], clock: Clock) -> float:
    """Return the least seconds of one product, laid out as a linear layer's: rows × inner times (columns × inner)ᵀ."""
    import torch

    generator = torch.Generator(device=device).manual_seed(_SEED)
    kind: torch.dtype = getattr(torch, dtype)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator, device=device).to(kind)

    rows_RxA, weight_BxA = draw(gemm.rows, gemm.inner), draw(gemm.columns, gemm.inner)
    with torch.inference_mode():
        return _best(lambda: torch.nn.functional.linear(rows_RxA, weight_BxA), repeats, wait, clock)


def _best(call: Callable[[], object], repeats: int, wait: Callable[[], None], clock: Clock) -> float:
    """Return the least seconds of `repeats` calls, after one that is not timed."""
    call()
    wait()
    seconds = []
    for _ in range(repeats):
        opened = clock.now()
        call()
        wait()
        seconds.append(clock.now() - opened)
    return min(seconds)
