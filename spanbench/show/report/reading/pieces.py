"""Files of records cut into pieces at the ends of lines, so that several processes can read one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import cast

from spanbench.errors import UsageError
from spanbench.files import why
from spanbench.record.lines import is_cut
from spanbench.show.report.reading.digest import Digest, Wanted, digest_line

__all__ = ["PIECE_BYTES", "Piece", "Reading", "pieces_of", "read_piece"]

PIECE_BYTES = 16_000_000
"""About what a piece holds: a tenth of a second's work."""

_BUFFER = 2**20
"""A line is about 100 kB; the usual buffer has 8."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a file, from the byte `start` to the byte `end`, which begins a line too; None: to the file's end."""

    path: str
    start: int = 0
    end: int | None = None
    file: tuple[int, int] | None = None
    """Device and inode of a file that was cut: a name such as /dev/stdin is another file in another process."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a piece held: its records, how many lines, and those of them that were half-written (the first is 1)."""

    digests: list[Digest]
    lines: int
    torn: list[int]


def pieces_of(path: Path, size: int = PIECE_BYTES) -> Iterator[Piece]:
    """Yield a file's pieces in its order, each of about `size` bytes. What cannot be sought in is one.

    Raises:
        OSError: it cannot be read.
        ValueError: no name of a file.
    """
    start = 0
    with path.open("rb") as file:
        known = os.fstat(file.fileno())
        while stat.S_ISREG(known.st_mode) and known.st_size - start > 2 * size:
            file.seek(start + size)
            file.readline()
            if file.tell() >= known.st_size:
                break
            yield Piece(str(path), start, file.tell(), (known.st_dev, known.st_ino))
            start = file.tell()
    yield Piece(str(path), start, file=(known.st_dev, known.st_ino) if start else None)


def read_piece(piece: Piece, wanted: Wanted, before: int = 0) -> Reading:
    """Return what is in a piece, by the rules of `spanbench.record.read`; `before` is how many lines of the file precede it.

    Raises:
        UsageError: a line that is no record, or a file that cannot be read.
        SchemaMismatch: a record of another schema.
    """
    try:
        with cast("BufferedReader", Path(piece.path).open("rb", buffering=_BUFFER)) as file:
            if piece.file is not None:
                _check_same(file, piece)
                file.seek(piece.start)
            return _reading(file, piece, wanted, before)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"cannot read records from {piece.path!r}: {why(error)}") from None


def _check_same(file: BufferedReader, piece: Piece) -> None:
    found = os.fstat(file.fileno())
    if (found.st_dev, found.st_ino) != tuple(piece.file or ()):
        raise UsageError(f"{piece.path!r} changed while it was read; begin again")


def _reading(file: BufferedReader, piece: Piece, wanted: Wanted, before: int) -> Reading:
    digests: list[Digest] = []
    torn: list[int] = []
    number = 0
    for number, line in enumerate(_lines(file, piece), start=1):
        if stripped := line.strip():
            found = _digest(stripped, f"{piece.path}, line {before + number}", wanted)
            if found is None:
                torn.append(number)
            else:
                digests.append(found)
    return Reading(digests, number, torn)


def _lines(file: BufferedReader, piece: Piece) -> Iterator[bytes]:
    if piece.end is None:
        yield from file
        return
    left = piece.end - piece.start
    while left > 0 and (line := file.readline()):
        left -= len(line)
        yield line


def _digest(line: bytes, where: str, wanted: Wanted) -> Digest | None:
    """Return the record of a line; None where its writer died within it."""
    try:
        return digest_line(line, where, wanted)
    except (UnicodeDecodeError, UsageError) as error:
        if is_cut(line):
            return None
        if isinstance(error, UnicodeDecodeError):
            raise UsageError(f"{where}: is not UTF-8 text") from None
        raise
