"""Files of records are read, line by line: what is half-written is left out and told, what is no record is named by its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spanbench.errors import SpanbenchError, UsageError
from spanbench.files import why
from spanbench.record.lines import is_cut
from spanbench.record.models import Record

__all__ = ["Note", "Stored", "each", "read"]

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record, and where it stands: the byte that its line begins with. Files of thousands do not fit in memory as records."""

    path: Path
    start: int
    record: Record

    @staticmethod
    def at(path: Path, start: int, name: str) -> Record:
        """Return the record of the line that begins at this byte, whose id is `name`.

        Raises:
            UsageError: the file cannot be read, or something else stands there now.
        """
        try:
            with path.open("rb") as file:
                file.seek(start)
                found = Record.from_line(file.readline().decode("utf-8"), str(path))
        except OSError as error:
            raise UsageError(f"cannot read records from {str(path)!r}: {why(error)}") from None
        except (SpanbenchError, ValueError):
            found = None
        if found is None or found.id != name:
            raise UsageError(f"{str(path)!r} changed while it was read; nothing was done, begin again")
        return found


def read(path: Path, note: Note | None = None) -> list[Record]:
    """Return all records of a file, see `each`."""
    return [stored.record for stored in each(path, note)]


def each(path: Path, note: Note | None = None) -> Iterator[Stored]:
    """Yield the records of a file one by one. A half-written last line is left out, and `note` is told so.

    One that others follow (a run was killed, and the next went on) is left out too, where there is a `note` to tell of it.

    Raises:
        UsageError: no such file, or a line that is no record (its number is named).
        SchemaMismatch: a record of another schema.
    """
    try:
        with path.open("rb") as file:
            start = 0
            for number, line in enumerate(file, start=1):
                if line.strip() and (record := _record(line, number, path, note, last=not line.endswith(b"\n"))) is not None:
                    yield Stored(path, start, record)
                start += len(line)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read records from {str(path)!r}: {why(error)}") from None


def _record(line: bytes, number: int, path: Path, note: Note | None, *, last: bool) -> Record | None:
    """Return the record of a line; None where it is half-written and may be left out."""
    try:
        return Record.from_line(line.decode("utf-8"), f"{path}, line {number}")
    except (UsageError, UnicodeDecodeError) as error:
        if (last or note is not None) and is_cut(line):
            if note is not None:
                note(f"{path}: line {number} is half-written and was left out")
            return None
        if isinstance(error, UnicodeDecodeError):
            raise UsageError(f"cannot read records from {str(path)!r}: line {number} is not UTF-8 text") from None
        raise
