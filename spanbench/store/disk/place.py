"""Where a record lies, as the index writes it: one number for shard and row, found by a hash of key and space."""

from __future__ import annotations

import zlib

from spanbench.store.disk.entry import KEY_BYTES

__all__ = ["ROWS", "hash_of", "row_of", "shard_of"]

ROWS = 2**16
"""Most rows of a shard."""


def shard_of(place: int) -> int:
    """Return the number of the shard that a place lies in."""
    return place // ROWS


def row_of(place: int) -> int:
    """Return the row of a place in its shard."""
    return place % ROWS


def hash_of(space: int, key: bytes) -> int:
    """Return a signed 32-bit hash, which SQLite stores in 4 bytes; keys need not be spread evenly themselves."""
    value = zlib.crc32(key[:KEY_BYTES], space)
    return value - 2**32 if value >= 2**31 else value
