"""Pictures as SVG and PNG. The same picture gives the same bytes, on any day and in any process; a PNG with one version of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping

from spanbench.show.report.plots.picture import Picture
from spanbench.show.report.svg.colours import COLOURS, GRID, INK, MUTED, PAPER, Colour
from spanbench.show.report.svg.figure import draw
from spanbench.show.report.svg.sheet import WIDTH, Styles, SvgSheet
from spanbench.show.report.svg.text import escaped

__all__ = ["VARIABLES", "draw_png", "draw_svg", "inlined", "themed"]

_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_JOINS = "*{stroke-linejoin:round;stroke-linecap:butt}"


def themed() -> list[Colour]:
    """Return every colour that is another one on dark paper."""
    return list(dict.fromkeys([PAPER, INK, MUTED, GRID, *COLOURS.values()]))


VARIABLES: Mapping[str, str] = {colour.light: f"var(--{colour.name})" for colour in themed()}
"""What stands for each colour on a page."""


def draw_svg(picture: Picture) -> str:
    """Return a file of its own: title, setup, plot and caption on white paper."""
    styles = Styles()
    sheet = draw(picture, lambda height: SvgSheet(height, styles), framed=True)
    size = f'width="{WIDTH}" height="{sheet.height:g}" viewBox="0 0 {WIDTH} {sheet.height:g}"'
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d" '
        f'font-family="{_FONT}">\n<title id="t">{escaped(picture.title)} · {escaped(picture.where)}</title>\n'
        f'<desc id="d">{escaped(picture.description)}</desc>\n<style>\n{_JOINS}\n{styles.css()}</style>\n'
        f'<rect width="100%" height="100%" fill="{PAPER.light}"/>\n{sheet.body}\n</svg>\n'
    )


def inlined(picture: Picture, styles: Styles, prefix: str) -> str:
    """Return the plot alone as an element of a page, whose `styles` it shares; its ids begin with `prefix`."""
    sheet = draw(picture, lambda height: SvgSheet(height, styles), framed=False)
    title, description = escaped(picture.title), escaped(picture.description)
    return (
        f'<svg viewBox="0 0 {WIDTH} {sheet.height:g}" role="img" aria-labelledby="{prefix}t {prefix}d">'
        f'<title id="{prefix}t">{title}</title><desc id="{prefix}d">{description}</desc>\n{sheet.body}</svg>'
    )


def draw_png(picture: Picture) -> bytes:
    """Return what `draw_svg` shows as a PNG, 800 pixels wide."""
    # Imported here: only pixels need matplotlib, and it takes half a second.
    from matplotlib import rc_context, rcdefaults

    from spanbench.show.report.svg.canvas import Canvas

    with rc_context():  # whatever a user's matplotlibrc says
        rcdefaults()
        return draw(picture, Canvas, framed=True).png()
