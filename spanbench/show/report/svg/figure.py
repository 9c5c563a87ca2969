"""A `Picture` laid out on a sheet: words, legend, and axes or bars.

Everything is placed in points, so text is as large in every plot, and readable where the plot is 400 pixels wide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import wrap
from typing import TypeVar

from spanbench.show.report.plots.picture import Picture
from spanbench.show.report.svg.axes import draw_axes
from spanbench.show.report.svg.colours import COLOURS, INK, MARKS, MUTED, ON_STAGE, STAGES
from spanbench.show.report.svg.sheet import WIDTH, Sheet

__all__ = ["draw"]

_EDGE = 6
_LEFT, _RIGHT, _BELOW, _PLOT = 62, 14, 40, 210
_ROW, _NOTE_ROW = 16, 13
_TEXT, _SMALL, _NOTE = 12, 11, 9.5
_TITLE_COLUMNS, _NOTE_COLUMNS = 50, 68
_SAMPLE = 28
_BAR, _BAR_ROW = 20, 46
_SWATCHES = 4
"""Names of stages in one row of the legend."""
_LETTER = 6.6
"""Points that a letter of `_SMALL` takes, on average."""


AnySheet = TypeVar("AnySheet", bound=Sheet)


def draw(picture: Picture, new_sheet: Callable[[float], AnySheet], *, framed: bool) -> AnySheet:
    """Return a new sheet with the picture on it.

    `framed`: title, setup and caption are drawn too, as a file needs; a page has them beside the plot.
    """
    words = _Words.of(picture) if framed else _Words((), (), ())
    keys = -(-len(_stages(picture)) // _SWATCHES) if picture.bars else len(picture.curves) + len(picture.guides)
    body = _BAR_ROW * len(picture.bars) + _EDGE if picture.bars else _PLOT + _BELOW
    above = _EDGE + _ROW * (len(words.head) + len(words.where) + keys) + (0 if picture.bars else _EDGE)
    below = _NOTE_ROW * len(words.notes) + (2 * _EDGE if words.notes else 0)
    sheet = new_sheet(above + body + below)
    top = words.draw(sheet)
    if picture.bars:
        _draw_bars(sheet, picture, _draw_swatches(sheet, picture, top))
    else:
        _draw_keys(sheet, picture, top)
        draw_axes(sheet, picture, _LEFT, below + _BELOW, WIDTH - _LEFT - _RIGHT, _PLOT)
    return sheet


@dataclass(frozen=True, slots=True)
class _Words:
    """What stands above and below a plot, in lines."""

    head: tuple[str, ...]
    where: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, picture: Picture) -> _Words:
        texts = ((picture.title, _TITLE_COLUMNS), (picture.where, _NOTE_COLUMNS), (picture.caption, _NOTE_COLUMNS))
        return cls(*(tuple(wrap(text, columns)) for text, columns in texts))

    def draw(self, sheet: Sheet) -> float:
        """Write the words, and return where the room below the upper ones begins."""
        y = sheet.height - _EDGE
        for lines, size, colour, bold in ((self.head, _TEXT, INK.light, True), (self.where, _NOTE, MUTED.light, False)):
            for line in lines:
                sheet.text(_EDGE, y - _SMALL, line, size, colour, bold=bold)
                y -= _ROW
        for at, line in enumerate(reversed(self.notes)):
            sheet.text(_EDGE, _EDGE + _NOTE_ROW * at, line, _NOTE, MUTED.light)
        return y


def _draw_keys(sheet: Sheet, picture: Picture, y: float) -> None:
    """Draw the legend: a row a curve, then a row a guide."""
    xs = (_EDGE, _EDGE + _SAMPLE / 2, _EDGE + _SAMPLE)
    for curve in picture.curves:
        colour = COLOURS[curve.role].light
        sheet.line(xs[::2], [y - 8] * 2, colour, curve.source)
        sheet.marks(xs[1:2], [y - 8], colour, MARKS[curve.role], curve.source)
        sheet.text(xs[-1] + _EDGE, y - 12, curve.label, _SMALL)
        y -= _ROW
    for guide in picture.guides:
        sheet.line(xs[::2], [y - 8] * 2, MUTED.light, "estimated" if guide.dashed else "counted", 1.0)
        sheet.text(xs[-1] + _EDGE, y - 12, guide.label, _SMALL)
        y -= _ROW


def _stages(picture: Picture) -> list[str]:
    """Return the stages that any bar has, in the order of the flow."""
    named = {part.name for bar in picture.bars for part in bar.parts}
    return [stage for stage in STAGES if stage in named]


def _draw_swatches(sheet: Sheet, picture: Picture, y: float) -> float:
    column = (WIDTH - 2 * _EDGE) / _SWATCHES
    stages = _stages(picture)
    for at, stage in enumerate(stages):
        x, row = _EDGE + column * (at % _SWATCHES), y - _ROW * (at // _SWATCHES)
        sheet.box(x, row - 13, 11, 11, STAGES[stage])
        sheet.text(x + 17, row - 12, stage, _SMALL)
    return y - _ROW * -(-len(stages) // _SWATCHES)


def _draw_bars(sheet: Sheet, picture: Picture, y: float) -> None:
    """Draw each bar under its label; a part's name stands in it where it is wide enough."""
    width = WIDTH - 2 * _EDGE
    for bar in picture.bars:
        sheet.text(_EDGE, y - 17, bar.label, _SMALL)
        x = float(_EDGE)
        for part in bar.parts:
            part_width = width * part.share
            sheet.box(x, y - 22 - _BAR, part_width, _BAR, STAGES[part.name])
            if part_width > _LETTER * (len(part.text) + 1):
                sheet.text(x + part_width / 2, y - 22 - _BAR + 6, part.text, _SMALL, ON_STAGE, align="center")
            x += part_width
        y -= _BAR_ROW
