"""Tables of the document itself: edits, several documents together, some latents instead of all, bytes a token."""

from __future__ import annotations

from spanbench.judge.reuse import Memory, Reuse
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
    """Return a query behind several documents."""
    rows = [
        Row(
            (
                f"{one.documents:,}",
                f"{one.latents:,}",
                f"{one.tokens:,}",
                figure(one.flops_u),
                figure(one.flops_dense),
                ratio(one.flops_dense, one.flops_u),
            )
        )
        for one in found.compositions
    ]
    columns = ("documents", "latents", "tokens", "u, mixed anew\nFLOP", "dense, read anew\nFLOP", "dense ÷ u")
    return Table(columns, tuple(rows), "Counted: one query behind several stored documents")


def choice_table(found: Reuse) -> Table:
    """Return a query that reads some of the stored latents."""
    last = found.choices[-1] if found.choices else None
    rows = [
        Row((
            f"{one.latents:,}", figure(one.flops_u), figure(one.flops_state),
            _saved(one.flops_state + one.flops_choosing, last.flops_state if last else 0),
            figure(one.flops_choosing), MISSING if one.change is None else f"{one.change:.2g}",
        ))
        for one in found.choices
    ]  # fmt: skip
    columns = ("latents\nread", "from u\nFLOP", "u + mixer KV\nFLOP", "of it\nsaved", "to choose\nFLOP", "largest change\nof a logit")
    return Table(columns, tuple(rows), "Sparse activation: the k nearest latents instead of all")


def _saved(value: int, whole: int) -> str:
    return f"{100 * (1 - value / whole):.2f}%" if whole else MISSING


def memory_table(found: Reuse) -> Table:
    """Return bytes a token of each form of memory, and how many times smaller than keys and values of every head it is."""
    largest = found.memory[0].bytes
    rows = [Row((one.name, size(one.bytes), _per_token(one), ratio(largest, one.bytes), size(one.disk_bytes))) for one in found.memory]
    return Table(("kept as", "by count", "a token", "MHA KV ÷ it", "measured\non disk"), tuple(rows), "Bytes of the document in each form")


def _per_token(one: Memory) -> str:
    return MISSING if one.per_token is None else short("bytes_compulsory", one.per_token)
