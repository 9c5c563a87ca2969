"""Runs of a point's arms on the meta device: each made once, and held against the closed form of the very sizes it ran."""

from __future__ import annotations

from dataclasses import dataclass, field

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.count.ledger import Counted, run_ledger
from spanbench.count.subject import Subject
from spanbench.count.verify import equal
from spanbench.model.pair import Model, build_arm
from spanbench.point import SPOKEN, Point, Regime
from spanbench.run.spoken import spoken
from spanbench.run.subjects import meta_ids, subject_of

__all__ = ["Executed"]


@dataclass(frozen=True, slots=True)
class Executed:
    """What was run under the ledger so far; the same is not run twice.

    Attributes:
        distinct: rows of the embedding tables that the prompt looks up. They are the same at any depth.
        known: by point, arm, regime and the step of decode_worst, what was counted.
    """

    distinct: Distinct
    known: dict[tuple[Point, str, Regime, int | None], Counted] = field(default_factory=dict)
    _models: dict[tuple[Point, str], Model] = field(default_factory=dict)

    def counted(self, point: Point, arm: str, regime: Regime, dearest: int | None = None) -> Counted:
        """Return what one arm executes in one regime; `dearest` as `spanbench.run.spoken.spoken` takes it.

        Raises:
            CountMismatch: ledger and closed form disagree.
            UncountedOperation: something ran that no rule counts.
        """
        asked = (point, arm, regime, dearest)
        if asked not in self.known:
            self.known[asked] = self._run(point, arm, regime, dearest)
        return self.known[asked]

    def subject(self, point: Point, arm: str, regime: Regime) -> Subject:
        """Return one arm in a regime without steps, for whoever else counts it."""
        return subject_of(self._model(point, arm), regime, meta_ids(point), self.distinct)

    def _run(self, point: Point, arm: str, regime: Regime, dearest: int | None) -> Counted:
        if regime in SPOKEN:
            counted = spoken(point, arm, self._model(point, arm), regime, self.distinct, dearest=dearest)
            if dearest is not None:  # its step was held already; another may be the dearest at this depth
                return counted
        else:
            counted = run_ledger(self.subject(point, arm, regime))
        equal(closed_form(point, regime, self.distinct)[arm], counted, f"{arm} {regime}")
        return counted

    def _model(self, point: Point, arm: str) -> Model:
        if (point, arm) not in self._models:
            self._models[point, arm] = build_arm(point, arm, "meta")
        return self._models[point, arm]
