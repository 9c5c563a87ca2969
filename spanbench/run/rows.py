"""An estimate as a row of a record, and both arms' rows with their quotients."""

from __future__ import annotations

from collections.abc import Sequence

from spanbench.judge.stats import Estimate
from spanbench.point import Regime
from spanbench.record import Measure, Source, pair_ratio
from spanbench.units import quantity

__all__ = ["CLOCK", "measured", "with_ratios"]

CLOCK = "perf_counter"


def measured(
    arm: str, regime: Regime, name: str, estimate: Estimate, source: Source = "measured", by: str = CLOCK, steps: int = 1
) -> Measure:
    """Return an estimate as a measure of an arm's (or the pair's) total."""
    return Measure.model_validate(
        {
            "arm": arm, "regime": regime, "stage": "total", "quantity": name, "unit": quantity(name).unit, "steps": steps,
            "source": source, "by": by, "value": estimate.value, "low": estimate.low, "high": estimate.high, "reason": estimate.reason,
        }
    )  # fmt: skip


def with_ratios(rows: Sequence[Measure]) -> list[Measure]:
    """Put behind the rows of both arms the quotient of each quantity."""
    latent = {row.quantity: row for row in rows if row.arm == "latent"}
    return [*rows, *(pair_ratio(row, latent[row.quantity]) for row in rows if row.arm == "token")]
