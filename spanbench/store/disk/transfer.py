"""Records and documents from one store into another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spanbench.store.disk.entry import Entry
from spanbench.store.disk.faults import CorruptStore
from spanbench.store.disk.packing import tensors
from spanbench.store.disk.shelf import Shelf

if TYPE_CHECKING:
    from spanbench.store.disk.store import Store

__all__ = ["copy"]


def copy(source: Shelf, target: Store, documents: Sequence[str] | None) -> int:
    """Copy every record, and some documents (None: all), shard by shard; each is a commit of its own, so it may be gone on with.

    A document that the target has stays as it is there.

    Returns:
        How many records were new there.

    Raises:
        CorruptStore: a shard that is not whole; what was copied before stays.
    """
    new = 0
    with source.index.reading():
        spaces, shards = source.index.spaces(), source.index.shards()
        known = source.index.documents()
        chosen = [one for name in known if documents is None or name in documents if (one := source.index.document(name)) is not None]
    for shard in shards:
        space, fields = spaces[shard.space]
        held = source.live(shard)
        if held is None or not all(one.record.whole for _, one in held):
            raise CorruptStore(f"{str(source.path(shard.name))!r} is not whole; spanbench store verify tells more")
        new += target.put(space, [Entry(one.record.key, tensors(fields, one.record)) for _, one in held])
    there = set(target.documents())
    target.commit({}, [document for document in chosen if document.name not in there])
    return new
