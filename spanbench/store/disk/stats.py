"""What a store holds, in records and bytes."""

from __future__ import annotations

from dataclasses import dataclass

from spanbench.store.disk.entry import Space
from spanbench.store.disk.index_shards import layout_of
from spanbench.store.disk.shelf import Shelf

__all__ = ["SpaceStats", "Stats", "stats_of"]


@dataclass(frozen=True, slots=True)
class SpaceStats:
    """One space: its records, their tensors' bytes, and the shards that they lie in."""

    space: Space
    records: int
    raw_bytes: int
    shards: int
    shard_bytes: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds. `disk_bytes` are those of its files, without what a file system adds."""

    spaces: tuple[SpaceStats, ...]
    documents: int
    index_bytes: int
    document_bytes: int
    """Bytes of the documents' files; the index holds them once more."""

    @property
    def records(self) -> int:
        """Records of all spaces."""
        return sum(space.records for space in self.spaces)

    @property
    def raw_bytes(self) -> int:
        """Bytes of all records' tensors."""
        return sum(space.raw_bytes for space in self.spaces)

    @property
    def disk_bytes(self) -> int:
        """Bytes of all files."""
        return self.index_bytes + self.document_bytes + sum(space.shard_bytes for space in self.spaces)


def stats_of(shelf: Shelf) -> Stats:
    """Return what a store holds, by its index; within a transaction."""
    shards, spaces = shelf.index.shards(), []
    for number, (space, fields) in shelf.index.spaces().items():
        own = [shard for shard in shards if shard.space == number]
        records = sum(shard.rows - shard.dead for shard in own)
        sizes = [layout_of(space, fields, shard.rows).file_bytes for shard in own]
        raw = records * sum(field.nbytes for field in fields)
        spaces.append(SpaceStats(space, records, raw, len(own), sum(sizes)))
    return Stats(tuple(one for one in spaces if one.shards), len(shelf.index.documents()), shelf.index.nbytes, shelf.paper_bytes)
