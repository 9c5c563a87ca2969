"""Index and shards together: where a record lies, and how much room all of it takes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spanbench.store.disk.entry import Field, Kind, Space
from spanbench.store.disk.index import Index
from spanbench.store.disk.index_shards import ShardRow, layout_of
from spanbench.store.disk.place import ROWS, row_of, shard_of
from spanbench.store.disk.shard import SUFFIX, Shard

__all__ = ["Found", "ShelfReading"]

OPEN_SHARDS = 64


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


class ShelfReading:
    """An open index and the shards beside it, as far as they are read."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index
        self._open: OrderedDict[str, Shard] = OrderedDict()

    def close(self) -> None:
        """Close every file."""
        self._open.clear()  # a shard closes its file when nobody has it any more
        self.index.close()

    def path(self, name: str) -> Path:
        """Return a shard's path."""
        return self.folder / f"{name}{SUFFIX}"

    def named(self) -> set[str]:
        """Return the names of the files that the index names."""
        return {f"{shard.name}{SUFFIX}" for shard in self.index.shards()} | {file for file, _ in self.index.papers().values()}

    def space(self, space: Space) -> tuple[int, tuple[Field, ...]] | None:
        """Return a space's number and its records' fields; None where the store has no record of it."""
        return next(((number, fields) for number, (known, fields) in self.index.spaces().items() if known == space), None)

    def bound(self, kind: Kind) -> list[Space]:
        """Return the spaces of a kind that the store is bound to: all that have records, and while there are documents all it had."""
        held = {shard.space for shard in self.index.shards() if shard.dead < shard.rows}
        kept = bool(self.index.documents())
        return [one for number, (one, _) in self.index.spaces().items() if one.kind == kind and (kept or number in held)]

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
