"""The key of a span: a hash of its ids, never of floats. Without torch, for lists and checks of a store need it too."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Sequence

from spanbench.store.disk.entry import KEY_BYTES

__all__ = ["ids_of", "span_keys"]

_ITEMS = {"<u2": "H", "<u4": "I"}


def span_keys(ids: Sequence[int], span: int) -> list[bytes]:
    """Return the key of each complete span, BLAKE2b of its ids as int64, little endian: equal spans share it wherever they stand."""
    line = _little(array("q", ids)).tobytes()
    size = 8 * span
    return [hashlib.blake2b(line[at : at + size], digest_size=KEY_BYTES).digest() for at in range(0, len(line) - size + 1, size)]


def ids_of(content: bytes, kind: str) -> list[int]:
    """Return ids as a document's manifest holds them; `kind` is '<u2' or '<u4'."""
    held = array(_ITEMS[kind], content)
    return _little(held).tolist()


def _little(items: array[int]) -> array[int]:
    if sys.byteorder == "big":
        items.byteswap()
    return items
