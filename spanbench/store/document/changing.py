"""A change of a document that other processes change as well: made to what is there when it is written, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from spanbench.store.disk import StaleDocument, StoreBusy

__all__ = ["TRIES", "retried"]

T = TypeVar("T")

TRIES = 100
"""How often a change is made again; each time, another process's change went through."""


def retried(name: str, change: Callable[[], T]) -> T:
    """Make a change, and again where another process changed the document between reading and writing.

    Raises:
        StoreBusy: it did so each time.
    """
    for _ in range(TRIES):
        try:
            return change()
        except StaleDocument:
            continue
    raise StoreBusy(f"document {name!r}: was changed by others {TRIES} times meanwhile, and this change is not made; try again")
