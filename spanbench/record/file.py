"""Files of records: JSON lines, appended to and never rewritten."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from spanbench.errors import UsageError
from spanbench.record.models import Record

__all__ = ["append", "check_writable", "read"]


def check_writable(path: Path, option: str = "--out") -> None:
    """Refuse, before any work is done, a file that a record could not be appended to. Leaves no trace.

    Raises:
        UsageError: a folder, a missing parent folder, no permission, or a file that holds something else.
    """
    try:
        _check_place(path, option)
        head = _try_to_append(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"{option}: cannot write {str(path)!r}: {_why(error)}; name a file you may write") from None
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
    os.close(_open_to_append(path))
    if existed:
        return _head(path)
    path.unlink()
    return b""


def _why(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def append(path: Path, record: Record, option: str = "--out") -> None:
    """Append one record as one line, and have it on the disk before returning.

    Raises:
        UsageError: the file cannot be written (see `check_writable`), or the disk is full.
    """
    check_writable(path, option)
    try:
        handle = _open_to_append(path)
        with os.fdopen(handle, "ab", buffering=0) as file:
            # A run that died within a line left it without its end: keep it a line of its own.
            _write_all(handle, b"\n" * _ends_within_a_line(path) + record.to_line().encode())
            _sync(file.fileno())
    except OSError as error:
        raise UsageError(f"{option}: cannot write {str(path)!r}: {_why(error)}") from None


def read(path: Path, note: Callable[[str], None] | None = None) -> list[Record]:
    """Return all records of a file. A half-written last line is left out, and `note` is told so.

    Raises:
        UsageError: no such file, or a line that is no record (its number is named).
        SchemaMismatch: a record of another schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"cannot read records from {str(path)!r}: it is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read records from {str(path)!r}: {_why(error)}") from None
    lines = text.split("\n")
    if lines[-1].strip() and not _is_json(lines[-1]):
        if note is not None:
            note(f"{path}: line {len(lines)} is half-written and was left out")
        lines.pop()
    return list(_records(lines, path))


def _records(lines: list[str], path: Path) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Record.from_line(line, f"{path}, line {number}")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _open_to_append(path: Path) -> int:
    # Non-blocking while opening: a named pipe without a reader is refused instead of waited for.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
    os.set_blocking(handle, True)
    return handle


def _head(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        return b""
    with path.open("rb") as file:
        return file.read(4096)


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
