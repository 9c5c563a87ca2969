"""The most bytes that a store may take: noted in it, checked before a put, kept to after it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from spanbench.store.disk.entry import Field, Space
from spanbench.store.disk.evict import collect, least
from spanbench.store.disk.faults import StoreBusy, StoreFull
from spanbench.store.disk.shard import Record
from spanbench.store.disk.shelf import Shelf

__all__ = ["Limit"]

KEPT_SHARE = 0.9
"""What is left of a limit once a put went over it, so that not every put evicts."""


class Limit:
    """The limit of one shelf; `given` holds over what is noted there, and is noted by the next change."""

    def __init__(self, shelf: Shelf, given: int | None) -> None:
        self._shelf, self._given = shelf, given

    @property
    def most(self) -> int | None:
        """The most bytes of all files: as given, else as noted in the store; None for no limit."""
        if self._given is not None:
            return self._given
        with self._shelf.index.reading():
            return self._shelf.index.limit()

    def note(self) -> None:
        """Note what was given in the store, in the change that is under way."""
        if self._given is not None and self._given != self._shelf.index.limit():
            self._shelf.index.set_limit(self._given)

    def check(self, packed: Sequence[tuple[Space, tuple[Field, ...], dict[bytes, Record]]]) -> None:
        """Refuse records, by their space and fields, that cannot be kept to the limit.

        Raises:
            StoreFull: they do not fit, whatever is evicted.
        """
        limit = self.most
        if limit is None:
            return
        size = sum(sum(field.nbytes for field in fields) * len(records) for _, fields, records in packed)
        beside = least(self._shelf)
        if size + beside > limit * KEPT_SHARE:
            raise StoreFull(
                f"{str(self._shelf.folder)!r}: {size:,} bytes at once, beside {beside:,} of documents and index, do not fit the limit "
                f"of {limit:,}; raise it"
            )

    def keep(self) -> None:
        """Evict the least recently used records where a put went over the limit."""
        limit = self.most
        if limit is None or self._shelf.nbytes <= limit:
            return
        with suppress(StoreBusy, StoreFull):  # what was put is kept all the same, and the next put will try again
            collect(self._shelf, max(int(limit * KEPT_SHARE), least(self._shelf)))
