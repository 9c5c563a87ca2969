"""`store add`, `edit` and `refine`: what a document's change cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spanbench.show.blocks import Row, Table, Text
from spanbench.show.generate import visible
from spanbench.show.store.rendering import flops, renders

__all__ = ["render_edit", "render_refine"]

_SPANS = {
    "spans": "complete spans",
    "kept": "stand where they stood",
    "found": "found by content",
    "encoded": "encoded now",
    "dropped": "of the old text, no more in it",
}


def _edit(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    name = visible(document["document"])
    yield Text(f"spanbench store {document['operation']} · {name} in {visible(document['store'])}", "title")
    yield Text(
        f"{document['tokens']:,} tokens: {document['spans']:,} spans of {document['point']['span']:,}, and {document['open']:,} open."
    )
    rows = [Row((text, f"{document[key]:,}")) for key, text in _SPANS.items()]
    rows += [
        Row(("mixer rows from the first change on", f"{document['behind']:,}")),
        Row(("mixer rows computed now", f"{document['mixed']:,}")),
    ]
    yield Table(("what", "number"), tuple(rows))
    spent = (
        ("encoder", document["flops_encoder"]),
        ("encoder, all spans anew", document["flops_encoder_anew"]),
        ("mixer", document["flops_mixer"]),
    )
    yield Table(("FLOPs, dense convention", "counted"), tuple(Row((text, flops(value))) for text, value in spent))
    yield from _narrowed(document)
    if not document["state"]:
        yield Text("No mixer state is kept (--state keeps it): whoever opens the document mixes all of its rows.", "note", hang=2)


def _narrowed(document: Mapping[str, Any]) -> Iterator[Text]:
    lost = document["narrowed"]
    if lost["values"] and lost["max_abs"]:
        relative = "unknown" if lost["relative"] is None else f"{lost['relative']:.2e}"
        yield Text(
            f"Kept as {document['dtype']}, narrower than the model's {document['point']['dtype']}: reconstruction error at most "
            f"{lost['max_abs']:.2e}, relative root mean square {relative}.", "note", hang=2,
        )  # fmt: skip


def _refine(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"spanbench store refine · {visible(document['document'])} in {visible(document['store'])}", "title")
    yield Text(
        f"{document['spans']:,} spans mixed {document['passes'] + 1:,} times, each time over what came out before: "
        f"{document['rows']:,} mixer rows, {document['mixed']:,} of them computed now."
    )
    spent = (("mixer", document["flops_mixer"]), ("mixer, all rows anew", document["flops_mixer_anew"]))
    yield Table(("FLOPs, dense convention", "counted"), tuple(Row((text, flops(value))) for text, value in spent))
    yield Text(
        f"spanbench store query goes on from pass {document['passes']:,} (--passes 0: from the first); what is read behind the document is "
        "mixed once. A change of the document forgets its passes; refining it again computes only rows behind the change.",
        "note", hang=2,
    )  # fmt: skip


render_edit = renders(_edit)
render_refine = renders(_refine)
