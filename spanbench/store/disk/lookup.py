"""Records looked up by key while other processes may move them, and the uses that are remembered until they are written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from spanbench.store.disk.entry import KEY_BYTES, RawTensor, Space
from spanbench.store.disk.faults import CorruptStore, NoStore
from spanbench.store.disk.index_shards import ShardRow
from spanbench.store.disk.packing import runs, tensors
from spanbench.store.disk.shard import Record
from spanbench.store.disk.shelf import Shelf
from spanbench.store.disk.shelf_reading import Found

__all__ = ["Lookup"]

T = TypeVar("T")

TRIES = 20
"""How often a record is looked for again where another process moved it meanwhile."""
MARKS = 4096
"""Uses that are remembered before they are written down."""


class Lookup:
    """What looks records of one shelf up, and remembers which were used."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._used: dict[tuple[int, bytes], int] = {}

    def get(self, space: Space, keys: Sequence[bytes]) -> list[Mapping[str, RawTensor] | None]:
        """Return the records of some keys, None for each that is not there; their bytes are those that were stored.

        Raises:
            CorruptStore: a record's bytes are not those that were written, or its shard is gone.
        """
        wanted = [key[:KEY_BYTES] for key in keys]
        return self._retried(lambda: self._get(space, wanted))

    def has(self, space: Space, keys: Sequence[bytes]) -> list[bool]:
        """Return which records are there, by the keys in the shards; their other bytes are not read.

        Raises:
            CorruptStore: a shard is gone.
        """
        wanted = [key[:KEY_BYTES] for key in keys]
        return self._retried(lambda: self._has(space, wanted))

    def _retried(self, look: Callable[[], T]) -> T:
        """Look again where another process moved what was looked for into another shard meanwhile."""
        gone = ""
        for _ in range(TRIES):
            try:
                return look()
            except FileNotFoundError as error:
                gone = str(error.filename)
            except OSError as error:
                raise NoStore(f"{str(self._shelf.folder)!r} cannot be read ({error.strerror}); name a folder that you may read") from None
        raise CorruptStore(f"{gone!r} is gone, and the index names it; spanbench store verify --repair says what is lost")

    def _get(self, space: Space, keys: Sequence[bytes]) -> list[Mapping[str, RawTensor] | None]:
        with self._shelf.index.reading():
            known = self._shelf.space(space)
            found = [] if known is None else self._shelf.candidates(known[0], keys)
        if known is None:
            return [None] * len(keys)
        number, fields = known
        records = {(shard.name, row): record for shard, row, record in self._read(found)}
        answers: list[Mapping[str, RawTensor] | None] = []
        for key, here in zip(keys, found, strict=True):
            place = next((one for one in here if records[one.shard.name, one.row].key == key), None)
            answers.append(None if place is None else tensors(fields, records[place.shard.name, place.row]))
            if place is not None:
                self._used[number, key] = place.place
        if len(self._used) >= MARKS:
            self.write_marks()
        return answers

    def _read(self, found: Sequence[Sequence[Found]]) -> Iterator[tuple[ShardRow, int, Record]]:
        """Read rows that follow one another at once."""
        rows: dict[ShardRow, set[int]] = defaultdict(set)
        for one in (one for here in found for one in here):
            rows[one.shard].add(one.row)
        for shard, wanted in rows.items():
            file = self._shelf.shard(shard)
            for start, count in runs(sorted(wanted)):
                for row, record in enumerate(file.records(start, count), start):
                    if not record.whole:
                        raise CorruptStore(
                            f"{str(file.path)!r}: record {row} is not what was written; spanbench store verify --repair takes it out"
                        )
                    yield shard, row, record

    def _has(self, space: Space, keys: Sequence[bytes]) -> list[bool]:
        with self._shelf.index.reading():
            known = self._shelf.space(space)
            found = [] if known is None else self._shelf.find(known[0], keys)
        return [one is not None for one in found] if known is not None else [False] * len(keys)

    def apply_marks(self) -> None:
        """Write the uses down in the change that is under way; `forget_marks` follows its commit."""
        marks: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
        for (number, key), place in self._used.items():
            marks[number].append((key, place))
        for number, rows in marks.items():
            self._shelf.index.mark(number, rows, self._shelf.now)

    def forget_marks(self) -> None:
        """Forget the uses: they are written down."""
        self._used.clear()

    def write_marks(self) -> None:
        """Write the uses down in a change of their own, where the store may be written."""
        if not self._used or self._shelf.index.read_only:
            self.forget_marks()
            return
        with self._shelf.changing():
            self.apply_marks()
        self.forget_marks()
