"""`spanbench diff`: what differs between two records, or between the records of two files. Loads no torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanbench.cli.options import Format
from spanbench.cli.output import put
from spanbench.errors import NothingMeasured, UsageError
from spanbench.files import why

if TYPE_CHECKING:
    from spanbench.record import Record

__all__ = ["DIFFERENT", "diff"]

DIFFERENT = 1
"""Exit code where a count differs."""

_ID = re.compile(r"[0-9a-f]{16}")
_LINE = re.compile(r"[1-9][0-9]{0,9}")

A = Annotated[str, typer.Argument(metavar="A", help="A file of records, FILE:ID for one of them, or FILE:LINE")]
B = Annotated[str, typer.Argument(metavar="B", help="The same, of what it is compared with")]


def diff(a: A, b: B, fmt: Format = "table") -> None:
    """Compare two records: what differs in the point, the surroundings, the counts (exactly) and the noisy figures (by their intervals).

    Of files, records of equal id are compared. Exit code 0: the counts are equal; 1: some differ; 3: not comparable.
    """
    from spanbench.show.diff import render_diff
    from spanbench.show.difference import paired

    found = paired(_records(a), _records(b))
    put(render_diff, found, fmt)
    if not all(pair.same_counts for pair in found.pairs):
        raise typer.Exit(DIFFERENT)


def _records(named: str) -> list[Record]:
    """Return the records that an argument names.

    Raises:
        UsageError: no such file, no such line, or a line that is no record.
        SchemaMismatch: a record of another schema.
        NothingMeasured: the file has none of that id, or none at all.
    """
    file, colon, which = named.rpartition(":")
    if colon and not Path(named).exists() and _LINE.fullmatch(which):
        return [_line(Path(file), int(which))]
    if colon and not Path(named).exists() and _ID.fullmatch(which):
        found = [record for record in _read(Path(file)) if record.id == which]
        if not found:
            raise NothingMeasured(f"{file!r} has no record of id {which}")
        return found
    records = _read(Path(named))
    if not records:
        raise NothingMeasured(f"no record in {named!r}")
    return records


def _read(path: Path) -> list[Record]:
    from spanbench.record import read

    return read(path, lambda text: typer.echo(f"note: {text}", err=True))


def _line(path: Path, number: int) -> Record:
    from spanbench.record import Record

    try:
        lines = path.read_bytes().split(b"\n")
        text = lines[number - 1].decode("utf-8") if number <= len(lines) else ""
    except UnicodeDecodeError:
        raise UsageError(f"{path}, line {number}: is not UTF-8 text") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UsageError(f"cannot read records from {str(path)!r}: {why(error)}") from None
    if not text.strip():
        raise UsageError(f"{path}, line {number}: there is no record; the file has {sum(bool(line.strip()) for line in lines)} lines")
    return Record.from_line(text, f"{path}, line {number}")
