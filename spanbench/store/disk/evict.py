"""Making room: the least recently used records go, and what is left is packed into few full shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from spanbench.errors import UsageError
from spanbench.store.disk.faults import StoreBusy, StoreFull
from spanbench.store.disk.folder import leftovers, paper_names, shard_names
from spanbench.store.disk.index_shards import ShardRow, layout_of
from spanbench.store.disk.paper import read_paper
from spanbench.store.disk.place import ROWS, shard_of
from spanbench.store.disk.shard import read_layout
from spanbench.store.disk.shelf import SHARD_BYTES, Held, Shelf

__all__ = ["Freed", "collect", "evict", "least", "tidy"]

INDEX_BYTES = 24
"""About the bytes of one record in the index, on pages that are not full."""
SHARD_ROW_BYTES = 20
"""Bytes of a record's key and checksum in its shard."""
ROUNDS = 8
TIDY_BYTES = 2**21
"""Shards of a space that are together no larger are packed into one when a store is closed: a few milliseconds, and blocks saved."""
TIDY_INDEX_BYTES = 2**18
"""An index of no more bytes is packed then too."""


@dataclass(frozen=True, slots=True)
class Freed:
    """What `gc` did; bytes are those of the index and all shards."""

    evicted: int
    """Records that went."""
    leftovers: int
    """Files of writes that were never finished, or of shards that no record needs."""
    bytes_before: int
    bytes_after: int
    shards_before: int
    shards_after: int
    limit: int | None
    """The limit that was to be kept, in bytes; None: there is none."""
    damaged: int
    """Shards that were left as they are, since not all of their records are whole; `verify` tells of them."""


def collect(shelf: Shelf, limit: int | None) -> Freed:
    """Take away what no record needs, evict down to `limit` bytes, and pack what is left. Each step is a change of its own.

    Packing needs room for one more shard at a time; where the disk has none, the rest of a shard is evicted instead. The index is
    packed too where the disk has room for a copy of it.

    Raises:
        UsageError: a limit that not even a store without records would keep (0 asks for just that); nothing was evicted.
        StoreFull, StoreBusy, NoStore: what was done before stays done.
    """
    with shelf.index.reading():
        before, shards_before = shelf.nbytes, len(shelf.index.shards())
    swept = _sweep(shelf)
    evicted = 0
    if limit is not None:
        with suppress(StoreFull):  # a full disk: room is made first
            _pack(shelf)
        _pack_index(shelf)  # what its pages waste is no reason to evict
        _check_floor(shelf, limit)
        evicted = _down_to(shelf, limit)
    damaged = _pack(shelf)
    with shelf.changing():
        shelf.index.drop_empty_spaces()
    _pack_index(shelf)
    with shelf.index.reading():
        return Freed(evicted, swept, before, shelf.nbytes, shards_before, len(shelf.index.shards()), limit, damaged)


def tidy(shelf: Shelf) -> None:
    """Pack a small store that grew, of which file systems' blocks and half-empty pages take a larger share.

    Raises:
        StoreFull, StoreBusy, NoStore: what was done before stays done.
    """
    with shelf.index.reading():
        spaces = shelf.index.spaces()
        groups = [group for group in _groups(shelf) if len(group) > 1]
        small = [group for group in groups if sum(layout_of(*spaces[one.space], one.rows).file_bytes for one in group) <= TIDY_BYTES]
        index = shelf.index.nbytes
    for group in small:
        with shelf.changing():
            _merge(shelf, group)
    if index <= TIDY_INDEX_BYTES:
        _pack_index(shelf)


def least(shelf: Shelf) -> int:
    """Return the bytes that the store would take without any record: its index, and its documents twice."""
    with shelf.index.reading():
        return shelf.index.floor() + shelf.paper_bytes


def _check_floor(shelf: Shelf, limit: int) -> None:
    floor = least(shelf)
    with shelf.index.reading():
        documents = len(shelf.index.documents())
    if 0 < limit < floor:
        raise UsageError(
            f"a limit of {limit:,} bytes: without any record the store takes {floor:,} (its index, and documents: {documents:,}); "
            "nothing was evicted; give more, or 0 to evict all records"
        )


