"""`store verify`, `gc`, `export` and `import`: what is wrong with a store, what was freed, what was copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spanbench.show.blocks import Row, Table, Text
from spanbench.show.generate import visible
from spanbench.show.store.rendering import renders, sized
from spanbench.units import short

__all__ = ["render_copied", "render_freed", "render_verify"]

MOST = 40
"""Findings that are told one by one."""


def _verify(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"spanbench store verify · {visible(document['store'])}", "title")
    size = short("peak_bytes", document["raw_bytes"])
    yield Text(f"{document['records']:,} records in {document['shards']:,} shards are what was written ({size}).")
    for one in document["findings"][:MOST]:
        lost = f" ({one['lost']:,} records lost)" if one["lost"] else ""
        done = "repaired" if one["repaired"] else "wrong" if one["harm"] else "left over"
        yield Text(f"{done}: {one['where']}: {one['what']}{lost}", hang=2)
    if len(document["findings"]) > MOST:
        yield Text(f"and {len(document['findings']) - MOST:,} more; --format json lists all")
    if not document["findings"]:
        yield Text("Index and shards agree both ways.")


def _freed(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"spanbench store gc · {visible(document['store'])}", "title")
    rows = [
        Row(("records evicted", f"{document['evicted']:,}", "")),
        Row(("files left over", f"{document['leftovers']:,}", "")),
        Row(("shards before, after", f"{document['shards_before']:,}", f"{document['shards_after']:,}")),
        Row(("bytes before, after", sized(document["bytes_before"]), sized(document["bytes_after"]))),
    ]
    yield Table(("what", "number", "after"), tuple(rows))
    for name, missing in document["incomplete"].items():
        yield Text(
            f"{visible(name)} has no latent of {missing:,} spans any more; spanbench store edit --restore encodes them again.", hang=2
        )
    if document["limit"] and document["bytes_after"] > document["limit"]:
        yield Text(f"Over the limit of {document['limit']:,} bytes, by {document['bytes_after'] - document['limit']:,}.", "note", hang=2)
    if document["damaged"]:
        yield Text(f"{document['damaged']:,} shards are not whole and were left as they are; spanbench store verify tells more.", "note")


def _copied(document: Mapping[str, Any]) -> Iterator[Text | Table]:
    yield Text(f"{document['records']:,} records of {visible(document['source'])} are new in {visible(document['target'])}.")
    if document["documents"]:
        yield Text(f"New documents: {', '.join(map(visible, document['documents']))}.", hang=2)
    for name in document["differing"]:
        yield Text(f"{visible(name)} was not copied: {visible(document['target'])} has other content of this name.", "note", hang=2)


render_verify = renders(_verify, "findings")
render_freed = renders(_freed)
render_copied = renders(_copied)
