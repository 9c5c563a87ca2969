"""What a point is timed on, and what is gathered while it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from spanbench.measure.caution import Caution
from spanbench.model.pair import Pair
from spanbench.point import Point, Regime
from spanbench.record import Measure
from spanbench.run.counted import Counts
from spanbench.run.timing import Timing

__all__ = ["Bench", "Progress", "Timed"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Timed:
    """Measures by regime, what was run in which order, and what a reader must know of them; empty where nothing was timed."""

    measures: dict[Regime, list[Measure]] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    cautions: dict[Caution, list[str]] = field(default_factory=dict)
    """Each with the regimes that it is about: none for the whole run."""
    notes: list[str] = field(default_factory=list)
    """What the figures say together."""
    verified: list[str] = field(default_factory=list)

    def add(self, regime: Regime, rows: Sequence[Measure]) -> None:
        """Put a regime's rows behind those that it has."""
        self.measures.setdefault(regime, []).extend(rows)

    def warn(self, cautions: Sequence[Caution], *regimes: str) -> None:
        """Keep cautions, each once, with the regimes that they are about."""
        for caution in cautions:
            known = self.cautions.setdefault(caution, [])
            known.extend(regime for regime in regimes if regime not in known)

    @property
    def warnings(self) -> list[str]:
        """Return the cautions as a reader sees them, each with its code."""
        named = {caution: f"{', '.join(regimes)}: " if regimes else "" for caution, regimes in self.cautions.items()}
        return [*self.notes, *(f"{regimes}{caution.text} [{caution.code}]" for caution, regimes in named.items())]


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement of one point runs on."""

    point: Point
    pair: Pair
    text_BxT: Tensor
    counts: Counts
    timing: Timing
    progress: Progress
    timed: Timed

    def tell(self, what: str) -> Callable[[int, int], None]:
        """Return what a measurement calls between its slots."""
        return partial(self.progress, what)
