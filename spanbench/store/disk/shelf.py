"""Index and shards together: what a change writes and takes away, so that a change is whole or never was.

A change holds the index's write lock from its first look to its commit. New shards are on the disk before the commit that names
them, old ones are taken away after the commit that no longer does. So a process that dies leaves at most files that no record needs.
"""

from __future__ import annotations

import errno
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spanbench.errors import SpanbenchError, UsageError
from spanbench.store.disk.entry import Document, Field, Kind, Space
from spanbench.store.disk.faults import NoStore, StaleDocument, StoreFull
from spanbench.store.disk.index import ROWS, Index, ShardRow, layout_of, row_of, shard_of
from spanbench.store.disk.paper import manifest_text, write_paper
from spanbench.store.disk.shard import SUFFIX, Record, Shard, write_shard

__all__ = ["MERGED_BYTES", "SHARD_BYTES", "Found", "Held", "Shelf"]

SHARD_BYTES = 2**24
"""About the most bytes of records in a shard: what is rewritten at once stays small."""
MERGED_BYTES = 2**23
"""A put of fewer bytes takes shards that are no larger along into its own, so that small puts do not leave as many files."""
SMALL_BYTES = 2**16
"""A shard of fewer bytes is always taken along: it is written sooner than it is synced, and a file of its own wastes most of a block."""
OPEN_SHARDS = 64
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Found:
    """Where a record lies, and when it was last used (None: never since it was written)."""

    shard: ShardRow
    row: int
    used: int | None

    @property
    def place(self) -> int:
        """The place as the index writes it."""
        return self.shard.id * ROWS + self.row


@dataclass(frozen=True, slots=True)
class Held:
    """A record in memory on its way into a shard; `used` None: as old as the shard will be."""

    record: Record
    used: int | None = None


