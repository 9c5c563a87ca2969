"""What can be wrong with a store, one exception a cause."""

from __future__ import annotations

from spanbench.errors import SpanbenchError, UsageError

__all__ = ["CorruptStore", "NewerStore", "NoStore", "SpaceMismatch", "StaleDocument", "StoreBusy", "StoreFull"]


class NoStore(UsageError):
    """The folder is no store, or cannot be read or written."""


class StoreFull(UsageError):
    """The disk, or the store's own limit, has no room for what was to be written; nothing of it was kept."""


class StoreBusy(UsageError):
    """Another process held the store for longer than this one would wait."""


class StaleDocument(UsageError):
    """A document is not what a change was made from: another process was there first, and nothing of this change was kept."""


class NewerStore(SpanbenchError):
    """A newer version of spanbench wrote the store, so what it holds is not known."""

    exit_code = 3


class SpaceMismatch(SpanbenchError):
    """The store holds records of another encoder, span or dtype than was asked for."""

    exit_code = 3


class CorruptStore(SpanbenchError):
    """What is on the disk is not what was written; `verify` tells what, and repairs it."""

    exit_code = 3
