"""`compare`: the documents' table, the whole model, the documents' scale, and what it comes to, on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spanbench.record import Record
from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.closing import closing
from spanbench.show.documents import documents_table
from spanbench.show.formats import render
from spanbench.show.heading import heading, notes
from spanbench.show.reading import Footnotes, Reading, tidy_rows
from spanbench.show.speaking import speaking_table
from spanbench.show.stages import stages_table
from spanbench.show.whole import COMPARED, whole_table

__all__ = ["Compared", "page", "render_compare"]

BESIDE = 2
"""Regimes side by side: what 80 columns hold."""

PAIRED = "In table 2 a ratio of times is the median over paired blocks, not the quotient of the two medians."
NOT_TIMED = "Counted only: nothing was timed in this run."


@dataclass(frozen=True, slots=True)
class Compared:
    """What `compare` shows: the run's record, and counts of two other points where they were made.

    `reference` is the `document` preset at the same tokens and span, `doubled` the same point at twice the tokens.
    """

    record: Record
    reference: Record | None = None
    doubled: Record | None = None
    unreferenced: str | None = None
    """Why there is no reference, where one was to be expected."""


def render_compare(compared: Compared, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    return render(page(compared), fmt, width, colour)


def page(compared: Compared) -> Page:
    """Return the view before it is printed."""
    others = [record for record in (compared.reference, compared.doubled) if record]
    return Page(tuple(_blocks(compared)), _data(compared), tidy_rows([compared.record, *others]))


def _blocks(compared: Compared) -> Iterator[Text | Table]:
    reading, footnotes = Reading(compared.record), Footnotes()
    yield from heading(reading, "spanbench compare")
    yield documents_table(reading, compared.doubled, footnotes)
    for begin in range(0, len(reading.regimes), BESIDE):
        title = f"2 · The whole model{_batch(reading)}" if begin == 0 else ""
        yield whole_table(reading, reading.regimes[begin : begin + BESIDE], COMPARED, footnotes, title)
    number = 3
    for table in (speaking_table, stages_table):
        found = table(reading, footnotes, number)
        if found:
            number += 1
            yield found
    if compared.reference:
        yield _reference_table(Reading(compared.reference), footnotes, number)
    yield Text(closing(reading))
    timed = any(m.quantity == "seconds" for m in compared.record.measures)
    spare = [PAIRED] if timed else [NOT_TIMED]
    yield from notes(reading, [*_exact(reading), *footnotes.lines(), *spare, *([compared.unreferenced] if compared.unreferenced else [])])


def _exact(reading: Reading) -> Iterator[str]:
    """Say the totals to the last digit, whatever the tables had room for."""
    totals = [(regime, reading.number("token", regime, "flops"), reading.number("latent", regime, "flops")) for regime in reading.regimes]
    named = [f"{regime} {token:,} against {latent:,}" for regime, token, latent in totals if token is not None and latent is not None]
    if named:
        yield f"Exact FLOP: {'; '.join(named)}."


def _batch(reading: Reading) -> str:
    batch = reading.size("batch")
    return f", all {batch:,} prompts together" if batch > 1 else ""


def _reference_table(reading: Reading, footnotes: Footnotes, number: int) -> Table:
    """Return the counted ratios at the documents' scale: FLOPs and cells of each regime."""
    named = [(f"{label}, {regime}", regime, quantity) for quantity, label in _REFERENCE_ROWS for regime in reading.regimes]
    rows = [
        Row((label, *(footnotes.cell(reading.measure(arm, regime, prefix + quantity)) for arm, prefix in _TRIO), "counted"))
        for label, regime, quantity in named
    ]
    point = reading.record.point
    title = f"{number} · At the documents' scale (preset {point['preset']}, {point['allocation']}; counted, not run{_prompts(reading)})"
    return Table(("", "token", "latent", "ratio", "source"), tuple(rows), title, frozenset({0, 4}))


def _prompts(reading: Reading) -> str:
    batch = reading.size("batch")
    return f", {batch:,} prompts" if batch > 1 else ""


_REFERENCE_ROWS = (("flops", "FLOP"), ("cells_dense", "attention cells"))
_TRIO = (("token", ""), ("latent", ""), ("pair", "ratio:"))


def _data(compared: Compared) -> Mapping[str, Any]:
    return {**compared.record.to_json(), "document_scale": _counts(compared.reference), "doubled": _counts(compared.doubled)}


def _counts(record: Record | None) -> Mapping[str, Any] | None:
    """Return a counted record without what only a run has."""
    if record is None:
        return None
    plain = record.to_json()
    return {name: plain[name] for name in ("schema", "id", "point", "convention", "measures")}
