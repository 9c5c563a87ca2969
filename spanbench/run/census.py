"""The model on its device does what was counted: shown before anything is timed."""

from __future__ import annotations

from torch import Tensor

from spanbench.count.ledger import Counted, run_ledger
from spanbench.count.verify import equal, same_census
from spanbench.model.pair import Pair
from spanbench.point import SPOKEN, Point, Regime
from spanbench.run.counted import Counts
from spanbench.run.spoken import spoken
from spanbench.run.subjects import subject_of

__all__ = ["check_census"]


def check_census(pair: Pair, regime: Regime, text_BxT: Tensor, point: Point, counts: Counts) -> None:
    """Run one regime of both arms once under the ledger, and hold it against what was counted on meta.

    Raises:
        CountMismatch: the model on the device does other matrix work than the one that was counted.
    """
    for arm, model in pair.arms().items():
        if regime in SPOKEN:
            seen = spoken(point, arm, model, regime, counts.distinct, text_BxT=text_BxT)
        else:
            seen = run_ledger(subject_of(model, regime, text_BxT[:, : point.tokens], counts.distinct))
        _hold(counts, regime, arm, seen)


def _hold(counts: Counts, regime: Regime, arm: str, seen: Counted) -> None:
    """Hold what ran against what was counted: masks and ids have contents only on the device."""
    same_census(counts.census[regime][arm], seen.census, f"{arm} {regime}")
    equal(counts.tallies[regime][arm], seen, f"{arm} {regime} on the device")
