"""The store: records by key, documents by name, in one folder that several processes may use at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from spanbench.errors import UsageError, suggest
from spanbench.store.disk.audit import audit
from spanbench.store.disk.entry import Document, JsonValue
from spanbench.store.disk.evict import Freed, collect, tidy
from spanbench.store.disk.faults import CorruptStore, NoStore, StoreBusy, StoreFull
from spanbench.store.disk.finding import Audit
from spanbench.store.disk.folder import open_index
from spanbench.store.disk.shelf import Shelf
from spanbench.store.disk.stats import Stats, stats_of
from spanbench.store.disk.store_records import StoreRecords
from spanbench.store.disk.transfer import Copied, copy

__all__ = ["Store"]


class Store(StoreRecords):
    """An open store; use it as a context manager. Not for several threads: each opens its own."""

    @classmethod
    def open(cls, folder: Path, *, create: bool = False, read_only: bool = False, limit_bytes: int | None = None) -> Store:
        """Open the store in a folder; `create` makes one in a new or empty folder.

        Past `limit_bytes` (of all files) a put evicts the least recently used records. The first put notes it in the store,
        where it holds for every process until another is given.

        Raises:
            NoStore: no such folder, a file, a folder of something else, or no permission.
            NewerStore: a newer version wrote it.
            CorruptStore: its index is missing or damaged; `audit_folder` repairs it.
        """
        return cls(Shelf(folder, open_index(folder, create=create, read_only=read_only)), limit_bytes)

    def close(self) -> None:
        """Write down what was used, pack a small store that grew, and close all files."""
        with suppress(StoreBusy, StoreFull, NoStore, CorruptStore):  # only the order of eviction is lost with it
            self._lookup.write_marks()
            if self._grew:
                tidy(self._shelf)
        self._shelf.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ---- documents --------------------------------------------------------------------------------------------------

    def write_document(
        self, name: str, manifest: Mapping[str, JsonValue], ids: bytes = b"", *, expected: Document | Literal["any"] | None = "any"
    ) -> None:
        """Write a document, over one of the same name, in a commit of its own.

        Raises:
            StaleDocument: the store does not hold what is `expected` (None: no document of this name); nothing was written.
        """
        self.commit({}, [Document(name, manifest, ids)], expected=None if expected == "any" else {name: expected})

    def document(self, name: str) -> Document:
        """Return a document.

        Raises:
            UsageError: there is none of this name.
        """
        with self._shelf.index.reading():
            found = self._shelf.index.document(name)
        if found is None:
            raise self._unknown(name)
        return found

    def documents(self) -> list[str]:
        """Return the documents' names, sorted."""
        with self._shelf.index.reading():
            return self._shelf.index.documents()

    def remove_document(self, name: str) -> None:
        """Take a document away; the records of its spans stay until they are evicted, since others may share them.

        Raises:
            UsageError: there is none of this name.
        """
        with self._shelf.changing():
            known = self._shelf.remove_document(name)
        if not known:
            raise self._unknown(name)

    def _unknown(self, name: str) -> UsageError:
        names = self.documents()
        hint = suggest(name, names) if names else "; it has none, spanbench store add adds one"
        return UsageError(f"{str(self._shelf.folder)!r} has no document {name!r}{hint}")

    # ---- care -------------------------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """Return what the store holds, in bytes."""
        with self._shelf.index.reading():
            return stats_of(self._shelf)

    def verify(self, *, repair: bool = False) -> Audit:
        """Check every shard and record, and index against shards both ways; with `repair`, put right what can be."""
        return audit(self._shelf, repair=repair)

    def gc(self, limit_bytes: int | None = None) -> Freed:
        """Evict the least recently used records down to a limit (default: the store's own, if any), and pack what is left."""
        self._lookup.write_marks()
        return collect(self._shelf, self.limit if limit_bytes is None else limit_bytes)

    def export(self, target: Path, documents: Sequence[str] | None = None) -> Copied:
        """Copy all records and some documents (None: all) into another store, which is made where there is none.

        Raises:
            SpaceMismatch: the other holds records of another encoder, span or dtype; nothing was copied.
        """
        with Store.open(target, create=True) as other:
            return copy(self._shelf, other, documents)

    def import_(self, source: Path) -> Copied:
        """Take over all records and documents of another store that are not here.

        Raises:
            SpaceMismatch: the other holds records of another encoder, span or dtype; nothing was taken.
        """
        with Store.open(source) as other:
            return copy(other._shelf, self, None)  # of the same class
