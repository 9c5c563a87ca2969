"""Figures of `reuse` as cells of a table: short where there is no room, every digit elsewhere; what is unknown is a dash."""

from __future__ import annotations

from spanbench.judge.stats import Estimate
from spanbench.show.blocks import Cell
from spanbench.units import full, interval, ratio_text, short

__all__ = ["MISSING", "NONE", "ends", "figure", "many", "middle", "ratio", "size"]

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


def middle(estimate: Estimate, quantity: str = "seconds") -> str:
    """Return a median; nothing at all is a 0, and what is unknown a dash."""
    if estimate.value is None:
        return MISSING
    return short(quantity, estimate.value) if estimate.value else NONE


def ends(estimate: Estimate, quantity: str = "seconds") -> str:
    """Return the smallest and the largest slot; nothing at all has none."""
    if not estimate.value or estimate.low is None or estimate.high is None:
        return MISSING
    return interval(quantity, estimate.low, estimate.high)


def many(count: int, thing: str) -> str:
    """Return a number of things.

    >>> many(1, "token"), many(2048, "token"), many(2, "query")
    ('1 token', '2,048 tokens', '2 queries')
    """
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{count:,} {thing if count == 1 else plural}"


def ratio(first: float | None, second: float | None) -> str:
    """Return a quotient; a dash where one side is unknown, or there is nothing to divide by."""
    return MISSING if first is None or not second else ratio_text(first / second)
