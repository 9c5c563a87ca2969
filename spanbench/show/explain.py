"""`explain`: the formulas of one regime with this run's numbers put in, so that a reader can follow a total by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spanbench.show.blocks import Page, Text
from spanbench.show.formats import render
from spanbench.units import quantity, ratio_text

__all__ = ["Explained", "TermLike", "page", "render_explain"]

_COLUMNS = ("arm", "stage", "quantity", "name", "formula", "numbers", "value")


class TermLike(Protocol):
    """What a term of the closed form looks like; this package knows no counter."""

    @property
    def arm(self) -> str: ...  # noqa: D102
    @property
    def stage(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def formula(self) -> str: ...  # noqa: D102
    @property
    def numbers(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> int | float: ...  # noqa: D102
    @property
    def quantity(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Explained:
    """Terms of one regime. `point` is a point's JSON, `definitions` say what names in the formulas stand for."""

    point: Mapping[str, Any]
    regime: str
    convention: str
    terms: Sequence[TermLike]
    definitions: Sequence[str]


def render_explain(explained: Explained, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    return render(page(explained), fmt, width, colour)


def page(explained: Explained) -> Page:
    """Return the view before it is printed."""
    rows = [{name: getattr(term, name) for name in _COLUMNS} for term in explained.terms]
    data = {"point": dict(explained.point), "regime": explained.regime, "convention": explained.convention}
    return Page(tuple(_blocks(explained)), {**data, "definitions": list(explained.definitions), "terms": rows}, rows)


def _blocks(explained: Explained) -> Iterator[Text]:
    point = explained.point
    yield Text(f"spanbench explain · {explained.regime} · preset {point['preset']}, allocation {point['allocation']}", "title")
    yield Text(f"{point['tokens']:,} tokens in spans of {point['span']:,} · batch {point['batch']:,} · convention {explained.convention}")
    yield from (Text(line, hang=4) for line in explained.definitions)
    heading = ""
    for term in explained.terms:
        title = _heading(term)
        if title != heading:
            yield Text(title, "title")
            heading = title
        yield from _term(term)


def _heading(term: TermLike) -> str:
    if term.stage == "total":
        return "Totals"
    return f"{quantity(term.quantity).label} · {term.arm}"


def _term(term: TermLike) -> Iterator[Text]:
    """Yield the term on up to three lines: letters, numbers, value; a product that is its own value is said once."""
    shown = ratio_text(term.value) if term.arm == "pair" else f"{term.value:,} {_plural(quantity(term.quantity).unit)}"
    place = f"{term.stage}, {term.name}"
    if term.stage == "total":
        place = quantity(term.name).label if term.arm == "pair" else f"{term.arm} {quantity(term.name).label}"
    if term.numbers in (str(term.value), "0"):
        yield Text(f"{place}: {term.formula} = {shown}", hang=4)
        return
    yield Text(f"{place}: {term.formula}", hang=4)
    yield Text(f"    = {term.numbers}", hang=6)
    yield Text(f"    = {shown}", hang=6)


def _plural(unit: str) -> str:
    """Return a unit behind a count: FLOP stays, a cell becomes cells."""
    return unit if unit.isupper() else f"{unit}s"
