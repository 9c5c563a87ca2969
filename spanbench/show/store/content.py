"""`store list`: what a store holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spanbench.show.blocks import Row, Table, Text
from spanbench.show.generate import visible
from spanbench.show.store.rendering import renders, sized
from spanbench.units import short

__all__ = ["render_list"]


def _list(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    held = document["documents"]
    yield Text(f"spanbench store list · {visible(document['store'])}", "title")
    rows = [_document(one) for one in held]
    if rows:
        yield Table(("document", "tokens", "spans", "open", "missing", "dtype", "state"), tuple(rows), left=frozenset({0, 5, 6}))
    else:
        yield Text("No document; spanbench store add adds one.")
    kinds = [
        Row((one["kind"], one["fingerprint"][:12], f"{one['span']:,}", one["dtype"], f"{one['records']:,}", sized(one["raw_bytes"])))
        for one in document["spaces"]
    ]
    yield Table(("records", "made by", "span", "dtype", "number", "bytes"), tuple(kinds), left=frozenset({0, 1, 3}))
    raw, disk = document["raw_bytes"], document["disk_bytes"]
    over = f", {100 * (disk / raw - 1):.1f}% over the tensors" if raw else ""
    yield Text(f"{short('peak_bytes', disk)} on disk{over}.")
    if any(one["missing"] for one in held):
        yield Text("Missing spans were evicted; spanbench store edit --restore encodes them again.", "note", hang=2)


def _document(one: Mapping[str, Any]) -> Row:
    numbers = (f"{one[name]:,}" for name in ("tokens", "spans", "open", "missing"))
    return Row((visible(one["document"]), *numbers, one["dtype"], "yes" if one["state"] else "no"))


render_list = renders(_list, "documents")
