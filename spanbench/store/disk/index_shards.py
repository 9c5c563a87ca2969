"""What the index holds of spaces, and of the shards that their records lie in."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from spanbench.store.disk.entry import Field, Space
from spanbench.store.disk.index_file import IndexFile
from spanbench.store.disk.place import ROWS
from spanbench.store.disk.shard import Layout

__all__ = ["IndexedShards", "ShardRow", "layout_of"]

_SHARDS = "SELECT id, space, name, rows, dead, written, EXISTS(SELECT 1 FROM spaces WHERE spaces.id=space) FROM shards"
_NAME = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class ShardRow:
    """What the index holds of one shard; `dead` rows of it are no records any more."""

    id: int
    space: int
    name: str
    rows: int
    dead: int
    written: int


class IndexedShards(IndexFile):
    """The tables of spaces and shards."""

    def spaces(self) -> dict[int, tuple[Space, tuple[Field, ...]]]:
        """Return every space by its number, with its records' fields."""
        try:
            return {_number(number): _space(body, crc) for number, body, crc in self._db.execute("SELECT id, body, crc FROM spaces")}
        except _Damaged as error:
            raise self.damaged(str(error)) from None

    def add_space(self, space: Space, fields: tuple[Field, ...]) -> int:
        """Return the number of a new space."""
        body = json.dumps([asdict(space), [[field.name, field.dtype, list(field.shape)] for field in fields]], separators=(",", ":"))
        crc = zlib.crc32(body.encode())
        return int(self._db.execute("INSERT INTO spaces(body, crc) VALUES(?,?)", (body, crc)).lastrowid or 0)

    def drop_empty_spaces(self) -> None:
        """Forget spaces that have no shard; not while there are documents, whose encoder is the store's."""
        if self._one("SELECT count(*) FROM documents"):
            return
        self._db.execute("DELETE FROM spaces WHERE id NOT IN (SELECT space FROM shards)")

    def shards(self) -> list[ShardRow]:
        """Return every shard, the oldest first."""
        return [self._shard_row(row) for row in self._db.execute(f"{_SHARDS} ORDER BY id")]

    def shard(self, number: int) -> ShardRow | None:
        """Return one shard."""
        row = self._db.execute(f"{_SHARDS} WHERE id=?", (number,)).fetchone()
        return self._shard_row(row) if row else None

    def _shard_row(self, row: Sequence[Any]) -> ShardRow:
        number, space, name, rows, dead, written, known = row
        try:
            numbers = [_number(one) for one in (number, space, rows, dead, written)]
        except _Damaged as error:
            raise self.damaged(str(error)) from None
        if not known or not isinstance(name, str) or not 0 < rows <= ROWS or min(numbers) < 0 or not _NAME.fullmatch(name):
            raise self.damaged(f"shard {number} is {str(name)[:40]!r}, of {rows} rows of space {space}, {dead} of them dead")
        return ShardRow(number, space, name, rows, dead, written)

    def add_shard(self, space: int, name: str, rows: int, dead: int, written: int) -> int:
        """Return the number of a new shard."""
        values = (space, name, rows, dead, written)
        return int(self._db.execute("INSERT INTO shards(space,name,rows,dead,written) VALUES(?,?,?,?,?)", values).lastrowid or 0)

    def drop_shard(self, number: int) -> None:
        """Forget a shard; its records must be gone already."""
        self._db.execute("DELETE FROM shards WHERE id=?", (number,))

    def set_dead(self, number: int, dead: int) -> None:
        """Say how many rows of a shard are no records any more."""
        self._db.execute("UPDATE shards SET dead=? WHERE id=?", (dead, number))


class _Damaged(Exception):
    """A row holds what nobody wrote."""


def _number(value: object) -> int:
    if type(value) is not int:
        raise _Damaged(f"{str(value)[:40]!r} is no number")
    return value


@lru_cache(maxsize=64)
def _space(body: object, crc: object) -> tuple[Space, tuple[Field, ...]]:
    if not isinstance(body, str) or zlib.crc32(body.encode()) != crc:
        raise _Damaged("a space is not what was written")
    space, fields = json.loads(body)
    return Space(**space), tuple(Field(name, dtype, tuple(shape)) for name, dtype, shape in fields)


@lru_cache(maxsize=256)
def layout_of(space: Space, fields: tuple[Field, ...], rows: int) -> Layout:
    """Return the layout of a shard, worked out once."""
    return Layout(space, fields, rows)
