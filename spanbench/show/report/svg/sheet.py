"""A sheet measured in points from its lower left corner, and the few things that a plot puts on it.

Two of them: `SvgSheet` writes SVG itself, which takes a millisecond, a twentieth of the bytes that matplotlib needs, and is the same with
any version of anything; the canvas of svg_canvas.py lets matplotlib draw the same things as pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from spanbench.record import Source
from spanbench.show.report.svg.colours import INK, PAPER
from spanbench.show.report.svg.text import escaped

__all__ = ["HOLLOW", "MARK_EDGE", "MARK_SIZE", "OUTLINES", "WIDTH", "Align", "Sheet", "Stroke", "Styles", "SvgSheet"]

WIDTH = 400
"""Points; a page shows one as a pixel where the plot is 400 pixels wide."""

MARK_SIZE, MARK_EDGE = 5.5, 1.2
HOLLOW: frozenset[Source] = frozenset({"estimated", "modelled"})
"""Sources whose marks are not filled."""

_DASHES: Mapping[Source, str] = {"estimated": "5 3", "modelled": "1 2.5"}
_ANCHORS = {"center": "middle", "right": "end"}

OUTLINES: Mapping[str, Sequence[tuple[float, float]]] = {
    "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "diamond": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
    "triangle": ((0, -1.25), (1.2, 1), (-1.2, 1)),
    "cross": ((-1.2, -1.2), (0, -0.5), (1.2, -1.2), (0.5, 0), (1.2, 1.2), (0, 0.5), (-1.2, 1.2), (-0.5, 0)),
}
"""Corners of each mark around its middle, in halves of `MARK_SIZE`, y downwards; one that is not here is a circle."""

Align = Literal["left", "center", "right"]
Stroke = tuple[tuple[float, float], tuple[float, float]]
"""Both ends of a straight line: across, upwards."""


class Sheet(Protocol):
    """What a plot is drawn on. Lines and marks look like their `source`."""

    height: float

    def text(
        self, x: float, y: float, text: str, size: float, colour: str = ..., *, bold: bool = ..., align: Align = ..., turned: bool = ...
    ) -> None:
        """Write a line whose base line lies at y; `turned`, it runs upwards."""
        ...

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, source: Source = ..., width: float = ...) -> None:
        """Draw a line through places."""
        ...

    def strokes(self, strokes: Sequence[Stroke], colour: str, width: float) -> None:
        """Draw straight lines that are not joined: a grid, or bars."""
        ...

    def marks(self, xs: Sequence[float], ys: Sequence[float], colour: str, shape: str, source: Source) -> None:
        """Draw marks: filled, or hollow with the paper's colour inside."""
        ...

    def box(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """Draw a filled box with a thin edge in the colour of the text."""
        ...


class Styles:
    """Classes for styles, shared by all plots of a page: equal styles have one name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, style: str) -> str:
        """Return the class of a style."""
        return self._names.setdefault(style, f"k{len(self._names)}")

    def css(self, variables: Mapping[str, str] | None = None) -> str:
        """Return the rules; each colour of `variables` is replaced by what stands for it."""
        text = "".join(f".{name}{{{style}}}\n" for style, name in self._names.items())
        for colour, variable in (variables or {}).items():
            text = text.replace(colour, variable)
        return text


class SvgSheet:
    """A sheet that becomes the inside of an `<svg>` element; styles go to `styles`."""

    def __init__(self, height: float, styles: Styles) -> None:
        self.height = height
        self._styles = styles
        self._written: list[str] = []

    @property
    def body(self) -> str:
        """The elements that were drawn."""
        return "\n".join(self._written)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: str = INK.light,
        *,
        bold: bool = False,
        align: Align = "left",
        turned: bool = False,
    ) -> None:
        """See `Sheet`."""
        anchor = f";text-anchor:{_ANCHORS[align]}" if align in _ANCHORS else ""
        name = self._styles.name(f"font-size:{_number(size)}px;fill:{colour}{';font-weight:bold' if bold else ''}{anchor}")
        at = (_number(x), _number(self.height - y))
        place = f'transform="translate({at[0]} {at[1]})rotate(-90)"' if turned else f'x="{at[0]}" y="{at[1]}"'
        self._written.append(f'<text class="{name}" {place}>{escaped(text)}</text>')

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, source: Source = "counted", width: float = 1.6) -> None:
        """See `Sheet`."""
        dashes = f";stroke-dasharray:{_DASHES[source]}" if source in _DASHES else ""
        self._path(
            "M" + "L".join(self._place(x, y) for x, y in zip(xs, ys, strict=True)),
            f"fill:none;stroke:{colour};stroke-width:{width}{dashes}",
        )

    def strokes(self, strokes: Sequence[Stroke], colour: str, width: float) -> None:
        """See `Sheet`."""
        way = "".join(f"M{self._place(x, y)}L{self._place(to_x, to_y)}" for (x, to_x), (y, to_y) in strokes)
        self._path(way, f"fill:none;stroke:{colour};stroke-width:{width}")

    def marks(self, xs: Sequence[float], ys: Sequence[float], colour: str, shape: str, source: Source) -> None:
        """See `Sheet`."""
        outline = _outline(shape)
        fill = PAPER.light if source in HOLLOW else colour
        places = "".join(f"M{self._place(x, y)}{outline}" for x, y in zip(xs, ys, strict=True))
        self._path(places, f"fill:{fill};stroke:{colour};stroke-width:{MARK_EDGE}")

    def box(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """See `Sheet`."""
        corner = self._place(x, y + height)
        self._path(f"M{corner}h{_number(width)}v{_number(height)}h{_number(-width)}z", f"fill:{fill};stroke:{INK.light};stroke-width:.6")

    def _path(self, way: str, style: str) -> None:
        self._written.append(f'<path class="{self._styles.name(style)}" d="{way}"/>')

    def _place(self, x: float, y: float) -> str:
        return f"{_number(x)} {_number(self.height - y)}"


def _outline(shape: str) -> str:
    """Return a mark's outline, relative to its middle."""
    half = MARK_SIZE / 2
    if shape not in OUTLINES:
        arc = f"a{_number(half)} {_number(half)} 0 1 0 "
        return f"m{_number(-half)} 0{arc}{_number(2 * half)} 0{arc}{_number(-2 * half)} 0z"
    corners = [(x * half, y * half) for x, y in OUTLINES[shape]]
    steps = [(x - px, y - py) for (x, y), (px, py) in zip(corners, [(0.0, 0.0), *corners[:-1]], strict=True)]
    return "m" + "l".join(f"{_number(x)} {_number(y)}" for x, y in steps) + "z"


def _number(value: float) -> str:
    """Return a place to a tenth of a point, and never a zero with a sign."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")
