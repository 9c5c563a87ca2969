"""`tables`: the documents' two comparisons, counted at their own scale, and what each allocation makes of the whole model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from spanbench.record import Record
from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.documents import COLUMNS, attention_size, mixed, mixing_rows
from spanbench.show.formats import render
from spanbench.show.heading import notes
from spanbench.show.reading import Footnotes, Reading, tidy_rows

__all__ = ["page", "render_tables"]

INTRODUCTION = (
    "The documents compare what one layer mixes. Those ratios are true of the mixer's score matrix; below each stands what "
    "four ways of spending the layers save of the whole model's FLOPs and attention cells (token ÷ latent)."
)
LOWER_BOUND = "mixer-only is a lower bound: it has neither encoder nor decoder layers, and quality collapses."


def render_tables(records: Sequence[Record], fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view of counted records as text: one comparison for each (tokens, span), one row for each allocation."""
    return render(page(records), fmt, width, colour)


def page(records: Sequence[Record]) -> Page:
    """Return the view before it is printed."""
    data: Mapping[str, Any] = {"records": [record.to_json() for record in records]}
    return Page(tuple(_blocks(records)), data, tidy_rows(records))


def _blocks(records: Sequence[Record]) -> Iterator[Text | Table]:
    yield Text("spanbench tables · the documents' comparisons, counted", "title")
    yield Text(INTRODUCTION)
    footnotes = Footnotes()
    comparisons: dict[tuple[int, int], list[Reading]] = {}
    for reading in map(Reading, records):
        comparisons.setdefault((reading.size("tokens"), reading.size("span")), []).append(reading)
    for readings in comparisons.values():
        yield Table(COLUMNS, tuple(mixing_rows(readings[0])), _title(readings[0]), frozenset({0, 4}))
        yield _whole_models(readings, footnotes)
        yield from _dense(readings[0])
    allocations = {record.point["allocation"] for record in records}
    bound = [LOWER_BOUND] if "mixer-only" in allocations else []
    yield from notes(Reading(records[0]), footnotes.lines() + bound) if records else ()


def _title(reading: Reading) -> str:
    token, latent = mixed(reading).cells
    windows = reading.windows
    return (
        f"{attention_size(token)} against {attention_size(latent)}: {windows.tokens:,} tokens, span {windows.span:,}, "
        f"preset {reading.record.point['preset']}"
    )


def _whole_models(readings: Sequence[Reading], footnotes: Footnotes) -> Table:
    """Return one row an allocation: its parts as layers@width, then the ratios of FLOPs and of cells in each regime."""
    regimes = readings[0].regimes
    wanted = [(quantity, regime) for quantity in _RATIOS for regime in regimes]
    rows = [_allocation_row(reading, wanted, footnotes) for reading in readings]
    names = [f"{_RATIOS[quantity]}\n{regime}" for quantity, regime in wanted]
    return Table(("whole model\nallocation", "encoder /\nmixer / decoder", *names), tuple(rows), left=frozenset({0, 1}))


_RATIOS = {"flops": "FLOP", "cells_dense": "cells"}


def _allocation_row(reading: Reading, wanted: Sequence[tuple[str, str]], footnotes: Footnotes) -> Row:
    cells = [footnotes.cell(reading.measure("pair", regime, f"ratio:{quantity}")) for quantity, regime in wanted]
    return Row((str(reading.record.point["allocation"]), _parts(reading), *cells))


def _parts(reading: Reading) -> str:
    return " / ".join(_part(reading, part) for part in ("encoder", "mixer", "decoder"))


def _part(reading: Reading, part: str) -> str:
    shape = cast(Mapping[str, Any], reading.record.point["shape"])
    layers = int(shape[part]["layers"])
    return f"{layers}@{shape[part]['width']}" if layers else "0"


def _dense(reading: Reading) -> Iterator[Text]:
    """Yield what the ratios divide: the token arm's own FLOPs, every digit."""
    found = [(regime, reading.number("token", regime, "flops")) for regime in reading.regimes]
    parts = [f"{value:,} FLOP in {regime}" for regime, value in found if value is not None]
    if parts:
        yield Text(f"The token arm: {', '.join(parts)}.")
