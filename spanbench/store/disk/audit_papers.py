"""`verify` of documents: what the index holds against its checksum, and against the file that holds the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spanbench.store.disk.entry import Document
from spanbench.store.disk.faults import CorruptStore
from spanbench.store.disk.finding import Finding
from spanbench.store.disk.folder import paper_names
from spanbench.store.disk.index_file import INDEX
from spanbench.store.disk.paper import Paper, read_paper
from spanbench.store.disk.shelf import Shelf

__all__ = ["audit_papers", "newest"]


@dataclass(frozen=True, slots=True)
class _Row:
    """A document as the index has it: None where that is not what was written; its file's name and size."""

    name: str
    document: Document | None
    file: str
    size: int


def audit_papers(shelf: Shelf, *, repair: bool) -> Iterator[Finding]:
    """Tell of each document whose two copies are not both whole; with `repair` the whole one makes good the other.

    A document of which neither is whole is taken out, and told of by its name.
    """
    with shelf.index.told():
        rows = [row for name, held in shelf.index.papers().items() if (row := _row(shelf, name, *held)) is not None]
    spare = _spare(shelf, rows)
    for row in rows:
        paper = read_paper(shelf.folder / row.file) if row.file else None
        if row.document is None:
            yield _damaged(shelf, row, paper or spare.get(row.name), repair=repair)
        elif not (paper is not None and paper.document == row.document and paper.size == row.size):
            if not repair and not _still_there(shelf, row):
                continue  # another process changed it meanwhile
            if repair:
                shelf.write_document(row.document)
            yield Finding(row.file or INDEX, f"is not the copy of document {row.name!r}, which the index holds whole", repaired=repair)
    yield from _unnamed(shelf, repair=repair)


def _row(shelf: Shelf, name: str, file: str, size: int) -> _Row | None:
    """Return a document as the index has it; None where another process removed it meanwhile."""
    try:
        document = shelf.index.document(name)
    except CorruptStore:
        return _Row(name, None, file, size)
    return None if document is None else _Row(name, document, file, size)


def _still_there(shelf: Shelf, row: _Row) -> bool:
    with shelf.index.told():
        return shelf.index.papers().get(row.name) == (row.file, row.size)


def _spare(shelf: Shelf, rows: list[_Row]) -> dict[str, Paper]:
    """Return whole files by the name of their document, where a document of the index is damaged; else nothing needs them."""
    return newest(shelf) if any(row.document is None for row in rows) else {}


def newest(shelf: Shelf) -> dict[str, Paper]:
    """Return every document of which a file is whole, by its name; the newest where there are several."""
    found: dict[str, Paper] = {}
    for name in paper_names(shelf.folder):
        paper = read_paper(shelf.folder / name)
        if paper is not None and (paper.document.name not in found or found[paper.document.name].written < paper.written):
            found[paper.document.name] = paper
    return found


def _damaged(shelf: Shelf, row: _Row, paper: Paper | None, *, repair: bool) -> Finding:
    what = f"document {row.name!r} is not what was written"
    if repair:
        shelf.remove_document(row.name)
        if paper is not None:
            shelf.write_document(paper.document)
    told = f"{what}; its file holds it whole, as {paper.document.name!r}" if paper is not None else f"{what}, nor is its file: it is lost"
    return Finding(INDEX, told, repaired=repair)


def _unnamed(shelf: Shelf, *, repair: bool) -> Iterator[Finding]:
    with shelf.index.told():
        named = shelf.named()
    for name in paper_names(shelf.folder):
        if name in named or name in shelf.gone:
            continue
        ours = read_paper(shelf.folder / name) is not None
        if ours and repair:
            shelf.let_go(name)
        what = "is of a document that was changed or removed since, or is being written" if ours else "is no file of this store's documents"
        yield Finding(name, what, harm=False, repaired=ours and repair)
