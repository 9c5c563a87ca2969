"""`spanbench store list`, `verify` and `gc`: what needs no model, and no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import put
from spanbench.cli.store.options import Doc, Folder, Limit
from spanbench.errors import SpanbenchError
from spanbench.show.store import render_freed, render_list, render_verify

if TYPE_CHECKING:
    from spanbench.store.disk import Document, Space, Store

__all__ = ["DamagedStore", "gc", "listing", "remove", "verify"]

NOTED = frozenset({"encoder", "span", "dtype", "ids", "tokens", "spans", "open", "mixer"})
"""What a document's manifest has at least."""

Repair = Annotated[bool, typer.Option("--repair", help="Put right what can be; no whole record is lost by it")]


class UnknownDocument(SpanbenchError):
    """A document's manifest is not one that the store's commands write."""

    exit_code: ClassVar[int] = 3


class DamagedStore(SpanbenchError):
    """`verify` found something wrong, and was not asked to repair it."""

    exit_code: ClassVar[int] = 1


def listing(store: Folder, fmt: Format = "table") -> None:
    """List the documents of a store, which of their spans are there, and what its records take on disk."""
    from spanbench.store.disk import Store

    with Store.open(Path(store)) as held:
        stats = held.stats()
        spaces = [
            {
                "kind": one.space.kind, "fingerprint": one.space.fingerprint, "span": one.space.span, "dtype": one.space.dtype,
                "records": one.records, "raw_bytes": one.raw_bytes, "shards": one.shards, "shard_bytes": one.shard_bytes,
            }
            for one in stats.spaces
        ]  # fmt: skip
        documents = [_listed(held, held.document(name)) for name in held.documents()]
        sizes: dict[str, int | None] = {"raw_bytes": stats.raw_bytes, "disk_bytes": stats.disk_bytes, "index_bytes": stats.index_bytes}
        sizes |= {"document_bytes": stats.document_bytes, "limit": held.limit}
        put(render_list, {"store": store, "documents": documents, "spaces": spaces, "records": stats.records, **sizes}, fmt)


def _listed(store: Store, document: Document) -> dict[str, Any]:
    """Return what a document is, and how many of its spans the store has."""
    from spanbench.store.disk import Space
    from spanbench.store.spans import ids_of, span_keys

    plain: dict[str, Any] = dict(document.manifest)
    if not plain.keys() >= NOTED:
        raise UnknownDocument(f"document {document.name!r}: was not written by spanbench store; spanbench store remove forgets it")
    space: Space = Space("u", plain["encoder"], plain["span"], plain["dtype"])
    held = store.has(space, span_keys(ids_of(document.ids, plain["ids"]), plain["span"]))
    return {
        "document": document.name, "tokens": plain["tokens"], "spans": plain["spans"], "open": plain["open"], "missing": held.count(False),
        "dtype": plain["dtype"], "encoder": plain["encoder"], "span": plain["span"], "state": plain["mixer"] is not None,
    }  # fmt: skip


def remove(store: Folder, doc: Doc) -> None:
    """Forget a document; its records stay until they are evicted, for other documents may share them."""
    from spanbench.store.disk import Store

    with Store.open(Path(store)) as held:
        held.remove_document(doc)
    typer.echo(f"removed {doc} from {store}", err=True)


def verify(store: Folder, repair: Repair = False, fmt: Format = "table") -> None:
    """Hold every record against its checksum, and the index against the shards both ways."""
    from spanbench.store.disk import audit_folder

    found = audit_folder(Path(store), repair=repair)
    findings = [
        {"where": one.where, "what": one.what, "harm": one.harm, "lost": one.lost, "repaired": one.repaired} for one in found.findings
    ]
    counts = {"shards": found.shards, "records": found.records, "raw_bytes": found.raw_bytes, "lost": found.lost}
    put(render_verify, {"store": store, **counts, "harmed": found.harmed, "findings": findings}, fmt)
    if found.harmed:
        first = next(one for one in found.findings if one.harm and not one.repaired)
        raise DamagedStore(f"{store!r}: {first.where}: {first.what}; spanbench store verify --repair puts right what can be")


def gc(store: Folder, limit: Limit = None, fmt: Format = "table") -> None:
    """Take away what no record needs, evict what was used longest ago down to a limit, and pack the rest."""
    from spanbench.store.disk import Store

    with Store.open(Path(store)) as held:
        freed = held.gc(limit)
        documents = [_listed(held, held.document(name)) for name in held.documents()]
        incomplete = {one["document"]: one["missing"] for one in documents if one["missing"]}
        counts = {
            "evicted": freed.evicted, "leftovers": freed.leftovers, "bytes_before": freed.bytes_before, "bytes_after": freed.bytes_after,
            "shards_before": freed.shards_before, "shards_after": freed.shards_after, "damaged": freed.damaged,
        }  # fmt: skip
        put(render_freed, {"store": store, "limit": freed.limit, **counts, "incomplete": incomplete}, fmt)
