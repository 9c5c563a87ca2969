"""The same sheet as pixels: matplotlib draws what a plot puts on it. Without `Axes` and without pyplot's hidden state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

from spanbench.record import Source
from spanbench.show.report.svg.colours import INK, PAPER
from spanbench.show.report.svg.sheet import HOLLOW, MARK_EDGE, MARK_SIZE, OUTLINES, WIDTH, Align, Stroke

__all__ = ["Canvas"]

_POINTS_PER_INCH = 72
_DPI = 144
"""Two pixels a point: sharp on the screens of today."""
_FONT = "DejaVu Sans"
"""It comes with matplotlib, so a picture does not depend on the fonts of a machine."""
_DASHES: Mapping[Source, Any] = {"estimated": (0, (4, 2.4)), "modelled": (0, (1, 2))}
"""In widths of the line."""


class Canvas:
    """A sheet that becomes a PNG."""

    def __init__(self, height: float) -> None:
        self.height = height
        self._figure = Figure(figsize=(WIDTH / _POINTS_PER_INCH, height / _POINTS_PER_INCH), facecolor=PAPER.light)
        self._points = Affine2D().scale(1 / _POINTS_PER_INCH) + self._figure.dpi_scale_trans

    def png(self) -> bytes:
        """Return the picture, 800 pixels wide; nothing in it says when or by what it was made."""
        out = io.BytesIO()
        self._figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
        return out.getvalue()

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
        style: dict[str, Any] = {"fontsize": size, "color": colour, "fontweight": "bold" if bold else "normal", "fontfamily": _FONT}
        placed: dict[str, Any] = {"ha": align, "va": "baseline", "rotation": 90 if turned else 0, "rotation_mode": "anchor"}
        # parse_math off: a dollar in a name is a dollar.
        self._figure.add_artist(Text(x, y, text, transform=self._points, parse_math=False, **placed, **style))

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, source: Source = "counted", width: float = 1.6) -> None:
        """See `Sheet`."""
        style = _DASHES.get(source, "solid")
        self._figure.add_artist(Line2D(list(xs), list(ys), color=colour, linewidth=width, linestyle=style, transform=self._points))

    def strokes(self, strokes: Sequence[Stroke], colour: str, width: float) -> None:
        """See `Sheet`."""
        for xs, ys in strokes:
            self.line(xs, ys, colour, width=width)

    def marks(self, xs: Sequence[float], ys: Sequence[float], colour: str, shape: str, source: Source) -> None:
        """See `Sheet`."""
        corners = [(x, -y) for x, y in OUTLINES.get(shape, ())]
        reach = max((abs(end) for corner in corners for end in corner), default=1.0)
        looks: dict[str, Any] = {
            "marker": [*corners, corners[0]] if corners else "o",
            "markersize": MARK_SIZE * reach,  # matplotlib scales an outline until it fills the size
            "markeredgewidth": MARK_EDGE,
            "markeredgecolor": colour,
            "markerfacecolor": PAPER.light if source in HOLLOW else colour,
        }
        self._figure.add_artist(Line2D(list(xs), list(ys), linestyle="none", transform=self._points, **looks))

    def box(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """See `Sheet`."""
        patch = Rectangle((x, y), width, height, facecolor=fill, edgecolor=INK.light, linewidth=0.6, transform=self._points)
        self._figure.add_artist(patch)
