"""What this machine can do at best: matrix FLOP/s and bytes/s, attained here and now rather than quoted.

Measured before and after the timed slots with the run's own threads and dtype, and the better of the two is the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spanbench.measure.caution import Caution
from spanbench.measure.clock import Clock, PerfCounter, synchronizer
from spanbench.measure.host.memory import available_bytes
from spanbench.measure.limits.attained import Trial, best_rates
from spanbench.measure.limits.bandwidth import CACHES, Bandwidth, copy_bandwidth, measure_bandwidth

if TYPE_CHECKING:
    import torch

__all__ = ["Gemm", "Limits", "MatrixPeak", "better_limits", "copy_bandwidth", "limit_cautions", "matrix_peak", "measure_limits"]

MATRIX_SECONDS = 0.75
BANDWIDTH_SECONDS = 0.5
DRIFT = 0.10
"""Limits before and after the slots that are further apart than this share of the better are a caution."""
_SEED = 0


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

    def __str__(self) -> str:
        return f"{self.rows}×{self.inner}×{self.columns}"


# Squares are what a library is tuned for; the skinny ones are a transformer's own (a few rows, a wide MLP).
_CPU = tuple(
    Gemm(*sizes)
    for sizes in ((64, 512, 2048), (512, 512, 512), (1024, 1024, 1024), (2048, 512, 2048), (2048, 2048, 512), (2048, 2048, 2048))
)
_GPU = tuple(
    Gemm(*sizes) for sizes in ((64, 4096, 16384), (4096, 4096, 4096), (16384, 4096, 4096), (8192, 8192, 8192), (8192, 4096, 16384))
)


@dataclass(frozen=True, slots=True)
class MatrixPeak:
    """Attained matrix rates in FLOP/s: the best of each shape, and the shapes that would have taken too long."""

    dtype: str
    device: str
    rates: tuple[tuple[Gemm, float], ...]
    skipped: tuple[Gemm, ...] = ()

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
    shapes: Sequence[Gemm] | None = None,
    budget_s: float = MATRIX_SECONDS,
    clock: Clock | None = None,
) -> MatrixPeak:
    """Return the matrix rates that linear layers of `dtype` ('float32', 'bfloat16' ...) attain on `device`.

    The operands are random, never zeros: power, and with it the clock rate, depends on the values. Small shapes come
    first; where a processor has no instructions for the dtype, the large ones are skipped.
    """
    import torch

    chosen = sorted(shapes or (_CPU if device.partition(":")[0] == "cpu" else _GPU), key=lambda gemm: gemm.flops)
    with torch.inference_mode():
        trials = _products(chosen, dtype, device)
        rates = best_rates(trials, budget_s, synchronizer(device), clock or PerfCounter())
    found = list(zip(chosen, rates, strict=True))
    known = tuple((gemm, rate.per_second) for gemm, rate in found if rate.per_second is not None)
    return MatrixPeak(dtype, device, known, tuple(gemm for gemm, rate in found if rate.per_second is None))


def _products(shapes: Sequence[Gemm], dtype: str, device: str) -> list[Trial]:
    """Return each product, laid out as a linear layer's (rows × inner times (columns × inner)ᵀ), on numbers drawn once."""
    import torch

    generator = torch.Generator(device=device).manual_seed(_SEED)

    def draw(most: int) -> torch.Tensor:
        return torch.randn(most, generator=generator, device=device).to(getattr(torch, dtype))

    rows, weights = draw(max(g.rows * g.inner for g in shapes)), draw(max(g.columns * g.inner for g in shapes))

    def product(gemm: Gemm) -> Trial:
        rows_RxA = rows[: gemm.rows * gemm.inner].view(gemm.rows, gemm.inner)
        weight_BxA = weights[: gemm.columns * gemm.inner].view(gemm.columns, gemm.inner)
        return Trial(str(gemm), gemm.flops, lambda: torch.nn.functional.linear(rows_RxA, weight_BxA))

    return [product(gemm) for gemm in shapes]


@dataclass(frozen=True, slots=True)
class Limits:
    """The machine's own limits in FLOP/s and bytes/s, as its run saw them; `dataclasses.asdict` of it is plain JSON.

    `bandwidth` says how the bytes were moved, and what the last cache attains.
    """

    device: str
    dtype: str
    threads: int
    flops_per_second: float
    shape: Gemm
    bandwidth: Bandwidth
    skipped: tuple[Gemm, ...] = ()

    @property
    def bytes_per_second(self) -> float:
        """Return the best rate beyond the last cache, in bytes/s."""
        return self.bandwidth.bytes_per_second

    def memory_seconds(self, size: float) -> float:
        """Return the least seconds to move `size` bytes in one sweep: as much as the last cache holds at its rate, the rest at memory's."""
        cached = min(size, self.bandwidth.cache_bytes or 0)
        rate = self.bandwidth.cached_bytes_per_second or self.bytes_per_second
        return cached / rate + (size - cached) / self.bytes_per_second


def measure_limits(
    device: str, dtype: str, matrix_s: float = MATRIX_SECONDS, bandwidth_s: float = BANDWIDTH_SECONDS, clock: Clock | None = None
) -> Limits:
    """Measure the limits with the threads that torch has now; about 1.5 s, 2 s where the last cache has hundreds of MiB.

    Args:
        device: 'cpu', 'cuda', 'cuda:1'.
        dtype: the run's, such as 'bfloat16'.
        matrix_s: seconds for matrix products.
        bandwidth_s: seconds for moving bytes.
        clock: for the tests.
    """
    import torch

    peak = matrix_peak(dtype, device, budget_s=matrix_s, clock=clock)
    bandwidth = measure_bandwidth(device, available_bytes(device), bandwidth_s, clock)
    return Limits(device, dtype, torch.get_num_threads(), peak.flops_per_second, peak.shape, bandwidth, peak.skipped)


def better_limits(before: Limits, after: Limits) -> tuple[Limits, tuple[Caution, ...]]:
    """Return the better of two measurements, figure by figure, and a caution where they are more than 10% apart."""
    matrix = max(before, after, key=lambda limits: limits.flops_per_second)
    moved = max(before, after, key=lambda limits: limits.bytes_per_second).bandwidth
    cached = max((found.bandwidth.cached_bytes_per_second or 0 for found in (before, after)), default=0)
    best = replace(matrix, bandwidth=replace(moved, cached_bytes_per_second=cached or None))
    return best, (*_drift(before, after), *limit_cautions(best))


def _drift(before: Limits, after: Limits) -> list[Caution]:
    rates = {
        "matrix rate": (before.flops_per_second, after.flops_per_second, "GFLOP/s"),
        "bandwidth": (before.bytes_per_second, after.bytes_per_second, "GB/s"),
    }
    return [
        Caution(
            "limit-drift",
            f"the machine's {name}: {first / 1e9:.3g} {unit} before the slots, {second / 1e9:.3g} {unit} after; the better is the limit",
        )
        for name, (first, second, unit) in rates.items()
        if min(first, second) < (1 - DRIFT) * max(first, second)
    ]


def limit_cautions(limits: Limits) -> list[Caution]:
    """Return what a reader must know of how the limits were found."""
    moved = limits.bandwidth
    if moved.cache_bytes is None or moved.buffer_bytes >= CACHES * moved.cache_bytes - 2**18:  # whole pages
        return []
    sizes = f"{moved.buffer_bytes / 2**20:,.0f} MiB, less than {CACHES} times the last cache ({moved.cache_bytes / 2**20:,.0f} MiB)"
    return [Caution("limit-cached", f"the bandwidth was measured over {sizes}: it is partly the cache's, and the limit too good")]
