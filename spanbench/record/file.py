"""Files of records are written: JSON lines, appended to and never rewritten.

A run that dies within a line leaves it on the disk without its end. The next record begins a line of its own, so such a
line may stand anywhere; readers leave it out and say so (see reading.py).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spanbench.errors import UsageError
from spanbench.files import sync_folder, why
from spanbench.record.lock import try_lock
from spanbench.record.models import Record

__all__ = ["append", "appending", "check_writable"]


def check_writable(path: Path, option: str = "--out") -> None:
    """Refuse, before any work is done, a file that a record could not be appended to. Leaves no trace.

    Raises:
        UsageError: a folder, a missing parent folder, no permission, or a file that holds something else.
    """
    try:
        _check_place(path, option)
        head = _try_to_append(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"{option}: cannot write {str(path)!r}: {why(error)}; name a file you may write") from None
    if head.strip() and not head.lstrip().startswith(b"{"):
        raise UsageError(f"{option}: {str(path)!r} holds something other than records; name a new file, or one of JSON lines")


def _check_place(path: Path, option: str) -> None:
    if path.is_dir():
        raise UsageError(f"{option}: {str(path)!r} is a folder; name a file in it, such as {str(path / 'records.jsonl')!r}")
    if not path.parent.is_dir():
        raise UsageError(f"{option}: the folder {str(path.parent)!r} of {str(path)!r} does not exist; make it first")


def _try_to_append(path: Path) -> bytes:
    """Open the file as `append` would, and return how it begins."""
    existed = path.exists()
    handle = _open_to_append(path)
    try:
        head = _head(path)
        if not existed and not head:
            _take_away_if_ours(path, handle)
        return head
    finally:
        os.close(handle)


def append(path: Path, record: Record, option: str = "--out") -> None:
    """Append one record as one line, and have it on the disk before returning.

    Raises:
        UsageError: the file cannot be written (see `check_writable`), or the disk is full.
    """
    check_writable(path, option)
    try:
        handle = _open_to_append(path)
        with os.fdopen(handle, "ab", buffering=0):
            _append(handle, path, record)
    except OSError as error:
        raise UsageError(f"{option}: cannot write {str(path)!r}: {why(error)}") from None


@contextmanager
def appending(path: Path, option: str = "--out") -> Iterator[Callable[[Record], None]]:
    """Hold a file for this process alone and yield what `append` does; a new file that got no record is taken away.

    Raises:
        UsageError: another process holds it, it is no file that could be read again, or it cannot be written.
    """
    check_writable(path, option)
    try:
        if not _is_or_can_be_a_file(path):
            raise UsageError(f"{option}: {str(path)!r} is no file that can be read again; name a file")
        handle = _held(path)
    except OSError as error:
        raise UsageError(f"{option}: cannot write {str(path)!r}: {why(error)}") from None
    if handle is None:
        raise UsageError(f"{option}: another sweep or merge is writing {str(path)!r}; wait for its end, or name another file")

    def append_held(record: Record) -> None:
        if not _names(path, handle):
            raise UsageError(
                f"{option}: {str(path)!r} was replaced or taken away by another program; what was kept went with it, begin again"
            )
        try:
            _append(handle, path, record)
        except OSError as error:
            raise UsageError(f"{option}: cannot write {str(path)!r}: {why(error)}") from None

    try:
        yield append_held
    finally:
        _take_away_if_ours(path, handle)
        os.close(handle)


def _take_away_if_ours(path: Path, handle: int) -> None:
    """Remove a file that was made here and is empty, unless another process has begun to use it: only who locks it may.

    A link that pointed to nothing stays, and points to nothing again.
    """
    if os.fstat(handle).st_size == 0 and try_lock(handle) and _names(path, handle):
        Path(os.path.realpath(path)).unlink()


def _is_or_can_be_a_file(path: Path) -> bool:
    """Tell whether a path names a file, or nothing yet; asked once, since another process may take it away between two questions."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


def _held(path: Path) -> int | None:
    """Open a file and lock it; None where another process has it."""
    while True:
        handle = _open_to_append(path)
        if not try_lock(handle):
            os.close(handle)
            return None
        if _names(path, handle):
            sync_folder(path.parent)
            return handle
        os.close(handle)  # it was replaced or taken away between the two steps


def _names(path: Path, handle: int) -> bool:
    """Tell whether a path still names an open file: another process may have replaced it, or taken it away."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _append(handle: int, path: Path, record: Record) -> None:
    # A run that died within a line left it without its end: keep it a line of its own.
    _write_all(handle, b"\n" * _ends_within_a_line(path) + record.to_line().encode())
    _sync(handle)


def _open_to_append(path: Path) -> int:
    # Non-blocking while opening: a named pipe without a reader is refused instead of waited for.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
    os.set_blocking(handle, True)
    return handle


def _head(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            return file.read(4096)
    except FileNotFoundError:  # another process made it, and has just taken it away again
        return b""


def _ends_within_a_line(path: Path) -> bool:
    if not stat.S_ISREG(path.stat().st_mode) or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a terminal or a pipe has no disk to reach
            raise
