"""What a change or a question cost, as plain JSON values: what was done, counted in FLOPs by the formulas of `reuse`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer

from spanbench.show.generate import visible

if TYPE_CHECKING:
    from spanbench.point import Point
    from spanbench.store.document import Edited, Library

__all__ = ["note_missing", "told_of_edit", "told_of_query"]


def told_of_edit(store: str, document: str, operation: str, done: Edited, point: Point, library: Library) -> dict[str, Any]:
    """Return what an edit cost; FLOPs are those of the dense convention."""
    from spanbench.count.reuse.extension import encoding, mixing

    counts = {name: value for name, value in asdict(done).items() if name != "narrowed"}
    encoder = encoding(point, done.encoded).flops("dense")
    mixer = mixing(point, done.spans - done.mixed, done.spans).flops("dense") if done.mixed else 0
    whole = encoding(point, done.spans).flops("dense")
    return {
        "store": store,
        "document": document,
        "operation": operation,
        "tokens": done.spans * point.span + done.open,
        **counts,
        "state": library.state,
        "flops_encoder": encoder,
        "flops_mixer": mixer,
        "flops_encoder_anew": whole,
        "dtype": library.dtype,
        "narrowed": done.narrowed.to_json(),
        "point": point.to_json(),
    }


def note_missing(store: str, missing: Mapping[str, int]) -> None:
    """Say on standard error which documents a limit has cost latents, and how each gets them back."""
    for name, spans in missing.items():
        again = f"spanbench store edit {quote(store)} {quote(name)} --restore"
        typer.echo(visible(f"{name}: the limit has evicted {spans:,} of its spans; {again} encodes them again."), err=True)


def told_of_query(
    store: str, document: str, tokens: int, read: int, point: Point, library: Library, use: str, said: list[int], text: str
) -> dict[str, Any]:
    """Return what a question cost: opening the document, reading the question, saying the answer, and reading all without a store.

    Spans and rows are those of question and answer; the answer's last token is said, and not read.
    """
    from spanbench.count.distinct import Distinct
    from spanbench.count.formula import closed_form
    from spanbench.count.reuse.extension import extension

    def prefill(length: int) -> dict[str, int]:
        whole = replace(point, tokens=length, regimes=("prefill",))
        stages = closed_form(whole, "prefill", Distinct(0, 0, {"prefill": 0}))["latent"]
        return {stage: tally.flops("dense") for stage, tally in stages.items()}

    def extended(before: int, more: int) -> int:
        return extension(point, before, more)["latent"]["total"].flops("dense")

    spans, stages = tokens // point.span, prefill(tokens)
    spared = stages["encoder"] + (stages["mixer"] if use == "state" else 0)
    behind = tokens + read
    closed = (behind + max(0, len(said) - 1)) // point.span
    return {
        "store": store,
        "document": document,
        "use": use,
        "tokens": tokens,
        "query_tokens": read,
        "spans_found": spans,
        "spans_encoded": closed - spans,
        "rows_found": spans if use == "state" else 0,
        "rows_mixed": closed - (spans if use == "state" else 0),
        "flops_open": stages["total"] - spared,
        "flops_read": extended(tokens, read),
        "flops_say": sum(extended(behind + step, 1) for step in range(len(said) - 1)),
        "flops_anew": prefill(behind)["total"],
        "ids": said,
        "text": text,
        "dtype": library.dtype,
        "point": point.to_json(),
    }
