"""`reuse`: the point that was run, the documents' scale counted below it, one JSON document, one row a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spanbench.judge.reuse import SCHEMA, Reuse, Strategy
from spanbench.show.blocks import Page, Table, Text
from spanbench.show.formats import render
from spanbench.show.reuse.cells import many
from spanbench.show.reuse.documents import choice_table, composition_table, edit_table, memory_table
from spanbench.show.reuse.sources import sourced
from spanbench.show.reuse.strategies import break_table, cost_table, crossover_table, once_table, sum_tables, time_table
from spanbench.show.reuse.tidy import tidy
from spanbench.show.reuse.verdict import sentences
from spanbench.units import short

__all__ = ["Shown", "data", "page", "render_reuse"]

CONVENTIONS = {
    "dense": "all attention cells",
    "useful": "cells that the mask lets through",
    "causal-half": "half the cells of causal squares",
}


MIXED_HALVES = (
    "causal-half halves the squares of what is read anew and not the attention behind kept rows, so strategies are not alike under it: "
    "rank them under dense or useful."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown: the point asked for, the documents' scale beside it (None: it is that), or why it is not there."""

    found: Reuse
    reference: Reuse | None = None
    why: str | None = None


def render_reuse(shown: Shown, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`; as CSV a row for each figure."""
    return render(page(shown), fmt, width, colour)


def data(shown: Shown) -> dict[str, Any]:
    """Return the one JSON document."""
    return {"schema": SCHEMA, "points": [_plain(found) for found in _points(shown)]}


def page(shown: Shown) -> Page:
    """Return the view before it is printed."""
    return Page(tuple(_blocks(shown)), data(shown), [row for found in _points(shown) for row in tidy(found)])


def _points(shown: Shown) -> Sequence[Reuse]:
    return [shown.found, shown.reference] if shown.reference else [shown.found]


def _plain(found: Reuse) -> dict[str, Any]:
    plain = asdict(found)
    for row, one in zip(plain["strategies"], found.strategies, strict=True):
        row["cumulative"] = [_sum(one, count) for count in found.queries]
    for row, crossing in zip(plain["crossovers"], found.crossovers, strict=True):
        row["bytes_per_gigaflop"] = crossing.bytes_per_gigaflop
    plain["verdict"] = list(sentences(found))
    sourced(plain, found)
    return plain


def _sum(one: Strategy, count: int) -> dict[str, Any]:
    ends = one.seconds_range(count) or (None, None)
    return {"queries": count, "flops": one.flops(count), "seconds": one.seconds(count), "seconds_low": ends[0], "seconds_high": ends[1]}


def _blocks(shown: Shown) -> Iterator[Text | Table]:
    yield from _heading(shown.found)
    yield cost_table(shown.found)
    if shown.found.timed:
        yield from (once_table(shown.found), time_table(shown.found))
    yield from sum_tables(shown.found)
    yield from (break_table(shown.found), crossover_table(shown.found), edit_table(shown.found))
    yield from ((composition_table(shown.found),) if shown.found.compositions else ())
    yield from ((choice_table(shown.found),) if any(one.flops_choosing for one in shown.found.choices) else ())
    yield memory_table(shown.found)
    yield from (Text(line, hang=2) for line in sentences(shown.found))
    if shown.reference is not None:
        yield from _reference(shown.reference)
    yield from (Text(line, "note", hang=2) for line in _notes(shown))


def _reference(found: Reuse) -> Iterator[Text | Table]:
    yield from _heading(found)
    yield cost_table(found)
    yield from sum_tables(found)
    yield from (break_table(found), crossover_table(found), edit_table(found))
    yield from ((composition_table(found),) if found.compositions else ())
    yield memory_table(found)
    yield from (Text(line, hang=2) for line in sentences(found))


def _heading(found: Reuse) -> Iterator[Text]:
    point: Mapping[str, Any] = found.point
    how = "counted and run" if found.timed else "counted, not run"
    yield Text(f"spanbench reuse · preset {point['preset']}, allocation {point['allocation']} · {how}", "title")
    spans = point["tokens"] // point["span"]
    complete, read = many(spans, "complete span"), many(found.query_tokens, "token")
    text = (
        f"a document of {many(point['tokens'], 'token')}, {complete} of {point['span']:,}; each query reads {read} behind it and wants one"
    )
    yield Text(f"{text} · {point['device']}, {point['dtype']}")


def _no_choice(found: Reuse) -> Iterator[str]:
    """Say why some latents instead of all are not shown."""
    reason = next((one.reason for one in found.choices if one.flops_u is None), None)
    if reason:
        yield f"Fewer latents instead of all: not counted, for {reason}."


def _notes(shown: Shown) -> Iterator[str]:
    found = shown.found
    yield f"Convention {found.convention}: 2 FLOP a multiply-accumulate, {CONVENTIONS[found.convention]}, look-ups 0."
    if found.convention == "causal-half":
        yield MIXED_HALVES
    yield "Moved: compulsory bytes, each weight once, keys and values read and written, ids and logits. Each query starts behind it."
    yield "The dense arm reads the document as prefill does, one head row in it; u alone is the encoder only."
    yield "Keys and values of documents read apart cannot be put together: positions are their own, and none attended to another."
    yield from _no_choice(found)
    yield "Costs only: weights are random, and nothing here says what an answer is worth."
    if found.rate:
        yield f"FLOP/s of the crossover: {short('flops', found.rate.flops_per_second)}FLOP/s, {found.rate.by}."
    if found.verified:
        yield f"Checked, tolerance 0: {', '.join(found.verified)}."
    yield from found.notes
    yield from ([shown.why] if shown.why else [])
    yield from (note for note in (shown.reference.notes if shown.reference else ()) if note not in found.notes)
