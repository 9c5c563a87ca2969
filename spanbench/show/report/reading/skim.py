"""A line of a record parsed in part: its head whole, and of its figures those that a summary can draw.

Nine figures in ten are of single stages, and parsing them takes most of a large report's time. `spanbench verify` reads all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from pydantic_core import from_json

from spanbench.show.report.summary import DRAWN

__all__ = ["TOTALS", "skimmed"]

TOTALS = DRAWN | {"roofline_fraction"}
"""Of what a summary needs the total; of FLOPs it needs every stage."""

_BEGIN, _BETWEEN, _END = b',"measures":[{', b"},{", b"}]}"
_PLACE = re.compile(rb'"arm":"[a-z]+","regime":"[a-z_]+","stage":"([a-z]+)","quantity":"([^"\\]+)","value":')


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the figures of a line are of, as the text that each begins with, and which of them are needed."""

    begins: tuple[bytes, ...]
    needed: tuple[int, ...]

    def picked(self, figures: Sequence[bytes]) -> bytes | None:
        """Return the needed figures of a line with this layout, as they stand between the brackets; None of any other line."""
        if len(figures) != len(self.begins) or not all(map(bytes.startswith, figures, self.begins)):
            return None
        return _BETWEEN.join(itemgetter(*self.needed)(figures) if len(self.needed) > 1 else [figures[at] for at in self.needed])


_layouts: dict[int, _Layout] = {}
"""The last layout of so many figures: the records of a sweep have few, and finding one takes as long as parsing half a line."""


def skimmed(line: bytes) -> Any:
    """Return a record's plain values, with the figures of totals and the FLOPs of stages alone.

    `line` has no space around it. Figures are found as `Record.to_line` writes them; a line that is written otherwise, or has a
    brace within a text, is parsed whole.

    Raises:
        ValueError: not JSON.
    """
    head, _, measures = line.partition(_BEGIN)
    figures = measures.split(_BETWEEN)
    ended = figures[-1].endswith(_END)
    figures[-1] = figures[-1].removesuffix(_END)
    needed = _needed(figures) if ended else None
    if needed is None:
        return from_json(line, allow_inf_nan=False)
    try:
        return from_json(head + _BEGIN + needed + _END, allow_inf_nan=False)
    except ValueError:
        return from_json(line, allow_inf_nan=False)


def _needed(figures: Sequence[bytes]) -> bytes | None:
    known = _layouts.get(len(figures))
    if known is not None and (picked := known.picked(figures)) is not None:
        return picked
    layout = _layout_of(figures)
    if layout is None:
        return None
    _layouts[len(figures)] = layout
    return layout.picked(figures)


def _layout_of(figures: Sequence[bytes]) -> _Layout | None:
    """Return the layout of a line's figures; None where one does not begin as the writer's do."""
    found = [_PLACE.match(figure) for figure in figures]
    places = [match for match in found if match is not None]
    if len(places) < len(found):
        return None
    needed = [at for at, match in enumerate(places) if _is_needed(match[1].decode(), match[2].decode("utf-8", "replace"))]
    return _Layout(tuple(match[0] for match in places), tuple(needed)) if needed else None


def _is_needed(stage: str, quantity: str) -> bool:
    return quantity in TOTALS and (stage == "total" or quantity == "flops")
