"""Edits of a text as ids: what comes out, and one clear line where an edit lies outside the text."""

from __future__ import annotations

from collections.abc import Sequence

from spanbench.errors import UsageError

__all__ = ["Ids", "check_ids", "deleted", "inserted", "replaced"]

Ids = tuple[int, ...]


def check_ids(name: str, ids: Sequence[int], vocab: int, what: str = "document") -> Ids:
    """Return the ids as a tuple.

    Raises:
        UsageError: there is none, or one that the model has no row for.
    """
    if not ids:
        raise UsageError(f"document {name!r}: the {what} is empty; give at least one token")
    if wrong := next((token for token in ids if not 0 <= token < vocab), None):
        raise UsageError(f"document {name!r}: token {wrong} is not in the vocabulary; take 0 .. {vocab - 1}")
    return tuple(int(token) for token in ids)


def replaced(name: str, ids: Ids, position: int, new: Ids) -> Ids:
    """Put new ids in the place of as many old ones.

    Raises:
        UsageError: they do not all lie inside the document.
    """
    _inside(name, ids, position, len(new), "replace")
    return ids[:position] + new + ids[position + len(new) :]


def inserted(name: str, ids: Ids, position: int, new: Ids) -> Ids:
    """Put new ids in front of the one at a position; behind the last is a position, too.

    Raises:
        UsageError: the position is outside the document.
    """
    if not 0 <= position <= len(ids):
        raise UsageError(f"document {name!r}: cannot insert at {position} of {len(ids)} tokens; take 0 .. {len(ids)}")
    return ids[:position] + new + ids[position:]


def deleted(name: str, ids: Ids, position: int, count: int) -> Ids:
    """Take out `count` ids from a position on.

    Raises:
        UsageError: they do not all lie inside the document, there is none, or nothing would be left.
    """
    if count < 1:
        raise UsageError(f"document {name!r}: cannot delete {count} tokens; take at least 1")
    _inside(name, ids, position, count, "delete")
    if count == len(ids):
        raise UsageError(f"document {name!r}: deleting all {count} tokens leaves it empty; remove the document instead")
    return ids[:position] + ids[position + count :]


def _inside(name: str, ids: Ids, position: int, count: int, verb: str) -> None:
    if position < 0 or position + count > len(ids):
        last = f"{position} .. {position + count - 1}" if count > 1 else f"{position}"
        raise UsageError(f"document {name!r}: cannot {verb} at {last} of {len(ids)} tokens; take positions within 0 .. {len(ids) - 1}")