def _down_to(shelf: Shelf, limit: int) -> int:
    """Evict and pack in turn until the files are no larger than the limit: how much a record takes is known only about."""
    evicted = 0
    for done in range(ROUNDS):
        with shelf.index.reading():
            over = shelf.nbytes - limit
        if over <= 0:
            break
        evicted += evict(shelf, over * (1 + done))
        try:
            _pack(shelf)
        except StoreFull:
            evicted += _drop_emptiest(shelf)
        _pack_index(shelf)
    return evicted


def _drop_emptiest(shelf: Shelf) -> int:
    """Evict the rest of the shard that has the fewest records left of what it had: on a full disk nothing else makes room."""
    with shelf.changing():
        dirty = [shard for shard in shelf.index.shards() if shard.dead]
        if not dirty:
            return 0
        shard = max(dirty, key=lambda shard: shard.dead / shard.rows)
        shelf.index.clear_records(shard.id)
        shelf.drop(shard)
    return shard.rows - shard.dead


def _sweep(shelf: Shelf) -> int:
    """Take away files that no record needs; under the write lock, so that none of them is being written."""
    with shelf.changing():
        named = shelf.named()
        spaces = {space for space, _ in shelf.index.spaces().values()}
        shards = [path for name in shard_names(shelf.folder) if (path := shelf.path(name)).name not in named]
        papers = [path for name in paper_names(shelf.folder) if (path := shelf.folder / name).name not in named]
        gone = [
            *leftovers(shelf.folder),
            *(path for path in shards if (layout := read_layout(path)) is not None and layout.space in spaces),
            *(path for path in papers if read_paper(path) is not None),
        ]
        for path in gone:
            path.unlink(missing_ok=True)
    return len(gone)


def evict(shelf: Shelf, excess: int) -> int:
    """Take the least recently used records out, in one change, until about `excess` bytes fewer are needed.

    The room of a shard is free once it has no record left, or at the next packing.

    Returns:
        How many records went.
    """
    with shelf.changing():
        spaces = shelf.index.spaces()
        shards = shelf.index.shards()
        size = {shard.id: layout_of(*spaces[shard.space], shard.rows).record_bytes + SHARD_ROW_BYTES + INDEX_BYTES for shard in shards}
        gone = []
        for hashed, place in shelf.index.least_used():
            if excess <= 0:
                break
            gone.append((hashed, place))
            excess -= size[shard_of(place)]
        shelf.index.remove_hashed(gone)
        shelf.bury(place for _, place in gone)
    return len(gone)


def _pack(shelf: Shelf) -> int:
    """Write shards that are small, or have rows that are no records, into full ones; return how many could not be read whole."""
    damaged = 0
    with shelf.index.reading():
        groups = list(_groups(shelf))
    for group in groups:
        with shelf.changing():
            damaged += _merge(shelf, group)
    return damaged


def _merge(shelf: Shelf, group: list[ShardRow]) -> int:
    taken: list[Held] = []
    damaged = 0
    for shard in group:
        now = shelf.index.shard(shard.id)
        if now is None or now.name != shard.name:  # another process was here first
            continue
        held = shelf.take(now)
        taken, damaged = taken + (held or []), damaged + (held is None)
    if taken:
        number = group[0].space
        shelf.write(number, *shelf.index.spaces()[number], taken)
    return damaged


def _groups(shelf: Shelf) -> Iterator[list[ShardRow]]:
    """Yield shards of one space that belong into one."""
    for number, (space, fields) in shelf.index.spaces().items():
        record_bytes = max(1, layout_of(space, fields, 1).record_bytes)
        most = min(ROWS, max(1, SHARD_BYTES // record_bytes))
        group: list[ShardRow] = []
        rows = 0
        for shard in shelf.index.shards():
            if shard.space != number or (shard.dead == 0 and shard.rows * 2 > most):
                continue
            if group and rows + shard.rows - shard.dead > most:
                yield from _worth(group)
                group, rows = [], 0
            group.append(shard)
            rows += shard.rows - shard.dead
        yield from _worth(group)


def _worth(group: list[ShardRow]) -> Iterator[list[ShardRow]]:
    if len(group) > 1 or any(shard.dead for shard in group):
        yield group


def _pack_index(shelf: Shelf) -> None:
    with suppress(StoreBusy, StoreFull):  # it is only larger than it need be
        shelf.index.vacuum()
