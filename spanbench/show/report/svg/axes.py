"""Curves and guides on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from spanbench.show.report.plots.picture import Axis, Curve, Guide, Picture
from spanbench.show.report.svg.colours import COLOURS, GRID, INK, MARKS, MUTED
from spanbench.show.report.svg.sheet import Sheet
from spanbench.show.report.svg.ticks import limits, log_ticks, tick_text, token_ticks

__all__ = ["Frame", "draw_axes"]

_SMALL = 11
_APART = 0.15
"""Of the axis, between the ticks of two N: room for '16,384'."""
_LINE, _BAR, _THIN, _GRID = 1.6, 1.2, 1.0, 0.8


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle of a sheet in points, and the ends of the logarithmic axes that fill it."""

    left: float
    bottom: float
    width: float
    height: float
    xs: tuple[float, float] = (1.0, 10.0)
    ys: tuple[float, float] = (1.0, 10.0)

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def top(self) -> float:
        """The upper edge."""
        return self.bottom + self.height

    def x(self, value: float) -> float:
        """Return where a value stands across."""
        return self.left + self.width * _share(value, self.xs)

    def y(self, value: float) -> float:
        """Return where a value stands upwards."""
        return self.bottom + self.height * _share(value, self.ys)


def _share(value: float, ends: tuple[float, float]) -> float:
    return (log(value) - log(ends[0])) / (log(ends[1]) - log(ends[0]))


def draw_axes(sheet: Sheet, picture: Picture, left: float, bottom: float, width: float, height: float) -> None:
    """Draw a picture's axes into a rectangle, its guides, then its curves over them."""
    frame = Frame(left, bottom, width, height, *_ends(picture))
    _draw_x(sheet, frame, picture)
    _draw_y(sheet, frame, picture.y)
    for guide in picture.guides:
        _draw_guide(sheet, frame, guide)
    for curve in picture.curves:
        _draw_curve(sheet, frame, curve)


def _ends(picture: Picture) -> tuple[tuple[float, float], tuple[float, float]]:
    marks = [mark for curve in picture.curves for mark in curve.marks]
    corners = [point for guide in picture.guides for point in guide.points]
    bars = [end for mark in marks for end in (mark.low, mark.high) if end is not None]
    return (
        limits([*(mark.x for mark in marks), *(x for x, _ in corners)]),
        limits([*(mark.y for mark in marks), *bars, *(y for _, y in corners)]),
    )


def _draw_x(sheet: Sheet, frame: Frame, picture: Picture) -> None:
    values = [mark.x for curve in picture.curves for mark in curve.marks]
    ticks = token_ticks(values, _APART) if picture.x.quantity == "tokens" else log_ticks(*frame.xs)
    sheet.strokes([((x, x), (frame.bottom, frame.top)) for x in map(frame.x, ticks)], GRID.light, _GRID)
    for tick in ticks:
        sheet.text(frame.x(tick), frame.bottom - 15, tick_text(picture.x.quantity, tick), _SMALL, align="center")
    sheet.line((frame.left, frame.right), (frame.bottom, frame.bottom), MUTED.light, width=_GRID)
    sheet.text(frame.left + frame.width / 2, frame.bottom - 32, picture.x.label, _SMALL, align="center")


def _draw_y(sheet: Sheet, frame: Frame, axis: Axis) -> None:
    ticks = log_ticks(*frame.ys)
    sheet.strokes([((frame.left, frame.right), (y, y)) for y in map(frame.y, ticks)], GRID.light, _GRID)
    for tick in ticks:
        sheet.text(frame.left - 6, frame.y(tick) - 4, tick_text(axis.quantity, tick), _SMALL, align="right")
    sheet.line((frame.left, frame.left), (frame.bottom, frame.top), MUTED.light, width=_GRID)
    sheet.text(14, frame.bottom + frame.height / 2, axis.label, _SMALL, INK.light, align="center", turned=True)


def _draw_guide(sheet: Sheet, frame: Frame, guide: Guide) -> None:
    xs, ys = [frame.x(x) for x, _ in guide.points], [frame.y(y) for _, y in guide.points]
    sheet.line(xs, ys, MUTED.light, "estimated" if guide.dashed else "counted", _THIN)


def _draw_curve(sheet: Sheet, frame: Frame, curve: Curve) -> None:
    """Draw bars, the line, and the marks: each mark by its own source."""
    colour = COLOURS[curve.role].light
    bars = [(frame.x(mark.x), mark.low, mark.high) for mark in curve.marks if mark.low is not None and mark.high is not None]
    if bars:
        sheet.strokes([((x, x), (frame.y(low), frame.y(high))) for x, low, high in bars], colour, _BAR)
    xs, ys = _places(frame, curve)
    sheet.line(xs, ys, colour, curve.source, _LINE)
    for source in dict.fromkeys(mark.source for mark in curve.marks):
        of = [at for at, mark in enumerate(curve.marks) if mark.source == source]
        sheet.marks([xs[at] for at in of], [ys[at] for at in of], colour, MARKS[curve.role], source)


def _places(frame: Frame, curve: Curve) -> tuple[Sequence[float], Sequence[float]]:
    return [frame.x(mark.x) for mark in curve.marks], [frame.y(mark.y) for mark in curve.marks]
