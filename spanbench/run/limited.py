"""What a regime's measured rows become beside the machine's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spanbench.judge.stats import Estimate, unknown
from spanbench.measure.caution import Caution
from spanbench.measure.limits.limits import Limits
from spanbench.point import Regime
from spanbench.record import Measure
from spanbench.run.limit import reached, roofline_cautions, roofline_measures, why_not
from spanbench.tally import Tally

__all__ = ["LimitRows", "limit_rows"]


@dataclass(frozen=True, slots=True)
class LimitRows:
    """Rows of the roofline, and what a reader must know of them."""

    measures: Sequence[Measure]
    cautions: Sequence[Caution]
    told: Sequence[str]
    """Whether a saved FLOP became a saved second, and if not, why not."""


def limit_rows(rows: Sequence[Measure], totals: Mapping[str, Tally], regime: Regime, limits: Limits, steps: int) -> LimitRows:
    """Set the seconds among `rows` beside the least that `totals` could take; nothing where no arm was timed."""
    timed: dict[str, Estimate] = {
        row.arm: _estimate(row) for row in rows if row.quantity == "seconds" and row.stage == "total" and row.arm != "pair"
    }
    found = reached(totals, timed, limits, steps)
    ratio = next((_estimate(row) for row in rows if row.quantity == "ratio:seconds"), unknown("it was not measured"))
    told = why_not(found, regime, _ratio(totals), ratio)
    return LimitRows(roofline_measures(found, regime, limits, steps), roofline_cautions(found, regime), told)


def _ratio(totals: Mapping[str, Tally]) -> float | None:
    token, latent = (totals[arm].flops() for arm in ("token", "latent"))
    return token / latent if latent else None


def _estimate(row: Measure) -> Estimate:
    return Estimate(row.value, row.low, row.high, row.reason)
