"""Figures of `reuse` as cells of a table: short where there is no room, every digit elsewhere; what is unknown is a dash."""

from __future__ import annotations

from spanbench.judge.stats import Estimate
from spanbench.show.blocks import Cell
from spanbench.units import full, interval, ratio_text, short

__all__ = ["MISSING", "NONE", "figure", "ratio", "seconds", "size"]

MISSING = "–"
NONE = "0"


def figure(value: int | float | None, quantity: str = "flops") -> Cell:
    """Return an exact figure in both lengths."""
    return Cell(MISSING, MISSING) if value is None else Cell(short(quantity, value), full(quantity, value))


def size(value: int | float | None) -> Cell:
    """Return bytes; in full only where they are few, since whole tables of thirteen digits hide what they say."""
    if value is None:
        return Cell(MISSING, MISSING)
    text = short("bytes_compulsory", value) if value else NONE
    return Cell(text, text)


def seconds(estimate: Estimate, quantity: str = "seconds") -> Cell:
    """Return a median, with its range where there is room."""
    if estimate.value is None:
        return Cell(MISSING, MISSING)
    text = short(quantity, estimate.value)
    if estimate.low is None or estimate.high is None:
        return Cell(text, text)
    return Cell(text, f"{text} ({interval(quantity, estimate.low, estimate.high)})")


def ratio(first: float | None, second: float | None) -> str:
    """Return a quotient; a dash where one side is unknown, or there is nothing to divide by."""
    return MISSING if first is None or not second else ratio_text(first / second)
