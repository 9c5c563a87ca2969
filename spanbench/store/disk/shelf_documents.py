"""What a change writes and takes away of documents: the one in the index, and its file."""

from __future__ import annotations

from spanbench.store.disk.entry import Document
from spanbench.store.disk.faults import StaleDocument
from spanbench.store.disk.paper import manifest_text, write_paper
from spanbench.store.disk.shelf_changing import ShelfChanging

__all__ = ["ShelfDocuments"]


class ShelfDocuments(ShelfChanging):
    """Documents in the index and their files beside it."""

    def check_document(self, name: str, expected: Document | None) -> None:
        """Refuse to go on where a document is not what a change was made from.

        Raises:
            StaleDocument: it is another, is gone, or (None expected) is there.
        """
        held = self.index.document(name)
        if expected is None and held is not None:
            raise StaleDocument(f"document {name!r}: is there already; edit it, or remove it first")
        if expected is not None and (held is None or not _same(held, expected)):
            what = "removed" if held is None else "changed"
            raise StaleDocument(f"document {name!r}: another process {what} it meanwhile; nothing of this change was kept, try again")

    def write_document(self, document: Document) -> None:
        """Write a document's file, then the document into the index; the file of what was there goes after the commit."""
        before = self.index.papers().get(document.name)
        file, size = write_paper(self.folder, document, self.now)
        self._made.append(file)
        self.index.write_document(document, file, size)
        if before is not None:
            self.let_go(before[0])

    def remove_document(self, name: str) -> bool:
        """Take a document away, its file after the commit; whether there was one."""
        before = self.index.papers().get(name)
        if before is not None:
            self.let_go(before[0])
        return self.index.remove_document(name)


def _same(one: Document, other: Document) -> bool:
    return (manifest_text(one), one.ids) == (manifest_text(other), other.ids)
