"""`count`: every counted quantity of a record, exact totals of both arms first, then stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from spanbench.record import Record
from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.show.heading import heading, notes
from spanbench.show.reading import Footnotes, Reading, tidy_rows
from spanbench.show.whole import STAGES, Line, whole_table

__all__ = ["page", "render_count"]

TOTALS: Sequence[Line] = (
    Line("flops"),
    *(Line("flops", stage) for stage in STAGES),
    Line("macs"),
    Line("cells_dense"),
    Line("cells_useful", label="  of them useful"),
    Line("scores_dense", label="attention scores"),
    Line("params"),
    Line("mlp_rows"),
    Line("bytes_compulsory"),
    Line("bytes_fused"),
    Line("state_bytes"),
    Line("flops_other"),
)

ARM_STAGES: Mapping[str, Sequence[str]] = {
    "token": ("embedding", "layers", "head", "total"),
    "latent": ("embedding", "encoder", "mixer", "bridge", "decoder", "head", "total"),
}

BY_STAGE: Mapping[str, str] = {
    "FLOP": "flops",
    "cells": "cells_dense",
    "useful\ncells": "cells_useful",
    "para-\nmeters": "params",
    "MLP\nrows": "mlp_rows",
    "bytes,\ncompuls.": "bytes_compulsory",
    "bytes,\nfused": "bytes_fused",
    "state\nkept": "state_bytes",
}


def render_count(record: Record, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view of one counted record as text in one of `formats.FORMATS`."""
    return render(page(record), fmt, width, colour)


def page(record: Record) -> Page:
    """Return the view before it is printed."""
    return Page(tuple(_blocks(Reading(record))), record.to_json(), tidy_rows([record]))


def _blocks(reading: Reading) -> Iterator[Text | Table]:
    footnotes = Footnotes()
    yield from heading(reading, "spanbench count")
    for regime in reading.regimes:
        yield whole_table(reading, [regime], TOTALS, footnotes, f"{regime}, whole batch")
        yield _by_stage(reading, regime, footnotes)
    yield from notes(reading, [*footnotes.lines(), _STAGES_NOTE])


_STAGES_NOTE = "Stages do not sum to the total in compulsory bytes: each counts the activations at its own boundaries."


def _by_stage(reading: Reading, regime: str, footnotes: Footnotes) -> Table:
    rows: list[Row] = []
    for arm, stages in ARM_STAGES.items():
        rows.append(Row((arm,), group=True))
        rows.extend(_stage_row(reading, arm, regime, stage, footnotes) for stage in stages)
    return Table(("", *BY_STAGE), tuple(rows), f"{regime}, by stage")


def _stage_row(reading: Reading, arm: str, regime: str, stage: str, footnotes: Footnotes) -> Row:
    found = (reading.measure(arm, regime, quantity, stage) for quantity in BY_STAGE.values())
    return Row((stage, *(footnotes.cell(m) for m in found)))
