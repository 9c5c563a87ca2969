"""A baseline put in a file at once: a reader finds the old one or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from spanbench.errors import UsageError

__all__ = ["check_new", "write_text"]


def check_new(path: str, option: str, *, force: bool) -> None:
    """Refuse, before any work is done, a file that could not be made, or that is there already.

    Raises:
        UsageError: what stands in the way.
    """
    place = Path(path)
    if place.is_dir():
        raise UsageError(f"{option} {path!r}: is a folder; name a file in it, such as {str(place / 'baseline.jsonl')!r}")
    if not place.parent.is_dir():
        raise UsageError(f"{option} {path!r}: the folder {str(place.parent)!r} does not exist; make it first")
    if place.exists() and not force:
        raise UsageError(f"{option} {path!r}: is there already; spanbench baseline update counts it anew, --force replaces it")


def write_text(path: str, text: str, option: str = "--out") -> None:
    """Write a text beside the file, have it on the disk, and put it in the file's place.

    Raises:
        UsageError: it cannot be written; the file is then as it was.
    """
    place = Path(os.path.realpath(path))  # a link stays a link
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        try:
            _fill(handle, text, place)
            Path(beside).replace(place)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        _sync_folder(place.parent)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{option} {path!r}: cannot be written ({reason}); it is as it was") from None


def _fill(handle: int, text: str, place: Path) -> None:
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode("utf-8"))
        file.flush()
        os.fchmod(handle, _mode(place))
        os.fsync(handle)


def _mode(place: Path) -> int:
    """Return the file's own permissions, or those of a new one: a temporary file is its owner's alone."""
    if place.exists():
        return place.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
