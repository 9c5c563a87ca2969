"""What a check of a baseline comes to. Plain values: whoever prints them needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["By", "Checked", "Figure", "PairRatio", "RowChange"]

By = Literal["ledger", "closed form", "another baseline"]
Kind = Literal["changed", "missing", "extra"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One integer of a row, as the baseline has it (`old`) and as it is now (`new`); None: that side has none."""

    regime: str
    stage: str
    quantity: str
    old: int | None
    new: int | None
    layer: int | None = None
    """The first layer of the stage (from 0) whose count differs, where that is known."""

    @property
    def difference(self) -> int | None:
        """New - old."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def relative(self) -> float | None:
        """(new - old) / old; None where it has no meaning."""
        return (self.new - self.old) / self.old if self.new is not None and self.old else None


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row (a point and an arm) that is not what it was.

    `missing`: the baseline has it and it is no longer counted; `extra`: it is counted and the baseline lacks it.
    """

    kind: Kind
    row: str
    """The row's name, as `document lean, 2048 tokens in spans of 32, latent`."""
    arm: str
    line: int
    """Of the baseline's file, from 1; of an extra row the last line."""
    figures: Sequence[Figure] = ()
    """All that differ, in the order in which the work is done: the first says where the row first differs."""


@dataclass(frozen=True, slots=True)
class PairRatio:
    """token / latent of one quantity's total, as two pairs of integers; a side that is None was not counted."""

    point: str
    regime: str
    quantity: str
    old: tuple[int, int] | None
    new: tuple[int, int] | None

    @staticmethod
    def quotient(pair: tuple[int, int] | None) -> float | None:
        """Return the ratio of one side; None where it has no meaning."""
        return pair[0] / pair[1] if pair and pair[1] else None


@dataclass(frozen=True, slots=True)
class Checked:
    """One baseline held against what is counted now, with tolerance 0."""

    path: str
    by: By
    convention: str
    rows: int
    """Rows that were compared."""
    figures: int
    """Integers that were compared."""
    changes: Sequence[RowChange]
    ratios: Sequence[PairRatio]
    accept: str
    """The one command that takes the new counts over."""
    notes: Sequence[str] = ()
