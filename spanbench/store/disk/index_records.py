"""What the index holds of records: where each may lie, and when it was last used.

Rows are small, since a record may be: a 32-bit hash of key and space, the place (shard × 2^16 + row), and when it was last used. Two keys
of one hash are told apart by the keys in the shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spanbench.store.disk.index_file import IndexFile
from spanbench.store.disk.place import ROWS, hash_of

__all__ = ["IndexedRecords"]


class IndexedRecords(IndexFile):
    """The table of records."""

    def places(self, space: int, key: bytes) -> list[tuple[int, int | None]]:
        """Return where a record of this key may be, with its last use; the keys there say whether it is."""
        rows = self._db.execute("SELECT place, used FROM records WHERE hash=?", (hash_of(space, key),)).fetchall()
        if any(not isinstance(place, int) or not isinstance(used, int | None) for place, used in rows):
            raise self.damaged("a record's place is no number")
        return rows

    def insert(self, space: int, rows: Sequence[tuple[bytes, int, int | None]]) -> None:
        """Add records: key, place, last use. In the order of their hashes, which packs the pages of an empty index."""
        hashed = sorted((hash_of(space, key), place, used) for key, place, used in rows) if rows else []
        self._db.executemany("INSERT INTO records VALUES(?,?,?)", hashed)

    def remove(self, space: int, rows: Sequence[tuple[bytes, int]]) -> None:
        """Take records away: key, place."""
        self._db.executemany("DELETE FROM records WHERE hash=? AND place=?", ((hash_of(space, key), place) for key, place in rows))

    def mark(self, space: int, rows: Sequence[tuple[bytes, int]], tick: int) -> None:
        """Say when records were last used."""
        values = ((tick, hash_of(space, key), place) for key, place in rows)
        self._db.executemany("UPDATE records SET used=? WHERE hash=? AND place=?", values)

    def least_used(self) -> list[tuple[int, int]]:
        """Return hash and place of every record, the least recently used first; one never used is as old as its shard."""
        statement = "SELECT hash, place FROM records JOIN shards ON id = place / ? ORDER BY coalesce(used, written), place"
        rows = self._db.execute(statement, (ROWS,)).fetchall()
        if any(type(place) is not int for _, place in rows):
            raise self.damaged("a record's place is no number")
        return rows

    def remove_hashed(self, rows: Sequence[tuple[int, int]]) -> None:
        """Take records away by hash and place."""
        self._db.executemany("DELETE FROM records WHERE hash=? AND place=?", rows)

    def all_places(self) -> Iterator[tuple[int, int]]:
        """Yield hash and place of every record, in the order of the places."""
        for hashed, place in self._db.execute("SELECT hash, place FROM records ORDER BY place"):
            if type(hashed) is not int or type(place) is not int or place < 0 or not -(2**31) <= hashed < 2**31:
                raise self.damaged("a record's hash or place is no number that was written")
            yield hashed, place

    def has_hash(self, hashed: int) -> bool:
        """Return whether any record has this hash."""
        return self._one("SELECT EXISTS(SELECT 1 FROM records WHERE hash=?)", (hashed,)) > 0

    def clear_records(self, shard: int) -> None:
        """Take all records of a shard away, whatever their keys: reads the whole index."""
        self._db.execute("DELETE FROM records WHERE place BETWEEN ? AND ?", (shard * ROWS, (shard + 1) * ROWS - 1))
