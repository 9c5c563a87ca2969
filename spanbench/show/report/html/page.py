"""The report as one HTML page: all in one file, no script, no request, light and dark.

The page stays below `LIMIT_BYTES`: first sections are left out from the end, then plots, the kinds that answer least
first; what was left out is said at its top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spanbench.show.report.html.section import bullets, section_end, section_start
from spanbench.show.report.html.style import stylesheet
from spanbench.show.report.plots.every import by_weight, pictures
from spanbench.show.report.plots.picture import SOURCE_LOOKS, Picture
from spanbench.show.report.summary import Report
from spanbench.show.report.svg.draw import VARIABLES, inlined
from spanbench.show.report.svg.sheet import Styles
from spanbench.show.report.svg.text import escaped

__all__ = ["LIMIT_BYTES", "html_page"]

LIMIT_BYTES = 300_000
_TEXT_BYTES = 170_000
"""Of the limit, for sections without their plots."""
_SPARE_BYTES = 12_000
"""For the page's head, its style sheet, and the plots' shared styles."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""A browser that was told so makes no request, whatever the page holds."""


def html_page(report: Report) -> str:
    """Return the page. The same report gives the same bytes."""
    texts = _texts(report)
    across = len(report.sections)
    found = pictures(report)
    wanted = [picture for picture in found if picture.section < len(texts) or picture.section == across]
    styles = Styles()
    room = LIMIT_BYTES - _SPARE_BYTES - sum(len((start + end).encode()) for start, end in texts)
    drawn = _drawn(wanted, styles, room)
    body = "".join(start + _plots(drawn, place) + end for place, (start, end) in enumerate(texts)) + _across(_plots(drawn, across))
    left_out = _left_out(across - len(texts), len(found) - sum(map(len, drawn.values())), len(found))
    return f"{_head(report, stylesheet(styles.css(VARIABLES)))}{_opening(report, left_out, len(texts))}{body}{_END}"


def _texts(report: Report) -> list[tuple[str, str]]:
    """Return what stands before and after each section's plots, of as many sections as there is room for."""
    texts: list[tuple[str, str]] = []
    room = _TEXT_BYTES
    for at, section in enumerate(report.sections, start=1):
        text = section_start(section, f"s{at}"), section_end(section)
        room -= sum(len(part.encode()) for part in text)
        if room < 0 and texts:
            break
        texts.append(text)
    return texts


def _drawn(wanted: Sequence[Picture], styles: Styles, room: int) -> Mapping[int, list[str]]:
    """Draw the plots that there is room for, a kind of every section before the next kind; those of a section in their order."""
    found: dict[int, str] = {}
    for at in by_weight(wanted):
        figure = _figure(wanted[at], styles, f"p{at}")
        room -= len(figure.encode())
        if room < 0:
            break
        found[at] = figure
    by_section: dict[int, list[str]] = {}
    for at in sorted(found):
        by_section.setdefault(wanted[at].section, []).append(found[at])
    return by_section


def _figure(picture: Picture, styles: Styles, anchor: str) -> str:
    drawn = inlined(picture, styles, anchor)
    # A section says what was run; a plot across sections has to say it itself.
    title = f"{picture.title}: {picture.where}" if picture.kind == "across" else picture.title
    return f"<figure><h4>{escaped(title)}</h4>{drawn}\n<figcaption>{escaped(picture.caption)}</figcaption></figure>\n"


def _plots(drawn: Mapping[int, list[str]], place: int) -> str:
    return f"<h3>Plots</h3>\n<div class=plots>\n{''.join(drawn[place])}</div>\n" if place in drawn else ""


def _across(plots: str) -> str:
    return f'<section id="across" aria-labelledby="across-h"><h2 id="across-h">Against the span</h2>\n{plots}</section>\n' if plots else ""


def _left_out(sections: int, plots: int, of_plots: int) -> str:
    """Say what the page has no room for; '' where it holds everything."""
    missing = [
        *([f"{sections:,} section{'' if sections == 1 else 's'}"] if sections else []),
        *([f"{plots:,} of {of_plots:,} plots"] if plots else []),
    ]
    if not missing:
        return ""
    return (
        f"Left out, to keep this page below {LIMIT_BYTES // 1000} kB: {' and '.join(missing)}. "
        "report.md has every table; a report on fewer files has room for more plots."
    )


def _head(report: Report, style: str) -> str:
    title = " – ".join(["spanbench report", *dict.fromkeys(section.setup.preset for section in report.sections[:4])])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,"><title>{escaped(title)}</title>\n<style>\n{style}</style></head>\n'
    )


def _opening(report: Report, left_out: str, sections: int) -> str:
    """Return the page's top: what it is, what must be known of all of it, where its sections are, how plots are read."""
    links = [f'<a href="#s{at}">{escaped(section.setup.title)}</a>' for at, section in enumerate(report.sections[:sections], start=1)]
    notes = [*([left_out] if left_out else []), *report.notes]
    looks = [escaped(look) for look in SOURCE_LOOKS.values()]
    return (
        '<body><a class=skip href="#main">Skip to the results</a>\n<header><h1>spanbench report</h1>\n'
        f"<p>A dense transformer (token arm) beside a latent-per-span model (latent arm): {report.records:,} "
        f"record{'' if report.records == 1 else 's'} in {len(report.sections):,} section{'' if len(report.sections) == 1 else 's'}. "
        "A ratio is token ÷ latent: above 1 the latent arm costs less.</p>\n"
        + "".join(f"<p class=note>{escaped(note)}</p>\n" for note in notes)
        + f'</header>\n<nav aria-labelledby="nav-h"><h2 id="nav-h">Sections</h2>\n{bullets(links)}</nav>\n<main id="main">\n'
        + f'<section aria-labelledby="read-h"><h2 id="read-h">How to read the plots</h2>\n{bullets(looks)}<p>{_READ}</p></section>\n'
    )


_READ = (
    "Blue circles are the token arm, orange squares the latent arm. N^k in a legend is the fitted exponent with its 95% interval: k = 0 is "
    "constant, 1 linear, 2 quadratic. The figures behind each plot stand in the tables above it; every digit is in the records."
)
_END = "</main>\n<footer><p>Written by spanbench from its records alone; this page makes no request.</p></footer></body></html>\n"
