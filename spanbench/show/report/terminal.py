"""A small plot in the terminal: how much less the latent arm costs, against N or the span. Both axes logarithmic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

from spanbench.show.report.plots.every import pictures
from spanbench.show.report.plots.picture import Curve, Picture, Role
from spanbench.show.report.summary import Report
from spanbench.show.report.svg.ticks import limits, log_ticks, tick_text, token_ticks

__all__ = ["COLUMNS", "LINES", "terminal_plot"]

COLUMNS, LINES = 80, 15
_MARGIN, _PLOT_LINES = 8, 9
_LETTERS: Mapping[Role, str] = {"documents": "D", "cells": "C", "flops": "F", "seconds": "T"}
"""A mark is a letter, so that nothing depends on colour. Energy has none: most of it restates the time, and would hide it."""
_SEVERAL = "*"


@dataclass(frozen=True, slots=True)
class _Frame:
    """How the axes are drawn."""

    side: str
    corner: str
    floor: str
    level: str


_UNICODE = _Frame("│", "└", "─", "·")
_ASCII = _Frame("|", "+", "-", ".")


def terminal_plot(report: Report, *, ascii_only: bool = False) -> str:
    """Return at most 15 lines of at most 80 columns, or '' where the report has no ratio at two lengths of prompt or two spans.

    It shows the ratios token ÷ latent of the section with most lengths of prompt, in its first regime. `ascii_only` is for
    terminals that print nothing else.
    """
    picture = _chosen(report)
    if picture is None:
        return ""
    text = "\n".join(_lines(picture, _ASCII if ascii_only else _UNICODE)) + "\n"
    return _plain(text) if ascii_only else text


def _chosen(report: Report) -> Picture | None:
    """Return the plot of ratios with most places across: of a section against N, else across sections against the span."""
    ratios = (_lettered(picture) for picture in pictures(report) if picture.kind in {"ratios", "across"})
    found = [picture for picture in ratios if len(_xs(picture)) > 1]
    return max(found, key=lambda picture: (picture.kind == "ratios", len(_xs(picture))), default=None)


def _lettered(picture: Picture) -> Picture:
    return replace(picture, curves=tuple(curve for curve in picture.curves if curve.role in _LETTERS))


def _xs(picture: Picture) -> set[float]:
    return {mark.x for curve in picture.curves for mark in curve.marks}


def _lines(picture: Picture, frame: _Frame) -> Iterator[str]:
    yield _cut(f"{picture.title} · {picture.where}")
    yield from _canvas(picture, frame)
    yield from _floor(picture, frame)
    yield from _legend(picture.curves)


def _canvas(picture: Picture, frame: _Frame) -> Iterator[str]:
    """Yield the lines of the plot itself: ticks at the left, a letter a mark, a row of dots where both arms cost the same."""
    low, high = limits([*(mark.y for curve in picture.curves for mark in curve.marks), 1.0])
    rows = [[" "] * _width() for _ in range(_PLOT_LINES)]
    rows[_row(1.0, low, high)] = [frame.level, " "] * (_width() // 2)
    for place, letter in _placed(picture, low, high).items():
        rows[place[0]][place[1]] = letter
    ticks = {_row(tick, low, high): tick_text(picture.y.quantity, tick) for tick in (*log_ticks(low, high), 1.0)}
    for at, row in enumerate(rows):
        yield f"{ticks.get(at, ''):>{_MARGIN - 1}} {frame.side}{''.join(row)}".rstrip()


def _placed(picture: Picture, low: float, high: float) -> Mapping[tuple[int, int], str]:
    found: dict[tuple[int, int], str] = {}
    ends = limits(sorted(_xs(picture)))
    for curve in picture.curves:
        for mark in curve.marks:
            place, letter = (_row(mark.y, low, high), _column(mark.x, ends)), _LETTERS[curve.role]
            found[place] = letter if found.get(place, letter) == letter else _SEVERAL
    return found


def _width() -> int:
    return COLUMNS - _MARGIN - 1


def _share(value: float, low: float, high: float) -> float:
    return (log(value) - log(low)) / (log(high) - log(low))


def _row(value: float, low: float, high: float) -> int:
    return min(_PLOT_LINES - 1, int((1 - _share(value, low, high)) * _PLOT_LINES))


def _column(value: float, ends: tuple[float, float]) -> int:
    return min(_width() - 1, int(_share(value, *ends) * _width()))


def _floor(picture: Picture, frame: _Frame) -> Iterator[str]:
    """Yield the axis and the numbers below it."""
    yield f"{'':{_MARGIN}}{frame.corner}{frame.floor * _width()}"
    ends, line = limits(sorted(_xs(picture))), [" "] * COLUMNS
    for tick in token_ticks(sorted(_xs(picture)), 0.14):
        text = tick_text("tokens", tick)
        start = min(_MARGIN + 1 + _column(tick, ends) - len(text) // 2, COLUMNS - len(text))
        line[start : start + len(text)] = text
    name = picture.x.label.partition(",")[0]
    yield f"{name:>{_MARGIN - 1}}{''.join(line)[_MARGIN - 1 :]}".rstrip()


def _legend(curves: Sequence[Curve]) -> Iterator[str]:
    """Yield what the letters mean and where the figures come from, wrapped."""
    words = [f"{_LETTERS[curve.role]} {_SHORT[curve.role]} ({curve.source})" for curve in curves]
    lines = [""]
    for word in [*words, f"{_SEVERAL} several"]:
        longer = f"{lines[-1]} · {word}" if lines[-1] else word
        lines[-1:] = [longer] if len(longer) <= COLUMNS else [lines[-1], word]
    yield from lines


_SHORT: Mapping[Role, str] = {
    "documents": "one layer's mixing", "cells": "attention cells", "flops": "FLOPs", "seconds": "time",
}  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= COLUMNS else f"{text[: COLUMNS - 1]}…"


def _plain(text: str) -> str:
    """Return the same in ASCII: signs by what they stand for, anything else as a question mark."""
    signs = {"×": "x", "÷": "/", "·": "-", "…": ".", "−": "-", "–": "-", "µ": "u"}
    return "".join(signs.get(letter, letter) for letter in text).encode("ascii", "replace").decode()
