"""A store's records and their spaces: put in commits, with documents or without, got by key, deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spanbench.store.disk.entry import KEY_BYTES, Document, Entry, RawTensor, Space
from spanbench.store.disk.faults import SpaceMismatch
from spanbench.store.disk.limit import Limit
from spanbench.store.disk.lookup import Lookup
from spanbench.store.disk.packing import check_name, prepared
from spanbench.store.disk.shelf import Held, Shelf

__all__ = ["StoreRecords"]


class StoreRecords:
    """Records by key on an open shelf; a commit may write documents beside them."""

    def __init__(self, shelf: Shelf, limit_bytes: int | None) -> None:
        self._shelf, self._limit, self._lookup = shelf, Limit(shelf, limit_bytes), Lookup(shelf)
        self._grew = False

    def put(self, space: Space, entries: Sequence[Entry]) -> int:
        """Store records in one commit, all or nothing, on the disk on return; keys that are there already are skipped.

        Returns:
            How many are new.

        Raises:
            UsageError: entries that cannot be stored, or do not look like the space's.
            StoreFull, StoreBusy, NoStore: nothing was kept.
        """
        return self.commit({space: entries})

    def commit(
        self,
        batches: Mapping[Space, Sequence[Entry]],
        documents: Sequence[Document] = (),
        *,
        expected: Mapping[str, Document | None] | None = None,
        used: Mapping[Space, Sequence[bytes]] | None = None,
    ) -> int:
        """Do what `put` does for several spaces and documents (written over those of the same name) in one commit.

        Args:
            batches: records by their space.
            documents: what to write beside them.
            expected: by name, what the store must hold of a document when the lock is held: as `document` gave it, or None for none.
            used: keys, by their space, that count as used now, whether they were there or came with this commit.

        Returns:
            How many records are new.

        Raises:
            StaleDocument: a document is not as expected; nothing was kept.
            SpaceMismatch: the store holds records of another encoder, span or dtype; nothing was kept.
            UsageError, StoreFull, StoreBusy, NoStore: as for `put`.
        """
        packed = [(space, *prepared(space, entries)) for space, entries in batches.items() if entries]
        self._limit.check(packed)
        for document in documents:
            check_name(document.name)
        new = 0
        with self._shelf.changing():
            for name, before in (expected or {}).items():
                self._shelf.check_document(name, before)
            self._lookup.apply_marks()
            for space, fields, records in packed:
                self._check_bound(space)
                number = self._shelf.space_for(space, fields)
                places = self._shelf.find(number, list(records), gone_too=True)
                fresh = [Held(record) for record, place in zip(records.values(), places, strict=True) if place is None]
                self._shelf.add(number, space, fields, fresh)
                new += len(fresh)
            for document in documents:
                self._shelf.write_document(document)
            for space, keys in (used or {}).items():
                self._shelf.mark(space, [key[:KEY_BYTES] for key in keys])
            self._limit.note()
        self._lookup.forget_marks()
        self._grew |= new > 0
        self._limit.keep()
        return new

    @property
    def limit(self) -> int | None:
        """The most bytes of all files: as given, else as noted in the store; None for no limit."""
        return self._limit.most

    def get(self, space: Space, keys: Sequence[bytes]) -> list[Mapping[str, RawTensor] | None]:
        """Return the records of some keys, None for each that is not there; their bytes are those that were stored.

        Raises:
            CorruptStore: a record's bytes are not those that were written, or its shard is gone.
        """
        return self._lookup.get(space, keys)

    def has(self, space: Space, keys: Sequence[bytes]) -> list[bool]:
        """Return which records are there, by the keys in the shards; their other bytes are not read.

        Raises:
            CorruptStore: a shard is gone.
        """
        return self._lookup.has(space, keys)

    def delete(self, space: Space, keys: Sequence[bytes]) -> int:
        """Take records away in one commit; their bytes are freed by `gc`, or when their shard has none left.

        Returns:
            How many there were.
        """
        with self._shelf.changing():
            known = self._shelf.space(space)
            if known is None:
                return 0
            unique = list(dict.fromkeys(key[:KEY_BYTES] for key in keys))
            found = [
                (key, one) for key, one in zip(unique, self._shelf.find(known[0], unique, gone_too=True), strict=True) if one is not None
            ]
            self._shelf.index.remove(known[0], [(key, one.place) for key, one in found])
            self._shelf.bury(one.place for _, one in found)
        return len(found)

    def spaces(self) -> list[Space]:
        """Return the spaces of which the store has records, in the order in which they came."""
        with self._shelf.index.reading():
            held = {shard.space for shard in self._shelf.index.shards() if shard.dead < shard.rows}
            return [space for number, (space, _) in self._shelf.index.spaces().items() if number in held]

    def require(self, space: Space) -> None:
        """Refuse a space that is not the store's: one of each kind, for as long as it has records of it, or any document.

        Raises:
            SpaceMismatch: what it holds and what was asked for.
        """
        with self._shelf.index.reading():
            self._check_bound(space)

    def _check_bound(self, space: Space) -> None:
        known = self._shelf.bound(space.kind)
        if known and space not in known:
            raise SpaceMismatch(
                f"{str(self._shelf.folder)!r} holds {'; '.join(map(str, known))}; asked for was {space}: "
                "take the same weights, span and dtype, or another store"
            )
