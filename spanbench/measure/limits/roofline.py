"""The roofline: the least time that counted work can take within a machine's limits (Williams et al., CACM 52(4), 2009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spanbench.measure.energy.protocol import Cost
from spanbench.measure.limits.limits import Limits

__all__ = ["Bound", "Roofline", "roofline"]

Bound = Literal["compute", "memory"]


@dataclass(frozen=True, slots=True)
class Roofline:
    """Seconds of the arithmetic alone and of the bytes alone, for all steps together. Neither can be undercut."""

    compute_s: float
    memory_s: float

    @property
    def seconds(self) -> float:
        """Return the lower bound: both overlapped completely."""
        return max(self.compute_s, self.memory_s)

    @property
    def bound(self) -> Bound:
        """Return which side binds."""
        return "compute" if self.compute_s >= self.memory_s else "memory"


def roofline(cost: Cost, limits: Limits, steps: int = 1) -> Roofline:
    """Return max(FLOP ÷ peak, bytes ÷ bandwidth) of a regime's total.

    `steps` is what the cost sums over: what fits into the last cache may be found there again by each step, so of a
    step's bytes as many are charged at the cache's rate. The steps are taken as equal, and as one whole where one part
    of the work is bound by arithmetic and another by memory: both can only make the bound lower, so it stays one.
    """
    return Roofline(cost.flops / limits.flops_per_second, steps * limits.memory_seconds(cost.bytes / steps))
