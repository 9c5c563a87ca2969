"""Tables of the document itself: edits, several documents together, some latents instead of all, bytes a token."""

from __future__ import annotations

from spanbench.judge.reuse import Choice, Memory, Reuse
from spanbench.show.blocks import Row, Table
from spanbench.show.reuse.cells import MISSING, figure, ratio, size
from spanbench.units import short

__all__ = ["choice_table", "composition_table", "edit_table", "memory_table"]


def edit_table(found: Reuse) -> Table:
    """Return what each edit recomputes in both arms."""
    columns = (
        "edit",
        "spans\nencoded",
        "found",
        "mixer\nrows",
        "FLOP,\nu",
        "u +\nmixer KV",
        "dense\nKV",
        "dense\nanew",
    )
    rows = [
        Row((
            one.name, f"{one.encoded:,}", f"{one.found:,}", f"{one.mixed:,}",
            *(figure(value).short for value in (one.flops_u, one.flops_state, one.flops_kv, one.flops_anew)),
        ))
        for one in found.edits
    ]  # fmt: skip
    return Table(columns, tuple(rows), "Counted: what an edit recomputes, before anybody asks")


def composition_table(found: Reuse) -> Table:
    """Return a query behind several documents: in an order that is new to both arms, and in one that both keep."""
    rows = [
        Row((
            f"{one.documents:,}", f"{one.latents:,}", f"{one.tokens:,}",
            *(figure(value).short for value in (one.flops_u, one.flops_first)), ratio(one.flops_first, one.flops_u),
            *(figure(value).short for value in (one.flops_state, one.flops_kv, one.flops_dense)),
        ))
        for one in found.compositions
    ]  # fmt: skip
    columns = (
        "docs",
        "latents",
        "tokens",
        "u,\nmixed",
        "dense, 1st\nKV kept",
        "dense\n÷ u",
        "order kept:\nmixer KV",
        "dense\nKV",
        "dense\nanew",
    )
    return Table(columns, tuple(rows), "Counted: FLOP of one query behind several stored documents")


def choice_table(found: Reuse) -> Table:
    """Return a query that reads some of the stored latents."""
    whole = found.choices[-1].flops_state
    rows = [
        Row((
            f"{one.latents:,}", figure(one.flops_u), figure(one.flops_state), _saved(one, whole),
            figure(one.flops_choosing), MISSING if one.change is None else f"{one.change:.2g}",
        ))
        for one in found.choices
    ]  # fmt: skip
    columns = ("latents\nread", "from u\nFLOP", "u + mixer KV\nFLOP", "of it\nsaved", "to choose\nFLOP", "from u: largest\nlogit change")
    return Table(columns, tuple(rows), "Sparse activation: the k nearest latents instead of all")


def _saved(one: Choice, whole: int | None) -> str:
    if one.flops_state is None or one.flops_choosing is None or not whole:
        return MISSING
    return f"{100 * (1 - (one.flops_state + one.flops_choosing) / whole):.2f}%"


def memory_table(found: Reuse) -> Table:
    """Return bytes a token of each form of memory, and how many times smaller than keys and values of every head it is."""
    largest = found.memory[0].bytes
    rows = [Row((one.name, size(one.bytes), _per_token(one), ratio(largest, one.bytes), size(one.disk_bytes))) for one in found.memory]
    return Table(("kept as", "by count", "a token", "MHA KV ÷ it", "measured\non disk"), tuple(rows), "Bytes of the document in each form")


def _per_token(one: Memory) -> str:
    return MISSING if one.per_token is None else short("bytes_compulsory", one.per_token)
