"""`store query`: what a question to a document cost, and the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spanbench.show.blocks import Row, Table, Text
from spanbench.show.generate import visible
from spanbench.show.store.rendering import flops, renders
from spanbench.units import ratio_text

__all__ = ["render_query"]


def _query(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"spanbench store query · {visible(document['document'])} in {visible(document['store'])}", "title")
    yield Text(
        f"{document['query_tokens']:,} tokens behind {document['tokens']:,}: {document['spans_found']:,} spans found, "
        f"{document['spans_encoded']:,} encoded; {document['rows_found']:,} mixer rows found, {document['rows_mixed']:,} computed."
    )
    warm = document["flops_open"] + document["flops_read"]
    rows = [
        Row(("open the document", flops(document["flops_open"]))),
        Row(("read the question", flops(document["flops_read"]))),
        Row((f"say {len(document['ids']):,} tokens", flops(document["flops_say"]))),
        Row(("open and read together", flops(warm))),
        Row(("read both without a store", flops(document["flops_anew"]))),
        Row(("without ÷ with", ratio_text(document["flops_anew"] / warm))),
    ]
    yield Table(("FLOPs, dense convention", "counted"), tuple(rows))
    if document["use"] == "u":
        yield Text("Only latents are kept of this document: all of its mixer rows were computed again.", "note", hang=2)
    if document["passes"]:
        yield Text(
            f"The document's mixer rows are those of extra pass {document['passes']:,}, as --refine made them; reading both without "
            "a store is counted with one pass.", "note", hang=2,
        )  # fmt: skip
    yield Text("The answer:")
    yield Text(visible(document["text"]))


render_query = renders(_query)
