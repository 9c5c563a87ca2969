"""From which disk bandwidth on loading what was stored is quicker than computing it anew."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Crossover", "crossover"]


@dataclass(frozen=True, slots=True)
class Crossover:
    """Loading `read_bytes` against `saved_flops` more FLOPs in each query.

    Attributes:
        stored: name of the strategy that loads; `computed` of the one that computes instead.
        read_bytes: what a query loads.
        saved_flops: FLOPs of the query that computes, less those of the query that loads; None bandwidth where not above 0.
        bytes_per_second: the bandwidth at which both take equally long at `flops_per_second`; a slower disk favours computing.
        reason: why there is none.
    """

    stored: str
    computed: str
    read_bytes: int
    saved_flops: int
    bytes_per_second: float | None
    reason: str | None = None

    @property
    def bytes_per_gigaflop(self) -> float | None:
        """Bytes to load for each 10^9 FLOP saved: the bandwidth at 1 GFLOP/s."""
        return 1e9 * self.read_bytes / self.saved_flops if self.saved_flops > 0 else None


def crossover(stored: str, computed: str, read_bytes: int, saved_flops: int, flops_per_second: float | None) -> Crossover:
    """Return bytes ÷ (FLOPs saved ÷ FLOP/s); without a rate there is no bandwidth, only bytes for each FLOP."""
    if saved_flops <= 0:
        return Crossover(stored, computed, read_bytes, saved_flops, None, "loading saves no FLOPs")
    if flops_per_second is None:
        return Crossover(stored, computed, read_bytes, saved_flops, None, "no FLOP/s given or measured")
    return Crossover(stored, computed, read_bytes, saved_flops, read_bytes * flops_per_second / saved_flops)
