"""The store: records by key, documents by name, in one folder that several processes may use at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar

from spanbench.errors import UsageError, suggest
from spanbench.store.disk.audit import audit
from spanbench.store.disk.entry import KEY_BYTES, Document, Entry, Field, JsonValue, RawTensor, Space
from spanbench.store.disk.evict import Freed, collect, least, tidy
from spanbench.store.disk.faults import CorruptStore, NoStore, SpaceMismatch, StoreBusy, StoreFull
from spanbench.store.disk.finding import Audit
from spanbench.store.disk.folder import open_index
from spanbench.store.disk.index import ShardRow
from spanbench.store.disk.packing import check_name, prepared, runs, tensors
from spanbench.store.disk.shard import Record
from spanbench.store.disk.shelf import Found, Held, Shelf
from spanbench.store.disk.stats import Stats, stats_of
from spanbench.store.disk.transfer import Copied, copy

__all__ = ["Store"]

T = TypeVar("T")

TRIES = 20
"""How often a record is looked for again where another process moved it meanwhile."""
MARKS = 4096
"""Uses that are remembered before they are written down."""
KEPT_SHARE = 0.9
"""What is left of a limit once a put went over it, so that not every put evicts."""


class Store:
    """An open store; use it as a context manager. Not for several threads: each opens its own."""

    def __init__(self, shelf: Shelf, limit_bytes: int | None) -> None:
        self._shelf, self._given = shelf, limit_bytes
        self._used: dict[tuple[int, bytes], int] = {}
        self._grew = False

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
            self._write_marks()
            if self._grew:
                tidy(self._shelf)
        self._shelf.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ---- records ----------------------------------------------------------------------------------------------------

    def put(self, space: Space, entries: Sequence[Entry]) -> int:
        """Store records in one commit, all or nothing, on the disk on return; keys that are there already are skipped.

        Returns:
            How many are new.

        Raises:
            UsageError: entries that cannot be stored, or do not look like the space's.
            StoreFull, StoreBusy, NoStore: nothing was kept.
        """
        return self.commit({space: entries})

    def commit(
        self,
        batches: Mapping[Space, Sequence[Entry]],
        documents: Sequence[Document] = (),
        *,
        expected: Mapping[str, Document | None] | None = None,
        used: Mapping[Space, Sequence[bytes]] | None = None,
    ) -> int:
        """Do what `put` does for several spaces and documents (written over those of the same name) in one commit.

        Args:
            batches: records by their space.
            documents: what to write beside them.
            expected: by name, what the store must hold of a document when the lock is held: as `document` gave it, or None for none.
            used: keys, by their space, that count as used now, whether they were there or came with this commit.

        Returns:
            How many records are new.

        Raises:
            StaleDocument: a document is not as expected; nothing was kept.
            SpaceMismatch: the store holds records of another encoder, span or dtype; nothing was kept.
            UsageError, StoreFull, StoreBusy, NoStore: as for `put`.
        """
        packed = [(space, *prepared(space, entries)) for space, entries in batches.items() if entries]
        self._check_limit(packed)
        for document in documents:
            check_name(document.name)
        new = 0
        with self._shelf.changing():
            for name, before in (expected or {}).items():
                self._shelf.check_document(name, before)
            self._apply_marks()
            for space, fields, records in packed:
                self._check_bound(space)
                number = self._shelf.space_for(space, fields)
                places = self._shelf.find(number, list(records), gone_too=True)
                fresh = [Held(record) for record, place in zip(records.values(), places, strict=True) if place is None]
                self._shelf.add(number, space, fields, fresh)
                new += len(fresh)
            for document in documents:
                self._shelf.write_document(document)
            for space, keys in (used or {}).items():
                self._shelf.mark(space, [key[:KEY_BYTES] for key in keys])
            self._set_limit()
        self._used.clear()
        self._grew |= new > 0
        self._keep_limit()
        return new

    @property
    def limit(self) -> int | None:
        """The most bytes of all files: as given, else as noted in the store; None for no limit."""
        if self._given is not None:
            return self._given
        with self._shelf.index.reading():
            return self._shelf.index.limit()

    def _set_limit(self) -> None:
        if self._given is not None and self._given != self._shelf.index.limit():
            self._shelf.index.set_limit(self._given)

    def _check_limit(self, packed: Sequence[tuple[Space, tuple[Field, ...], dict[bytes, Record]]]) -> None:
        limit = self.limit
        if limit is None:
            return
        size = sum(sum(field.nbytes for field in fields) * len(records) for _, fields, records in packed)
        beside = least(self._shelf)
        if size + beside > limit * KEPT_SHARE:
            raise StoreFull(
                f"{str(self._shelf.folder)!r}: {size:,} bytes at once, beside {beside:,} of documents and index, do not fit the limit "
                f"of {limit:,}; raise it"
            )

    def _keep_limit(self) -> None:
        limit = self.limit
        if limit is None or self._shelf.nbytes <= limit:
            return
        with suppress(StoreBusy, StoreFull):  # what was put is kept all the same, and the next put will try again
            collect(self._shelf, max(int(limit * KEPT_SHARE), least(self._shelf)))

    def get(self, space: Space, keys: Sequence[bytes]) -> list[Mapping[str, RawTensor] | None]:
        """Return the records of some keys, None for each that is not there; their bytes are those that were stored.

        Raises:
            CorruptStore: a record's bytes are not those that were written, or its shard is gone.
        """
        wanted = [key[:KEY_BYTES] for key in keys]
        return self._retried(lambda: self._get(space, wanted))

    def _retried(self, look: Callable[[], T]) -> T:
        """Look again where another process moved what was looked for into another shard meanwhile."""
        gone = ""
        for _ in range(TRIES):
            try:
                return look()
            except FileNotFoundError as error:
                gone = str(error.filename)
            except OSError as error:
                raise NoStore(f"{str(self._shelf.folder)!r} cannot be read ({error.strerror}); name a folder that you may read") from None
        raise CorruptStore(f"{gone!r} is gone, and the index names it; spanbench store verify --repair says what is lost")

    def _get(self, space: Space, keys: Sequence[bytes]) -> list[Mapping[str, RawTensor] | None]:
        with self._shelf.index.reading():
            known = self._shelf.space(space)
            found = [] if known is None else self._shelf.candidates(known[0], keys)
        if known is None:
            return [None] * len(keys)
        number, fields = known
        records = {(shard.name, row): record for shard, row, record in self._read(found)}
        answers: list[Mapping[str, RawTensor] | None] = []
        for key, here in zip(keys, found, strict=True):
            place = next((one for one in here if records[one.shard.name, one.row].key == key), None)
            answers.append(None if place is None else tensors(fields, records[place.shard.name, place.row]))
            if place is not None:
                self._used[number, key] = place.place
        if len(self._used) >= MARKS:
            self._write_marks()
        return answers

    def _read(self, found: Sequence[Sequence[Found]]) -> Iterator[tuple[ShardRow, int, Record]]:
        """Read rows that follow one another at once."""
        rows: dict[ShardRow, set[int]] = defaultdict(set)
        for one in (one for here in found for one in here):
            rows[one.shard].add(one.row)
        for shard, wanted in rows.items():
            file = self._shelf.shard(shard)
            for start, count in runs(sorted(wanted)):
                for row, record in enumerate(file.records(start, count), start):
                    if not record.whole:
                        raise CorruptStore(
                            f"{str(file.path)!r}: record {row} is not what was written; spanbench store verify --repair takes it out"
                        )
                    yield shard, row, record

    def has(self, space: Space, keys: Sequence[bytes]) -> list[bool]:
        """Return which records are there, by the keys in the shards; their other bytes are not read.

        Raises:
            CorruptStore: a shard is gone.
        """
        wanted = [key[:KEY_BYTES] for key in keys]
        return self._retried(lambda: self._has(space, wanted))

    def _has(self, space: Space, keys: Sequence[bytes]) -> list[bool]:
        with self._shelf.index.reading():
            known = self._shelf.space(space)
            found = [] if known is None else self._shelf.find(known[0], keys)
        return [one is not None for one in found] if known is not None else [False] * len(keys)

    def delete(self, space: Space, keys: Sequence[bytes]) -> int:
        """Take records away in one commit; their bytes are freed by `gc`, or when their shard has none left.

        Returns:
            How many there were.
        """
        with self._shelf.changing():
            known = self._shelf.space(space)
            if known is None:
                return 0
            unique = list(dict.fromkeys(key[:KEY_BYTES] for key in keys))
            found = [
                (key, one) for key, one in zip(unique, self._shelf.find(known[0], unique, gone_too=True), strict=True) if one is not None
            ]
            self._shelf.index.remove(known[0], [(key, one.place) for key, one in found])
            self._shelf.bury(one.place for _, one in found)
        return len(found)

    # ---- spaces -----------------------------------------------------------------------------------------------------

    def spaces(self) -> list[Space]:
        """Return the spaces of which the store has records, in the order in which they came."""
        with self._shelf.index.reading():
            held = {shard.space for shard in self._shelf.index.shards() if shard.dead < shard.rows}
            return [space for number, (space, _) in self._shelf.index.spaces().items() if number in held]

    def require(self, space: Space) -> None:
        """Refuse a space that is not the store's: one of each kind, for as long as it has records of it, or any document.

        Raises:
            SpaceMismatch: what it holds and what was asked for.
        """
        with self._shelf.index.reading():
            self._check_bound(space)

    def _check_bound(self, space: Space) -> None:
        known = self._shelf.bound(space.kind)
        if known and space not in known:
            raise SpaceMismatch(
                f"{str(self._shelf.folder)!r} holds {'; '.join(map(str, known))}; asked for was {space}: "
                "take the same weights, span and dtype, or another store"
            )

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
        self._write_marks()
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

    def _apply_marks(self) -> None:
        marks: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
        for (number, key), place in self._used.items():
            marks[number].append((key, place))
        for number, rows in marks.items():
            self._shelf.index.mark(number, rows, self._shelf.now)

    def _write_marks(self) -> None:
        if not self._used or self._shelf.index.read_only:
            self._used.clear()
            return
        with self._shelf.changing():
            self._apply_marks()
        self._used.clear()
