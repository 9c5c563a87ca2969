"""Several figures of one prompt length: a few stand side by side, of many the middle one stands with the smallest and the largest.

Nothing is averaged: the middle one is one of them (of an even number the lower).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from spanbench.show.report.summary import Dot

__all__ = ["MOST_FIGURES", "Spread", "spread"]

MOST_FIGURES = 3
"""Figures side by side in one cell."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of `count` figures the middle one, and the ends of all."""

    middle: int | float
    low: int | float
    high: int | float
    count: int


def spread(dots: Sequence[Dot], most: int = MOST_FIGURES) -> Spread | None:
    """Return what stands for figures that are too many to stand side by side; None for a few."""
    if len(dots) <= most:
        return None
    values = [dot.value for dot in dots]
    return Spread(median_low(values), min(values), max(values), len(values))
