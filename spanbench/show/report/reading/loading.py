"""Files of records read once, for a report: each line becomes a `Digest`, and nothing else of it is kept."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spanbench.errors import NothingMeasured, UsageError
from spanbench.files import why
from spanbench.show.report.reading.digest import Digest, Wanted, distinct
from spanbench.show.report.reading.pieces import Piece, pieces_of
from spanbench.show.report.reading.readers import read_pieces

__all__ = ["Note", "load", "no_collections"]

Note = Callable[[str], None]


def load(paths: Sequence[Path], wanted: Wanted, note: Note) -> list[Digest]:
    """Return the distinct records of some files, sorted. `note` is told of lines that were left out, and of records given twice.

    Raises:
        UsageError: a file that cannot be read, or a line that is no record.
        SchemaMismatch: a record of another schema.
        NothingMeasured: there is no record in any of them.
    """
    read: list[Digest] = []
    for piece, found in read_pieces(_pieces(paths), wanted):
        read += found.digests
        for number in found.torn:
            note(f"{piece.path}: line {number} is half-written and was left out")
    if not read:
        raise NothingMeasured(f"no record in {', '.join(repr(str(path)) for path in paths)}; --out of compare, count or sweep writes some")
    kept = distinct(read)
    if len(kept) < len(read):
        note(f"{len(read) - len(kept)} records were given more than once and are shown once")
    return kept


def _pieces(paths: Sequence[Path]) -> list[Piece]:
    found: list[Piece] = []
    for path in paths:
        try:
            found += pieces_of(path)
        except (OSError, ValueError) as error:  # ValueError: a name with a null character
            raise UsageError(f"cannot read records from {str(path)!r}: {why(error)}") from None
    return found


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
