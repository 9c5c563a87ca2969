"""Series of a section against N: a figure's dots, its fitted exponent, and why some are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter
from typing import Any, cast

from spanbench.judge.fits import fit
from spanbench.point import ALL_REGIMES
from spanbench.record import SOURCES, Source
from spanbench.show.report.reading.digest import Digest
from spanbench.show.report.sections.alike import Alike, said_in
from spanbench.show.report.summary import ARMS, DRAWN, SUMMARISED, Dot, Series

__all__ = ["series_of"]

Key = tuple[str, str, str, str, int | None]
"""Arm, regime, quantity, source, and the tokens said."""
Column = tuple[Alike, int]
"""A place of a group's figures."""


def series_of(groups: Sequence[Alike]) -> Iterator[Series]:
    """Yield every series of a section, by regime, quantity, arm and source."""
    found: dict[Key, list[Column]] = {}
    for group in groups:
        for at, p in enumerate(group.places):
            if p.stage == "total" and p.quantity in DRAWN:
                found.setdefault((p.arm, p.regime, p.quantity, p.source, said_in(p.regime, group.generate)), []).append((group, at))
    for key in sorted(found, key=_order):
        yield _series(key, found[key])


def _order(key: Key) -> tuple[Any, ...]:
    arm, regime, quantity, source, said = key
    base = SUMMARISED.index(quantity.removeprefix("ratio:"))
    return (ALL_REGIMES.index(cast("Any", regime)), base, ARMS.index(arm), SOURCES.index(cast("Source", source)), said or 0)


def _series(key: Key, columns: Sequence[Column]) -> Series:
    arm, regime, quantity, source, said = key
    # Groups come one after the other; dots of equal length and value stand in the order of their records.
    ordered = sorted(_counts(columns) if source == "counted" else _figures(columns), key=itemgetter(0))
    dots = sorted((dot for _, dot in ordered), key=attrgetter("tokens", "value"))
    fitted = [dot for dot in dots if dot.spans]
    return Series(
        arm, regime, quantity, columns[0][0].places[columns[0][1]].unit, cast("Source", source), tuple(dots),
        fit([dot.tokens for dot in fitted], [dot.value for dot in fitted]), tuple(sorted(set(_missing(columns)))), said,
    )  # fmt: skip


def _figures(columns: Iterable[Column]) -> Iterator[tuple[int, Dot]]:
    """Yield every figure as a dot of its own, with its record's place in the section."""
    for group, at in columns:
        yield from ((order, _dot(record, at)) for order, record in group.records if record.figures.values[at] is not None)


def _counts(columns: Iterable[Column]) -> Iterator[tuple[int, Dot]]:
    """Yield one dot for a count that several records have, since it is the same count: that of the first."""
    kept: dict[tuple[int, Any], tuple[int, Digest, int]] = {}
    for group, at in columns:
        for order, record in group.records:
            key = record.tokens, record.figures.values[at]
            if key not in kept or order < kept[key][0]:
                kept[key] = order, record, at
    yield from ((order, _dot(record, at)) for (_, value), (order, record, at) in kept.items() if value is not None)


def _dot(record: Digest, at: int) -> Dot:
    figures = record.figures
    place, value = figures.places[at], cast("float", figures.values[at])
    spans = record.tokens // record.setup.span
    return Dot(record.tokens, spans, value, figures.lows[at], figures.highs[at], cast("Source", place.source), place.by, record.id)


def _missing(columns: Iterable[Column]) -> Iterator[str]:
    """Yield why figures are null."""
    for group, at in columns:
        if None in [record.figures.values[at] for _, record in group.records]:
            yield str(group.places[at].reason)
