"""The index: an SQLite file that says which rows of which shards are records, and which documents there are."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from spanbench.store.disk.index_documents import IndexedDocuments
from spanbench.store.disk.index_file import PAGE, SCHEMA
from spanbench.store.disk.index_records import IndexedRecords
from spanbench.store.disk.index_shards import IndexedShards

__all__ = ["Index"]


class Index(IndexedShards, IndexedRecords, IndexedDocuments):
    """An open index: its tables, the store's clock and its limit."""

    def tick(self) -> int:
        """Return the next tick of the store's own clock, which orders uses."""
        self._db.execute("UPDATE meta SET tick=tick+1")
        return self._one("SELECT tick FROM meta")

    def set_tick(self, tick: int) -> None:
        """Set the clock on, so that what comes is newer than what was."""
        self._db.execute("UPDATE meta SET tick=max(tick, ?)", (tick,))

    def limit(self) -> int | None:
        """Return the most bytes that the store is to take, None where it has no limit."""
        row = self._db.execute("SELECT most FROM meta").fetchone()
        return row[0] if row is not None and type(row[0]) is int else None

    def set_limit(self, limit: int) -> None:
        """Say how many bytes the store is to take at most."""
        self._db.execute("UPDATE meta SET most=?", (limit,))

    def floor(self) -> int:
        """Return the bytes that the index would have without records."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as bare:
            bare.execute(f"PRAGMA page_size={PAGE}")
            for statement in SCHEMA:
                bare.execute(statement)
            for table, columns in (("spaces", 3), ("documents", 6)):
                rows = self._db.execute(f"SELECT * FROM {table}")  # noqa: S608  # names that stand here
                bare.executemany(f"INSERT INTO {table} VALUES({','.join('?' * columns)})", rows)
            return int(bare.execute("PRAGMA page_count").fetchone()[0]) * PAGE
