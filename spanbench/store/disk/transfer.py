"""Records and documents from one store into another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spanbench.store.disk.entry import Entry, Field, Space
from spanbench.store.disk.faults import CorruptStore
from spanbench.store.disk.index_shards import ShardRow
from spanbench.store.disk.packing import tensors
from spanbench.store.disk.shelf import Shelf

if TYPE_CHECKING:
    from spanbench.store.disk.store import Store

__all__ = ["Copied", "copy"]


@dataclass(frozen=True, slots=True)
class Copied:
    """What came into a store: new records, new documents by name, and the names of documents that it has with other content."""

    records: int
    documents: tuple[str, ...]
    differing: tuple[str, ...]
    """These stay in the target as they are."""


def copy(source: Shelf, target: Store, documents: Sequence[str] | None) -> Copied:
    """Copy every record, and some documents (None: all), shard by shard; each is a commit of its own, so it may be gone on with.

    A document that the target has stays as it is there.

    Raises:
        SpaceMismatch: the target holds records of another encoder, span or dtype; nothing was copied.
        CorruptStore: a shard that is not whole; what was copied before stays.
    """
    with source.index.reading():
        spaces, shards = source.index.spaces(), source.index.shards()
        known = source.index.documents()
        chosen = [one for name in known if documents is None or name in documents if (one := source.index.document(name)) is not None]
    for space in {spaces[shard.space][0]: None for shard in shards if shard.dead < shard.rows}:
        target.require(space)
    new = sum(_copy_shard(source, shard, *spaces[shard.space], target) for shard in shards)
    there = {name: target.document(name) for name in target.documents()}
    missing = [document for document in chosen if document.name not in there]
    target.commit({}, missing, expected={document.name: None for document in missing})
    differing = (document.name for document in chosen if document.name in there and there[document.name] != document)
    return Copied(new, tuple(document.name for document in missing), tuple(differing))


def _copy_shard(source: Shelf, shard: ShardRow, space: Space, fields: tuple[Field, ...], target: Store) -> int:
    held = source.live(shard)
    if held is None or not all(one.record.whole for _, one in held):
        raise CorruptStore(f"{str(source.path(shard.name))!r} is not whole; spanbench store verify tells more")
    return target.put(space, [Entry(one.record.key, tensors(fields, one.record)) for _, one in held])
