"""What the index holds of documents: each whole, and the name and size of its file."""

from __future__ import annotations

import json

from spanbench.store.disk.entry import Document
from spanbench.store.disk.faults import CorruptStore
from spanbench.store.disk.index_file import IndexFile
from spanbench.store.disk.paper import checksum_of, manifest_text

__all__ = ["IndexedDocuments"]


class IndexedDocuments(IndexFile):
    """The table of documents."""

    def write_document(self, document: Document, file: str, size: int) -> None:
        """Write a document, over one of the same name; its file has this name and size."""
        text = manifest_text(document)
        values = (document.name, text, document.ids, checksum_of(document.name, text, document.ids), file, size)
        self._db.execute("INSERT OR REPLACE INTO documents VALUES(?,?,?,?,?,?)", values)

    def document(self, name: str) -> Document | None:
        """Return a document.

        Raises:
            CorruptStore: it is not what was written.
        """
        if not _encodes(name):
            return None
        row = self._db.execute("SELECT manifest, ids, crc FROM documents WHERE name=?", (name,)).fetchone()
        if row is None:
            return None
        text, ids, crc = row
        if not isinstance(text, str) or not isinstance(ids, bytes) or checksum_of(name, text, ids) != crc:
            raise CorruptStore(
                f"{str(self.path.parent)!r}: document {name!r} is not what was written; spanbench store verify --repair mends it"
            )
        return Document(name, json.loads(text), ids)

    def papers(self) -> dict[str, tuple[str, int]]:
        """Return by each document's name its file's, and that file's bytes."""
        rows = self._db.execute("SELECT name, file, size FROM documents")
        return {str(name): (file if isinstance(file, str) else "", size if type(size) is int else 0) for name, file, size in rows}

    def documents(self) -> list[str]:
        """Return the documents' names, sorted."""
        return [str(row[0]) for row in self._db.execute("SELECT name FROM documents ORDER BY name")]

    def remove_document(self, name: str) -> bool:
        """Take a document away; whether there was one."""
        return _encodes(name) and self._db.execute("DELETE FROM documents WHERE name=?", (name,)).rowcount > 0


def _encodes(name: str) -> bool:
    """Whether SQLite can be asked for a name: it takes no lone surrogates, as Python makes of arguments that are no UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
