"""The index's file: an SQLite file that is opened, checked, changed in transactions and packed, and what its errors mean.

A change is one transaction under SQLite's write lock, with a rollback journal that is truncated at commit and synced in full:
what is committed survives the end of the process and of the machine; what is not is undone by whoever opens the index next.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from spanbench.store.disk.faults import CorruptStore, NewerStore, NoStore, StoreBusy, StoreFull

__all__ = ["INDEX", "PAGE", "SCHEMA", "IndexFile"]

INDEX = "index.sqlite"
VERSION = 1
APPLICATION = 0x73706E62
PATIENCE = 60.0
"""Seconds to wait for another process's commit."""
PAGE = 512
"""Bytes a page: a small store has few pages, and they should be small."""

SCHEMA = (
    "CREATE TABLE meta(tick INTEGER NOT NULL, most INTEGER)",
    "INSERT INTO meta VALUES(0, NULL)",
    "CREATE TABLE spaces(id INTEGER PRIMARY KEY, body TEXT NOT NULL, crc INTEGER)",
    "CREATE TABLE shards(id INTEGER PRIMARY KEY, space INTEGER, name TEXT, rows INTEGER, dead INTEGER, written INTEGER)",
    "CREATE TABLE records(hash INTEGER, place INTEGER, used INTEGER, PRIMARY KEY(hash, place)) WITHOUT ROWID",
    "CREATE TABLE documents(name TEXT PRIMARY KEY, manifest TEXT, ids BLOB, crc INTEGER, file TEXT, size INTEGER) WITHOUT ROWID",
    f"PRAGMA application_id={APPLICATION}",
    f"PRAGMA user_version={VERSION}",
)


class IndexFile:
    """An open SQLite file with the index's tables."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open an index, or an empty file that `create` makes one of.

        Raises:
            NoStore: it is an SQLite file of something else, or cannot be opened.
            NewerStore: a newer version wrote it.
            CorruptStore: it is no SQLite file.
        """
        self.path, self.read_only = path, read_only
        with self.told():
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}", uri=True, timeout=PATIENCE, isolation_level=None
            )
        try:
            self._settle()
            self._check()
        except BaseException:
            self._db.close()
            raise

    def _settle(self) -> None:
        with self.told():
            self._db.execute(f"PRAGMA page_size={PAGE}")
            if not self.read_only:
                self._db.execute("PRAGMA journal_mode=TRUNCATE")
            self._db.execute("PRAGMA synchronous=FULL")

    def _check(self) -> None:
        with self.told():
            application, version = (self._one(f"PRAGMA {name}") for name in ("application_id", "user_version"))
            tables = [str(row[0]) for row in self._db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")]
            self.empty = application == 0 and not tables
        if not self.empty and application != APPLICATION:
            raise NoStore(f"{str(self.path)!r} is an SQLite file of something else; name the folder of a store, or a new one")
        if version > VERSION:
            raise NewerStore(f"{str(self.path.parent)!r} was written by a newer spanbench (version {version}, this one reads {VERSION})")
        if not self.empty and tables != [statement for statement in SCHEMA if statement.startswith("CREATE")]:
            raise self.damaged("its tables are not those that were made")

    def create(self) -> None:
        """Make an index of an empty file, unless another process did so meanwhile."""
        with self.writing():
            if not self._one("SELECT count(*) FROM sqlite_schema"):
                for statement in SCHEMA:
                    self._db.execute(statement)
        self.empty = False

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock; what is done within is committed at the end, all or nothing."""
        with self.told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See the index as of one moment."""
        with self.told():
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                with suppress(sqlite3.Error):
                    self._db.execute("COMMIT")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say what SQLite's errors mean."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._meaning(error) from None
        except UnicodeDecodeError:  # sqlite3 itself meets one where it says what it could not decode
            raise self.damaged("text that is no text") from None

    def _meaning(self, error: sqlite3.Error) -> Exception:
        code, folder = getattr(error, "sqlite_errorcode", 0) & 0xFF, str(self.path.parent)
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return StoreBusy(f"{folder!r}: another process has held the store for {PATIENCE:.0f} s; wait for its end")
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
            return NoStore(f"{folder!r} cannot be {'read' if self.read_only else 'written'} ({error}); name a folder that you may use")
        if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            return StoreFull(f"{folder!r}: its disk has no room for the index ({error}); nothing was kept of this write")
        return CorruptStore(f"{folder!r}: its index is damaged ({error}); spanbench store verify --repair rebuilds it from the shards")

    def _one(self, statement: str, values: Sequence[object] = ()) -> int:
        row = self._db.execute(statement, values).fetchone()
        return int(row[0]) if row else 0

    def damaged(self, what: str) -> CorruptStore:
        """Return what is to be raised where the index holds what nobody wrote."""
        return CorruptStore(f"{str(self.path.parent)!r}: its index is damaged ({what}); spanbench store verify --repair rebuilds it")

    def vacuum(self) -> None:
        """Pack the file; not within a transaction."""
        with self.told():
            self._db.execute("VACUUM")

    def faults(self) -> list[str]:
        """Return what SQLite finds wrong with its own file; empty where nothing is."""
        try:
            found = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return self._one("PRAGMA page_count") * self._one("PRAGMA page_size")
