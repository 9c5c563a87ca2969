"""Locks on open files: of one process, gone with it however it ends, and seen by every process of the machine."""

from __future__ import annotations

from typing import Any

__all__ = ["try_lock"]

_fcntl: Any
try:
    import fcntl as _fcntl
except ImportError:  # Windows has none; nothing is locked there
    _fcntl = None


def try_lock(handle: int) -> bool:
    """Lock an open file for its holder alone; False where someone else has it.

    The lock goes with the descriptor: closing it, or the end of the process, gives it back. Where a file cannot be
    locked (Windows, some network file systems) it is held to be locked, since refusing to work would help nobody.
    """
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(handle, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system has no locks
        return True
    return True
