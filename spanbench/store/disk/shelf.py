"""Index and shards together: what a change writes and takes away of records, in whole shards that the index names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spanbench.errors import UsageError
from spanbench.store.disk.entry import Field, Space
from spanbench.store.disk.index_shards import ShardRow
from spanbench.store.disk.place import ROWS, shard_of
from spanbench.store.disk.shard import SUFFIX, Record, write_shard
from spanbench.store.disk.shelf_documents import ShelfDocuments

__all__ = ["MERGED_BYTES", "SHARD_BYTES", "Held", "Shelf"]

SHARD_BYTES = 2**24
"""About the most bytes of records in a shard: what is rewritten at once stays small."""
MERGED_BYTES = 2**23
"""A put of fewer bytes takes shards that are no larger along into its own, so that small puts do not leave as many files."""
SMALL_BYTES = 2**16
"""A shard of fewer bytes is always taken along: it is written sooner than it is synced, and a file of its own wastes most of a block."""


@dataclass(frozen=True, slots=True)
class Held:
    """A record in memory on its way into a shard; `used` None: as old as the shard will be."""

    record: Record
    used: int | None = None


class Shelf(ShelfDocuments):
    """An open index, and the shards and documents' files beside it."""

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


def _told(fields: tuple[Field, ...]) -> str:
    return ", ".join(f"{field.name} {field.dtype} {list(field.shape)}" for field in fields)
