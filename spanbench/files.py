"""Files written whole: a reader finds the old content or the new one, never a part, whenever the writer dies."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["sync_folder", "why", "write_whole"]


def write_whole(path: Path, content: Iterable[bytes], *, new: bool = False) -> None:
    """Write beside the file, have it on the disk, and put it in the file's place. A link stays a link, and permissions stay.

    Args:
        path: the file.
        content: what it is to hold, piece by piece.
        new: replace no file, not even one that appeared meanwhile.

    Raises:
        OSError: it cannot be written; the file is then as it was, and nothing is left beside it.
    """
    place = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(_mode(place))
        _put(beside, place, new=new)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    sync_folder(place.parent)


def _put(beside: Path, place: Path, *, new: bool) -> None:
    if new:
        place.hardlink_to(beside)  # fails where another process was quicker
        beside.unlink()
    else:
        beside.replace(place)


def _mode(place: Path) -> int:
    """Return the file's own permissions, or those of a new one: a temporary file is its owner's alone."""
    if place.exists():
        return place.stat().st_mode & 0o777
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask


def sync_folder(folder: Path) -> None:
    """Have new names of files on the disk too, where a folder can be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        with suppress(OSError):  # nor does every file system sync one
            os.fsync(handle)
    finally:
        os.close(handle)


def why(error: OSError | ValueError) -> str:
    """Return in words why a file cannot be used; ValueError: its name has a null character."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
