"""The index: an SQLite file that says which rows of which shards are records, and which documents there are.

A change is one transaction under SQLite's write lock, with a rollback journal that is truncated at commit and synced in full:
what is committed survives the end of the process and of the machine; what is not is undone by whoever opens the index next.
Rows are small, since a record may be: a 32-bit hash of key and space, the place (shard × 2^16 + row), and when it was last used. Two keys
of one hash are told apart by the keys in the shards.
"""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from spanbench.store.disk.entry import KEY_BYTES, Document, Field, Space
from spanbench.store.disk.faults import CorruptStore, NewerStore, NoStore, StoreBusy, StoreFull
from spanbench.store.disk.paper import checksum_of, manifest_text
from spanbench.store.disk.shard import Layout

__all__ = ["INDEX", "ROWS", "Index", "ShardRow", "hash_of", "layout_of", "row_of", "shard_of"]

INDEX = "index.sqlite"
VERSION = 1
APPLICATION = 0x73706E62
ROWS = 2**16
"""Most rows of a shard."""
PATIENCE = 60.0
"""Seconds to wait for another process's commit."""
PAGE = 512
"""Bytes a page: a small store has few pages, and they should be small."""

_SHARDS = "SELECT id, space, name, rows, dead, written, EXISTS(SELECT 1 FROM spaces WHERE spaces.id=space) FROM shards"
_NAME = re.compile("[0-9a-f]{16}")

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


@dataclass(frozen=True, slots=True)
class ShardRow:
    """What the index holds of one shard; `dead` rows of it are no records any more."""

    id: int
    space: int
    name: str
    rows: int
    dead: int
    written: int


def shard_of(place: int) -> int:
    """Return the number of the shard that a place lies in."""
    return place // ROWS


def row_of(place: int) -> int:
    """Return the row of a place in its shard."""
    return place % ROWS


class Index:
    """An open index."""

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

    # ---- transactions -----------------------------------------------------------------------------------------------

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

    def tick(self) -> int:
        """Return the next tick of the store's own clock, which orders uses."""
        self._db.execute("UPDATE meta SET tick=tick+1")
        return self._one("SELECT tick FROM meta")

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

    # ---- spaces and shards ------------------------------------------------------------------------------------------

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

    def damaged(self, what: str) -> CorruptStore:
        """Return what is to be raised where the index holds what nobody wrote."""
        return CorruptStore(f"{str(self.path.parent)!r}: its index is damaged ({what}); spanbench store verify --repair rebuilds it")

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

    # ---- records ----------------------------------------------------------------------------------------------------

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

    # ---- documents --------------------------------------------------------------------------------------------------

    def write_document(self, document: Document, file: str, size: int) -> None:
        """Write a document, over one of the same name; its file has this name and size."""
        text = manifest_text(document)
        values = (document.name, text, document.ids, checksum_of(document.name, text, document.ids), file, size)
        self._db.execute("INSERT OR REPLACE INTO documents VALUES(?,?,?,?,?,?)", values)

    def document(self, name: str) -> Document | None:
        """Return a document.

        Raises:
            CorruptStore: it is not what was written.
        """
        if not _encodes(name):
            return None
        row = self._db.execute("SELECT manifest, ids, crc FROM documents WHERE name=?", (name,)).fetchone()
        if row is None:
            return None
        text, ids, crc = row
        if not isinstance(text, str) or not isinstance(ids, bytes) or checksum_of(name, text, ids) != crc:
            raise CorruptStore(
                f"{str(self.path.parent)!r}: document {name!r} is not what was written; spanbench store verify --repair mends it"
            )
        return Document(name, json.loads(text), ids)

    def papers(self) -> dict[str, tuple[str, int]]:
        """Return by each document's name its file's, and that file's bytes."""
        rows = self._db.execute("SELECT name, file, size FROM documents")
        return {str(name): (file if isinstance(file, str) else "", size if type(size) is int else 0) for name, file, size in rows}

    def documents(self) -> list[str]:
        """Return the documents' names, sorted."""
        return [str(row[0]) for row in self._db.execute("SELECT name FROM documents ORDER BY name")]

    def remove_document(self, name: str) -> bool:
        """Take a document away; whether there was one."""
        return _encodes(name) and self._db.execute("DELETE FROM documents WHERE name=?", (name,)).rowcount > 0

    # ---- limit ------------------------------------------------------------------------------------------------------

    def limit(self) -> int | None:
        """Return the most bytes that the store is to take, None where it has no limit."""
        row = self._db.execute("SELECT most FROM meta").fetchone()
        return row[0] if row is not None and type(row[0]) is int else None

    def set_limit(self, limit: int) -> None:
        """Say how many bytes the store is to take at most."""
        self._db.execute("UPDATE meta SET most=?", (limit,))

    def set_tick(self, tick: int) -> None:
        """Set the clock on, so that what comes is newer than what was."""
        self._db.execute("UPDATE meta SET tick=max(tick, ?)", (tick,))

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


def hash_of(space: int, key: bytes) -> int:
    """Return a signed 32-bit hash, which SQLite stores in 4 bytes; keys need not be spread evenly themselves."""
    value = zlib.crc32(key[:KEY_BYTES], space)
    return value - 2**32 if value >= 2**31 else value


class _Damaged(Exception):
    """A row holds what nobody wrote."""


def _number(value: object) -> int:
    if type(value) is not int:
        raise _Damaged(f"{str(value)[:40]!r} is no number")
    return value


def _encodes(name: str) -> bool:
    """Whether SQLite can be asked for a name: it takes no lone surrogates, as Python makes of arguments that are no UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


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
