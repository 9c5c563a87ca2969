"""`presets`: what the named sizes come to, in parameters, FLOPs and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spanbench.show.blocks import Cell, Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.units import full, ratio_text, short

__all__ = ["PresetList", "PresetRow", "page", "render_presets"]


@dataclass(frozen=True, slots=True)
class PresetRow:
    """One preset under one allocation. FLOPs are those of score; `memory_bytes` is what running both arms would need.

    `refused` says why an allocation cannot be built for this span (the figures are then None).
    """

    preset: str
    allocation: str
    layers: int
    width: int
    mlp: int
    vocab: int
    params_token: int | None = None
    params_latent: int | None = None
    flops_token: int | None = None
    flops_latent: int | None = None
    memory_bytes: int | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class PresetList:
    """All rows, for which prompt and precision they hold, and the memory that is free here (None: unknown)."""

    tokens: int
    span: int
    dtype: str
    rows: Sequence[PresetRow]
    available_bytes: int | None = None


def render_presets(listed: PresetList, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    return render(page(listed), fmt, width, colour)


def page(listed: PresetList) -> Page:
    """Return the view before it is printed."""
    rows: Sequence[Mapping[str, Any]] = [{**asdict(row), "fits": _fits(row, listed)} for row in listed.rows]
    data = {"tokens": listed.tokens, "span": listed.span, "dtype": listed.dtype, "available_bytes": listed.available_bytes}
    return Page(tuple(_blocks(listed)), {**data, "presets": rows}, rows)


def _blocks(listed: PresetList) -> Iterator[Text | Table]:
    yield Text(f"spanbench presets · {listed.tokens:,} tokens in spans of {listed.span:,}, {listed.dtype}, batch 1", "title")
    names = dict.fromkeys(row.preset for row in listed.rows)
    rows = [line for name in names for line in _preset([row for row in listed.rows if row.preset == name], listed)]
    columns = ("", "params\ntoken", "latent", "FLOP, score\ntoken", "latent", "ratio", "memory\nboth", "runs\nhere")
    yield Table(columns, tuple(rows), left=frozenset({0, 7}))
    refusals = dict.fromkeys(f"{row.allocation}: {row.refused}" for row in listed.rows if row.refused)
    yield from (Text(line, "note", hang=2) for line in (*refusals, *_notes(listed)))


def _preset(rows: Sequence[PresetRow], listed: PresetList) -> Iterator[Row]:
    first = rows[0]
    sizes = f"{first.layers} layers, width {first.width:,}, MLP {first.mlp:,}, vocabulary {first.vocab:,}"
    yield Row((f"{first.preset} · {sizes}",), group=True)
    for row in rows:
        yield Row((f"  {row.allocation}", *_figures(row), _ratio(row), _cell("peak_bytes", row.memory_bytes), _runs(row, listed)))


def _figures(row: PresetRow) -> list[str | Cell]:
    named = (("params", row.params_token), ("params", row.params_latent), ("flops", row.flops_token), ("flops", row.flops_latent))
    return [_cell(name, value) for name, value in named]


def _cell(name: str, value: int | None) -> str | Cell:
    return "–" if value is None else Cell(short(name, value), full(name, value))


def _ratio(row: PresetRow) -> str:
    return ratio_text(row.flops_token / row.flops_latent) if row.flops_token and row.flops_latent else "–"


def _fits(row: PresetRow, listed: PresetList) -> bool | None:
    if row.memory_bytes is None or listed.available_bytes is None:
        return None
    return row.memory_bytes <= listed.available_bytes


def _runs(row: PresetRow, listed: PresetList) -> str:
    if row.refused:
        return "no"
    return {True: "yes", False: "count only", None: "–"}[_fits(row, listed)]


def _notes(listed: PresetList) -> Iterator[str]:
    yield "FLOPs: 2 a multiply-accumulate, all attention cells. Memory: an estimate for running both arms."
    if listed.available_bytes is not None:
        yield f"Memory free here: {short('peak_bytes', listed.available_bytes)}. A preset that does not fit is counted and not run."
