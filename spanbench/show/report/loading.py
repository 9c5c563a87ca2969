"""Files of records read once, for a report: each line becomes a `Digest`, and nothing else of it is kept."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic_core import from_json

from spanbench.errors import NothingMeasured, UsageError
from spanbench.show.report.build import distinct
from spanbench.show.report.digest import Digest, Wanted, digest_line

__all__ = ["Note", "load", "no_collections"]

Note = Callable[[str], None]


def load(paths: Sequence[Path], wanted: Wanted, note: Note) -> list[Digest]:
    """Return the distinct records of some files, sorted. `note` is told of lines that were left out, and of records given twice.

    Raises:
        UsageError: a file that cannot be read, or a line that is no record.
        SchemaMismatch: a record of another schema.
        NothingMeasured: there is no record in any of them.
    """
    read = [d for path in paths for d in _digests(path, wanted, note)]
    if not read:
        raise NothingMeasured(f"no record in {', '.join(repr(str(path)) for path in paths)}; --out of compare, count or sweep writes some")
    kept = distinct(read)
    if len(kept) < len(read):
        note(f"{len(read) - len(kept)} records were given more than once and are shown once")
    return kept


def _digests(path: Path, wanted: Wanted, note: Note) -> Iterator[Digest]:
    """Read a file line by line, by the rules of `spanbench.record.read`."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                found = _digest(line, f"{path}, line {number}", wanted, last=not file.peek(1)) if line.strip() else None
                if isinstance(found, Digest):
                    yield found
                elif line.strip():
                    note(f"{path}: line {number} is half-written and was left out")
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot read records from {str(path)!r}: {reason}") from None


def _digest(line: bytes, where: str, wanted: Wanted, *, last: bool) -> Digest | None:
    """Return the record of a line; None where its writer died within it: the file's end, or the beginning of a record."""
    try:
        return digest_line(line, where, wanted)
    except UnicodeDecodeError:
        if last:
            return None
        raise UsageError(f"{where}: is not UTF-8 text") from None
    except UsageError:
        if _is_json(line) or not (last or line.lstrip().startswith(b"{")):
            raise
        return None


def _is_json(line: bytes) -> bool:
    try:
        from_json(line)
    except ValueError:
        return False
    return True


@contextmanager
def no_collections() -> Iterator[None]:
    """Go without garbage collections: records and reports have no cycles, and looking for some doubles the time of a large file."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
