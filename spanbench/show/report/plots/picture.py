"""What a plot shows, before it is drawn: curves, bars and guides with their sources, and the words around them.

A `Picture` is data: the drawing (svg.py), the page (html.py) and the tests read it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Literal

from spanbench.record import Source

__all__ = ["MOST_MARKS", "SOURCE_LOOKS", "Axis", "Bar", "Curve", "Guide", "Mark", "Part", "Picture", "Role", "thinned"]

Role = Literal["token", "latent", "cells", "flops", "seconds", "joules", "documents"]
"""What a curve is, which gives it a colour and a shape of mark: an arm, or the quantity of a ratio."""

MOST_MARKS = 60
"""Marks of one curve: more lie on one another at 400 pixels, and only make the file large."""

SOURCE_LOOKS: dict[Source, str] = {
    "counted": "counted: a solid line, filled marks",
    "measured": "measured: a solid line, filled marks, bars from low to high",
    "estimated": "estimated: a dashed line, hollow marks",
    "modelled": "modelled: a dotted line, hollow marks",
}
"""How each source is told from the others; never by colour."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One figure; `low` and `high` are the ends of its bar. All are above 0: a logarithmic axis has no 0."""

    x: float
    y: float
    source: Source
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """Marks of one thing, joined by a line that looks like its weakest source."""

    label: str
    role: Role
    source: Source
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Guide:
    """A thin line without marks: a limit of the machine, or where the arms are equal."""

    label: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: its name, its share of the bar from 0 to 1, and the figure in words."""

    name: str
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of parts that fill it, with its own sum in the label above it."""

    label: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: its name with the unit, and the quantity that says how its ticks are printed ('tokens': a whole number)."""

    label: str
    quantity: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One plot. `bars`, or `curves` and `guides` on logarithmic axes.

    `name` is unique in a report and fit for a file. `description` says in words what is seen, for those who do not see
    it; `caption` says source, counter or meter, and convention.
    """

    name: str
    kind: str
    """What is drawn: 'flops', 'ratios', 'stages' … the same in every section."""
    section: int
    """The place of its section in the report; its number of sections for a plot across sections."""
    title: str
    where: str
    """The section's setup, in words."""
    description: str
    caption: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...] = ()
    guides: tuple[Guide, ...] = ()
    bars: tuple[Bar, ...] = ()


def thinned(marks: tuple[Mark, ...], most: int = MOST_MARKS) -> tuple[Mark, ...]:
    """Return the marks that can be drawn (finite, above 0), at most so many.

    Of more the middle one at each x, and of more x than that so many evenly in log x, both ends among them.
    """
    drawn = [mark for mark in marks if mark.x > 0 and mark.y > 0 and isfinite(mark.y)]
    if len(drawn) <= most:
        return tuple(drawn)
    middles = _middles(drawn)
    if len(middles) <= most:
        return tuple(middles)
    low, high = log(middles[0].x), log(middles[-1].x)
    places: dict[int, Mark] = {}
    for mark in middles[:-1]:
        places.setdefault(int((log(mark.x) - low) / (high - low) * (most - 1)), mark)
    return (*list(places.values())[: most - 1], middles[-1])


def _middles(marks: Sequence[Mark]) -> list[Mark]:
    """Return of all marks at one x the middle one, by height; by x."""
    by_x: dict[float, list[Mark]] = {}
    for mark in marks:
        by_x.setdefault(mark.x, []).append(mark)
    return [sorted(by_x[x], key=lambda mark: mark.y)[(len(by_x[x]) - 1) // 2] for x in sorted(by_x)]
