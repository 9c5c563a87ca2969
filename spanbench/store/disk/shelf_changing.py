"""What makes a change of index and files whole: it is committed at its end, or nothing of it is kept.

A change holds the index's write lock from its first look to its commit. New shards are on the disk before the commit that names
them, old ones are taken away after the commit that no longer does. So a process that dies leaves at most files that no record needs.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spanbench.errors import SpanbenchError
from spanbench.store.disk.faults import NoStore, StoreFull
from spanbench.store.disk.index import Index
from spanbench.store.disk.shard import SUFFIX
from spanbench.store.disk.shelf_reading import ShelfReading

__all__ = ["ShelfChanging"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ShelfChanging(ShelfReading):
    """An open index and the files beside it, one change at a time."""

    def __init__(self, folder: Path, index: Index) -> None:
        super().__init__(folder, index)
        self._made: list[str] = []
        self.gone: list[str] = []
        """Names of files that go after the commit of the change that is under way."""
        self.now = 0
        """The tick of the change that is under way."""

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make one change: committed at the end, or nothing of it is kept.

        Raises:
            StoreFull: the disk has no room.
            NoStore: the folder cannot be written.
        """
        self._made, self.gone = [], []
        try:
            with self.index.writing():
                self.now = self.index.tick()
                yield
        except BaseException as error:
            self._take_back()
            if isinstance(error, OSError):
                raise self._meaning(error) from None
            raise
        self._unlink(self.gone)

    def _take_back(self) -> None:
        """Take away what a failed change wrote, unless it was committed after all: Ctrl-C may come just behind the commit."""
        try:
            with self.index.reading():
                named = self.named()
        except SpanbenchError:  # what is left is no record; `verify` and `gc` take it away
            return
        self._unlink(name for name in self._made if name not in named)

    def _unlink(self, names: Iterable[str]) -> None:
        for name in names:
            self._open.pop(name.removesuffix(SUFFIX), None)
            try:
                (self.folder / name).unlink(missing_ok=True)
            except OSError:  # what is left is no record any more; `verify` and `gc` tell of it and take it away
                continue

    def let_go(self, name: str) -> None:
        """Take a file, by its whole name, away after the commit."""
        self.gone.append(name)

    def _meaning(self, error: OSError) -> Exception:
        where, why = repr(str(self.folder)), error.strerror or str(error)
        if error.errno in FULL:
            return StoreFull(
                f"{where}: its disk has no room ({why}); nothing of this write was kept; make room, or take spanbench store gc --limit"
            )
        return NoStore(f"{where} cannot be written ({why}); name a folder that you may write")
