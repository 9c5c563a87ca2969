"""A store whose index is gone or damaged: a new one is made of what the shards hold, since they carry their keys."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from spanbench.files import sync_folder
from spanbench.store.disk.audit import adopt, audit
from spanbench.store.disk.audit_papers import newest
from spanbench.store.disk.entry import Document
from spanbench.store.disk.faults import CorruptStore, NoStore
from spanbench.store.disk.finding import Audit, Finding
from spanbench.store.disk.folder import open_index, shard_names
from spanbench.store.disk.index import Index
from spanbench.store.disk.index_file import INDEX
from spanbench.store.disk.shelf import Shelf

__all__ = ["audit_folder"]

REBUILT = f"{INDEX}.rebuilt"


def audit_folder(folder: Path, *, repair: bool = False) -> Audit:
    """Check a store as `Store.verify` does, and one whose index is gone or damaged too; `repair` rebuilds that from the shards.

    Documents come from their files, or from the damaged index where that still gives them whole. No other process may use the store
    while its index is rebuilt.

    Raises:
        NoStore, NewerStore: it is no store that this version can read.
    """
    try:
        with closing(Shelf(folder, open_index(folder, create=False, read_only=False))) as shelf:
            faults = shelf.index.faults()
            if not faults:
                return audit(shelf, repair=repair)
            what = f"the index is damaged: {faults[0]}"
    except CorruptStore as error:
        what = str(error)
    return _without_index(folder, what, repair=repair)


def _without_index(folder: Path, what: str, *, repair: bool) -> Audit:
    if not repair:
        return Audit(0, 0, 0, (Finding(INDEX, what),))
    documents = _documents(folder / INDEX)
    _remove(folder / REBUILT)
    kept = _fill(folder, documents)
    # Whatever comes now, the folder has a damaged index, none, or the new one; never the new one with the old one's journal.
    _journal(folder / INDEX).unlink(missing_ok=True)
    (folder / REBUILT).replace(folder / INDEX)
    sync_folder(folder)
    with closing(Shelf(folder, open_index(folder, create=False, read_only=False))) as shelf:
        after = audit(shelf, repair=True)
    told = Finding(INDEX, f"{what}; rebuilt, with {kept:,} documents", repaired=True)
    return Audit(after.shards, after.records, after.raw_bytes, (told, *after.findings))


def _fill(folder: Path, documents: list[Document]) -> int:
    """Make a new index beside the old one; return how many documents it has. Old files stay until it is in its place."""
    index = Index(folder / REBUILT)
    index.create()
    with closing(Shelf(folder, index)) as shelf:
        papers = newest(shelf)
        with shelf.changing():
            index.set_tick(max((paper.written for paper in papers.values()), default=0) + 1)
        for name in shard_names(folder):
            with shelf.changing():
                adopt(shelf, name)
        held = {name: paper.document for name, paper in papers.items()} | {document.name: document for document in documents}
        with shelf.changing():
            for document in held.values():
                shelf.write_document(document)
    _journal(folder / REBUILT).unlink(missing_ok=True)
    return len(held)


def _documents(path: Path) -> list[Document]:
    """Return the documents that a damaged index still gives whole."""
    found: list[Document] = []
    try:
        with closing(Index(path, read_only=True)) as index:
            for name in [] if index.empty else index.documents():
                with suppress(CorruptStore):  # its file may have it
                    found.extend(one for one in [index.document(name)] if one is not None)
    except (sqlite3.Error, CorruptStore, NoStore, ValueError):  # what came before the damage is kept
        pass
    return found


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def _remove(path: Path) -> None:
    for one in (path, _journal(path)):
        one.unlink(missing_ok=True)
