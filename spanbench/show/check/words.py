"""A check in words: what changed, where it first differs, from what to what, and the one command that accepts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from spanbench import units
from spanbench.judge.baseline.result import Checked, Figure, RowChange
from spanbench.show.blocks import Text

__all__ = [
    "NONE",
    "direction",
    "exact",
    "gap",
    "label",
    "left_out",
    "many",
    "percent",
    "place",
    "sentence",
    "short_verdict",
    "total_of",
    "verdict",
]

NONE = "–"
"""Printed where a side has no figure."""

_WHY = {"missing": "missing: the baseline has this row and it is no longer counted", "extra": "extra: the baseline has no such row"}


def sentence(change: RowChange, path: str, accept: str = "", more: int = 0) -> str:
    """Return a changed row as one line: file and line, row, where it first differs, old → new, and the command that accepts it.

    `more` is how many rows changed beside it. The command stands last, where it is easily copied.
    """
    told = f"{path}:{change.line}: {change.row}: {_WHY.get(change.kind) or _first(change)}"
    others = f"; and {many(more, 'more row')}" if more else ""
    return f"{told}{others}; accept with: {accept}" if accept else told + others


def _first(change: RowChange) -> str:
    if not change.figures:
        return "changed"
    first, total = change.figures[0], total_of(change)
    whole = f"; in all {step(total)}" if total else ""
    return f"first differs in {place(first)}: {label(first.quantity)} {step(first)}{whole}"


def step(figure: Figure) -> str:
    """Return `old → new (absolute, relative)`; of a side that has no figure only what there is."""
    told = f"{exact(figure.old)} → {exact(figure.new)}"
    return told if figure.difference is None else f"{told} ({gap(figure)}, {percent(figure)})"


def total_of(change: RowChange) -> Figure | None:
    """Return the changed total of the quantity and regime that differ first; None where that is the total itself or did not change."""
    if not change.figures:
        return None
    first = change.figures[0]
    if first.stage == "total" and first.layer is None:
        return None
    key = (first.regime, "total", first.quantity, None)
    return next((f for f in change.figures if (f.regime, f.stage, f.quantity, f.layer) == key), None)


def verdict(checked: Checked) -> str:
    """Return the whole check in a line: `unchanged: 12 rows, 1,296 figures`, `changed, fewer FLOPs: 2 of 12 rows`."""
    if not checked.changes:
        return f"unchanged: {many(checked.rows, 'row')}, {many(checked.figures, 'figure')}" if checked.rows else "nothing was compared"
    counts = {kind: sum(change.kind == kind for change in checked.changes) for kind in ("changed", "missing", "extra")}
    parts = [f"{counts['changed']:,} of {many(checked.rows, 'row')}"] if counts["changed"] else []
    parts += [f"{many(counts[kind], 'row')} {kind}" for kind in ("missing", "extra") if counts[kind]]
    return f"{short_verdict(checked.changes)}: {'; '.join(parts)}"


def short_verdict(changes: Sequence[RowChange]) -> str:
    """Return `changed, fewer FLOPs`: the direction of the totals of FLOPs, or of what differs first where those did not change."""
    which = direction(changes)
    if which is None:
        return "changed"
    word, quantity = which
    return f"changed, {word} FLOPs" if quantity == "flops" else f"changed, {word} ({label(quantity)})"


def direction(changes: Sequence[RowChange]) -> tuple[str, str] | None:
    """Return whether there is `fewer`, `more` or `fewer and more`, and of which quantity; None where nothing has both sides."""
    known = [f for f in chain.from_iterable(change.figures for change in changes) if f.difference]
    found = next((figures for figures in _by_weight(known) if figures), None)
    if not found:
        return None
    less, more = (any(sign * (f.difference or 0) > 0 for f in found) for sign in (-1, 1))
    return ("fewer and more" if less and more else "fewer" if less else "more"), found[0].quantity


def _by_weight(known: Sequence[Figure]) -> Iterator[list[Figure]]:
    """Yield the figures that say most first: totals of FLOPs, FLOPs of a stage, then the quantity that differs first."""
    flops = [f for f in known if f.quantity == "flops"]
    yield [f for f in flops if f.stage == "total"]
    yield flops
    yield [f for f in known if f.quantity == known[0].quantity]


def place(figure: Figure) -> str:
    """Return where a figure stands, as `prefill, encoder, from layer 0`: the first layer that differs, counted from 0."""
    return ", ".join(part for part in (figure.regime, figure.stage) if part) + (
        "" if figure.layer is None else f", from layer {figure.layer}"
    )


def label(quantity: str) -> str:
    """Return what a table calls a quantity; one that is not known here keeps its name."""
    return units.QUANTITIES[quantity].label if quantity in units.QUANTITIES else quantity


def exact(value: int | None) -> str:
    """Return an integer with every digit."""
    return NONE if value is None else f"{value:,}"


def gap(figure: Figure) -> str:
    """Return new - old with its sign and every digit."""
    return NONE if figure.difference is None else f"{figure.difference:+,}"


def percent(figure: Figure) -> str:
    """Return the relative change to three digits; a change by one is never 0%."""
    if figure.relative is None:
        return NONE
    value = 100 * figure.relative
    return f"{value:+,.0f}%" if abs(value) >= 1000 else f"{value:+.3g}%"


def many(count: int, what: str) -> str:
    """Return `1 row`, `12 rows`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def left_out(shown: int, known: int, what: str) -> list[Text]:
    """Return the line that counts what is not shown, if anything is not."""
    return [Text(f"and {many(known - shown, f'more {what}')}; --format json lists all")] if known > shown else []
