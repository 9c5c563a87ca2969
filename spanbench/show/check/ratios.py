"""The ratios of the two arms, derived from the counts of both sides: exact pairs of integers, and their quotient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from spanbench.judge.baseline.result import PairRatio
from spanbench.show.blocks import Row, Table, Text
from spanbench.show.check.words import NONE, left_out
from spanbench.units import ratio_text

__all__ = ["ratio_blocks", "ratio_data"]

QUANTITY = "flops"
"""What the tables show; JSON has every quantity."""

UNCHANGED = 12
"""Points whose ratios are shown although none of them changed."""


def ratio_data(ratio: PairRatio) -> dict[str, Any]:
    """Return a ratio as JSON: both sides as integers, and what they come to."""
    named = {"point": ratio.point, "regime": ratio.regime, "quantity": ratio.quantity}
    return {**named, "old": _side(ratio.old), "new": _side(ratio.new)}


def _side(pair: tuple[int, int] | None) -> dict[str, int | float | None] | None:
    return None if pair is None else {"token": pair[0], "latent": pair[1], "ratio": PairRatio.quotient(pair)}


def ratio_blocks(ratios: Sequence[PairRatio], most: int | None) -> Iterator[Text | Table]:
    """Yield the ratios of FLOPs: those that changed with both sides, then those that did not, a line a point."""
    shown = [ratio for ratio in ratios if ratio.quantity == QUANTITY]
    changed = [ratio for ratio in shown if ratio.old != ratio.new]
    if changed:
        yield _changed(changed[:most])
        yield from left_out(len(changed[:most]), len(changed), "ratio")
    yield from _unchanged([ratio for ratio in shown if ratio.old == ratio.new], most)


def _changed(ratios: Sequence[PairRatio]) -> Table:
    rows = []
    for point, group in groupby(ratios, key=lambda ratio: ratio.point):
        rows.append(Row((point,), group=True))
        rows += [Row((f"  {ratio.regime}", *_texts(ratio))) for ratio in group]
    return Table(("", "baseline", "now"), tuple(rows), "FLOP, token ÷ latent")


def _texts(ratio: PairRatio) -> tuple[str, str]:
    """Return both sides, with so many digits that they look equal only where they are."""
    old, new = (PairRatio.quotient(pair) for pair in (ratio.old, ratio.new))
    if old is None or new is None:
        return _text(old), _text(new)
    forms = [(_text(old), _text(new)), *((f"{old:.{digits}g}×", f"{new:.{digits}g}×") for digits in (6, 9, 12, 17))]
    return next((form for form in forms if form[0] != form[1]), forms[0])


def _text(quotient: float | None) -> str:
    return NONE if quotient is None else ratio_text(quotient)


def _unchanged(ratios: Sequence[PairRatio], most: int | None) -> Iterator[Text | Table]:
    """Yield a table of a line a point and a column a regime."""
    points = list(dict.fromkeys(ratio.point for ratio in ratios))
    if not points:
        return
    regimes = tuple(dict.fromkeys(ratio.regime for ratio in ratios))
    found = {(ratio.point, ratio.regime): ratio for ratio in ratios}
    shown = points[: UNCHANGED if most is None else min(most, UNCHANGED)]
    rows = tuple(Row((point, *(_texts(at)[1] if (at := found.get((point, regime))) else NONE for regime in regimes))) for point in shown)
    yield Table(("", *regimes), rows, "FLOP, token ÷ latent, unchanged")
    yield from left_out(len(shown), len(points), "point")