class Shelf:
    """An open index and the shards beside it."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index
        self._open: OrderedDict[str, Shard] = OrderedDict()
        self._made: list[str] = []
        self.gone: list[str] = []
        """Names of files that go after the commit of the change that is under way."""
        self.now = 0
        """The tick of the change that is under way."""

    def close(self) -> None:
        """Close every file."""
        self._open.clear()  # a shard closes its file when nobody has it any more
        self.index.close()

    def path(self, name: str) -> Path:
        """Return a shard's path."""
        return self.folder / f"{name}{SUFFIX}"

    # ---- changes ----------------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make one change: committed at the end, or nothing of it is kept.

        Raises:
            StoreFull: the disk has no room.
            NoStore: the folder cannot be written.
        """
        self._made, self.gone = [], []
        try:
            with self.index.writing():
                self.now = self.index.tick()
                yield
        except BaseException as error:
            self._take_back()
            if isinstance(error, OSError):
                raise self._meaning(error) from None
            raise
        self._unlink(self.gone)

    def _take_back(self) -> None:
        """Take away what a failed change wrote, unless it was committed after all: Ctrl-C may come just behind the commit."""
        try:
            with self.index.reading():
                named = self.named()
        except SpanbenchError:  # what is left is no record; `verify` and `gc` take it away
            return
        self._unlink(name for name in self._made if name not in named)

    def _unlink(self, names: Iterable[str]) -> None:
        for name in names:
            self._open.pop(name.removesuffix(SUFFIX), None)
            try:
                (self.folder / name).unlink(missing_ok=True)
            except OSError:  # what is left is no record any more; `verify` and `gc` tell of it and take it away
                continue

    def named(self) -> set[str]:
        """Return the names of the files that the index names."""
        return {f"{shard.name}{SUFFIX}" for shard in self.index.shards()} | {file for file, _ in self.index.papers().values()}

    def _meaning(self, error: OSError) -> Exception:
        where, why = repr(str(self.folder)), error.strerror or str(error)
        if error.errno in FULL:
            return StoreFull(
                f"{where}: its disk has no room ({why}); nothing of this write was kept; make room, or take spanbench store gc --limit"
            )
        return NoStore(f"{where} cannot be written ({why}); name a folder that you may write")

    def space(self, space: Space) -> tuple[int, tuple[Field, ...]] | None:
        """Return a space's number and its records' fields; None where the store has no record of it."""
        return next(((number, fields) for number, (known, fields) in self.index.spaces().items() if known == space), None)

    def bound(self, kind: Kind) -> list[Space]:
        """Return the spaces of a kind that the store is bound to: all that have records, and while there are documents all it had."""
        held = {shard.space for shard in self.index.shards() if shard.dead < shard.rows}
        kept = bool(self.index.documents())
        return [one for number, (one, _) in self.index.spaces().items() if one.kind == kind and (kept or number in held)]

    def space_for(self, space: Space, fields: tuple[Field, ...]) -> int:
        """Return the number of a space for records of these fields, a new one where there is none yet.

        Raises:
            UsageError: the space's records look different.
        """
        known = self.space(space)
        if known is None:
            return self.index.add_space(space, fields)
        if known[1] != fields:
            raise UsageError(f"{space}: its records have {_told(known[1])}, these have {_told(fields)}; records of a space look alike")
        return known[0]

    def add(self, number: int, space: Space, fields: tuple[Field, ...], held: Sequence[Held]) -> None:
        """Write records as new shards; the last takes small ones along."""
        record_bytes = max(1, sum(field.nbytes for field in fields))
        step = min(ROWS, max(1, SHARD_BYTES // record_bytes))
        for at in range(0, len(held), step):
            chunk = held[at : at + step]
            taken = self._taken(number, len(chunk), record_bytes) if at + step >= len(held) else []
            self.write(number, space, fields, [*taken, *chunk])

    def write(self, number: int, space: Space, fields: tuple[Field, ...], held: Sequence[Held]) -> None:
        """Write records as one shard, and name it in the index."""
        name = write_shard(self.folder, space, fields, [one.record for one in held])
        self._made.append(f"{name}{SUFFIX}")
        self.name(number, name, held)

    def name(self, number: int, name: str, held: Sequence[Held]) -> None:
        """Name a shard that is on the disk, and its records in the order of its rows, in the index."""
        shard = self.index.add_shard(number, name, len(held), 0, self.now)
        self.index.insert(number, [(one.record.key, shard * ROWS + row, one.used) for row, one in enumerate(held)])

    def take(self, shard: ShardRow) -> list[Held] | None:
        """Return a shard's records and forget it, so that they can be written elsewhere; None where they are not all whole.

        What is not whole stays where it is, for `verify` to tell of.
        """
        held = self.live(shard)
        if held is None or not all(one.record.whole for _, one in held):
            return None
        self.forget(shard, [(one.record.key, place) for place, one in held])
        return [one for _, one in held]

    def forget(self, shard: ShardRow, records: Sequence[tuple[bytes, int]]) -> None:
        """Take a shard and these records of it (key, place), which must be all, out of the index; its file goes after the commit."""
        self.index.remove(shard.space, records)
        self.drop(shard)

    def let_go(self, name: str) -> None:
        """Take a file, by its whole name, away after the commit."""
        self.gone.append(name)

    def drop(self, shard: ShardRow) -> None:
        """Take a shard without records out of the index; its file goes after the commit."""
        self.index.drop_shard(shard.id)
        self.let_go(f"{shard.name}{SUFFIX}")

    def live(self, shard: ShardRow) -> list[tuple[int, Held]] | None:
        """Return the rows of a shard that are records, with their places; None where the file is not there."""
        try:
            rows = list(self.shard(shard).all_records())
        except OSError:
            return None
        held = []
        for row, record in enumerate(rows):
            place = shard.id * ROWS + row
            used = dict(self.index.places(shard.space, record.key))
            if place in used:
                held.append((place, Held(record, shard.written if used[place] is None else used[place])))
        return held if len(held) == shard.rows - shard.dead else None

    def bury(self, places: Iterable[int]) -> None:
        """Count rows of shards as no records any more; a shard that has no other is dropped."""
        for number, dead in Counter(shard_of(place) for place in places).items():
            shard = self.index.shard(number)
            if shard is not None and shard.dead + dead < shard.rows:
                self.index.set_dead(number, shard.dead + dead)
            elif shard is not None:
                self.drop(shard)

    def _taken(self, number: int, rows: int, record_bytes: int) -> list[Held]:
        """Take along small shards, and those of no more rows than what they are taken into: then a record seldom moves again."""
        taken = []
        known = (shard for shard in self.index.shards() if shard.space == number and f"{shard.name}{SUFFIX}" not in self._made)
        for shard in sorted(known, key=lambda shard: shard.rows):
            together = rows + shard.rows
            if shard.rows > max(rows, SMALL_BYTES // record_bytes) or together > ROWS or together * record_bytes > MERGED_BYTES:
                break
            moved = self.take(shard)
            if moved is not None:
                taken.append((shard.id, moved))
                rows += len(moved)
        return [one for _, moved in sorted(taken, key=lambda pair: pair[0]) for one in moved]

    def mark(self, space: Space, keys: Sequence[bytes]) -> None:
        """Count records as used now."""
        known = self.space(space)
        if known is not None:
            found = zip(keys, self.find(known[0], keys, gone_too=True), strict=True)
            self.index.mark(known[0], [(key, one.place) for key, one in found if one is not None], self.now)

    # ---- documents --------------------------------------------------------------------------------------------------

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

    # ---- looking up -------------------------------------------------------------------------------------------------

    def shard(self, row: ShardRow) -> Shard:
        """Return an open shard.

        Raises:
            FileNotFoundError: its file is gone: taken away by another process meanwhile, or by someone else.
        """
        known = self._open.get(row.name)
        if known is None:
            space, fields = self.index.spaces()[row.space]
            known = self._open[row.name] = Shard(self.path(row.name), layout_of(space, fields, row.rows))
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)
        self._open.move_to_end(row.name)
        return known

    def candidates(self, number: int, keys: Sequence[bytes]) -> list[list[Found]]:
        """Return for each key where its record may lie: nearly always at most one place."""
        shards: dict[int, ShardRow | None] = {}
        found: list[list[Found]] = []
        for key in keys:
            here = []
            for place, used in self.index.places(number, key):
                at = shard_of(place)
                shard = shards[at] if at in shards else shards.setdefault(at, self.index.shard(at))
                if shard is not None and shard.space == number and row_of(place) < shard.rows:
                    here.append(Found(shard, row_of(place), used))
            found.append(here)
        return found

    def find(self, number: int, keys: Sequence[bytes], *, gone_too: bool = False) -> list[Found | None]:
        """Return where each record lies, by the keys in the shards.

        With `gone_too` a shard whose file is gone has no records; else it is an error.

        Raises:
            FileNotFoundError: a shard's file is gone.
        """
        return [
            next((one for one in here if self._key(one, gone_too=gone_too) == key), None)
            for key, here in zip(keys, self.candidates(number, keys), strict=True)
        ]

    def _key(self, found: Found, *, gone_too: bool) -> bytes:
        try:
            return self.shard(found.shard).key(found.row)
        except FileNotFoundError:
            if gone_too:
                return b""
            raise

    @property
    def nbytes(self) -> int:
        """Bytes of the index and of every file that it names."""
        spaces = self.index.spaces()
        shards = sum(layout_of(*spaces[shard.space], shard.rows).file_bytes for shard in self.index.shards())
        return self.index.nbytes + shards + self.paper_bytes

    @property
    def paper_bytes(self) -> int:
        """Bytes of the documents' files."""
        return sum(size for _, size in self.index.papers().values())


def _told(fields: tuple[Field, ...]) -> str:
    return ", ".join(f"{field.name} {field.dtype} {list(field.shape)}" for field in fields)


def _same(one: Document, other: Document) -> bool:
    return (manifest_text(one), one.ids) == (manifest_text(other), other.ids)
