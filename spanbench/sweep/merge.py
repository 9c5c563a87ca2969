"""`merge`: the union of files of records, as the shards of one sweep leave them.

Of records with one id, equal counts are one; a measured record makes a counted one superfluous; measured ones that differ
are runs of their own and are all kept. Different counts of one id contradict each other and are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from spanbench.errors import CountMismatch, UsageError
from spanbench.files import write_whole
from spanbench.record import Record, Stored, appending, each
from spanbench.record.lines import is_cut
from spanbench.sweep.kept import answered, is_measured

__all__ = ["Merged", "merge", "union"]

Note = Callable[[str], None]
Place = tuple[Path, int | Record]
"""A file, and the byte where a record begins in it, or the record itself."""


@dataclass(frozen=True, slots=True)
class Merged:
    """How many records were read and kept; `points` are different ids, `replaced` counted records that a measured one stands for."""

    read: int
    kept: int
    points: int
    replaced: int

    @property
    def equal(self) -> int:
        """Records that were there already."""
        return self.read - self.kept - self.replaced


def merge(out: Path, files: Sequence[Path], note: Note) -> Merged:
    """Write the union of the files, and of `out` where it exists, to `out`; readers see the old file or the new one.

    Half-written lines of `out` stay in it; those of the other files are left out, and `note` is told of all.

    Raises:
        CountMismatch: two records of one id have different counts; nothing is written.
        UsageError: a file cannot be read or written, or a sweep is writing to `out`.
        SchemaMismatch: a record of another schema.
    """
    with appending(out, "OUT"):
        by_id: dict[str, list[Place]] = {}
        for path in (out, *files):
            again = path.is_file()  # a pipe gives its records once
            for stored in each(path, note):
                by_id.setdefault(stored.record.id, []).append((path, stored.start if again else stored.record))
        tally = _Tally()
        _replace(out, tally.counted(_united(name, same) for name, same in by_id.items()))
    return Merged(sum(map(len, by_id.values())), tally.kept, len(by_id), tally.replaced)


def _united(name: str, same: Iterable[Place]) -> tuple[list[Record], int]:
    """Read the records of one id again: those of all ids together may not fit in memory."""
    return union((path, Stored.at(path, where, name) if isinstance(where, int) else where) for path, where in same)


class _Tally:
    """Counts what passes: how many records are kept, and how many of them stand for others."""

    def __init__(self) -> None:
        self.kept, self.replaced = 0, 0

    def counted(self, united: Iterable[tuple[list[Record], int]]) -> Iterator[Record]:
        """Pass the records on."""
        for records, replaced in united:
            self.kept += len(records)
            self.replaced += replaced
            yield from records


def union(named: Iterable[tuple[Path, Record]]) -> tuple[list[Record], int]:
    """Return the records that stay, in the order they came, and how many counted ones a measured one stands for.

    Raises:
        CountMismatch: two records of one id have different counts.
    """
    by_id: dict[str, list[tuple[Path, Record]]] = {}
    for path, record in named:
        by_id.setdefault(record.id, []).append((path, record))
    kept, replaced = [], 0
    for same in by_id.values():
        _check_counts(same)
        stay, fewer = _stay([record for _, record in same])
        kept += stay
        replaced += fewer
    return kept, replaced


def _stay(records: Sequence[Record]) -> tuple[list[Record], int]:
    """Return which records of one id stay: every different measured one, else as few counted ones as answer what all of them do."""
    lines = {record.to_line(): record for record in records}
    measured = [record for record in lines.values() if is_measured(record)]
    counted = [record for record in lines.values() if not is_measured(record)]
    return (measured, len(counted)) if measured else (_needed(counted), 0)


def _needed(counted: Sequence[Record]) -> list[Record]:
    """Return counted records without those whose jobs others answer: marks of what did not fit, or of a largest batch, stay."""
    kept: list[Record] = []
    for record in sorted(counted, key=lambda one: -len(answered(one))):  # of equal ones the first
        if not answered(record) <= frozenset().union(*map(answered, kept)):
            kept.append(record)
    return kept


def _check_counts(same: Sequence[tuple[Path, Record]]) -> None:
    first_path, first = same[0]
    counts = _counts(first)
    for path, record in same[1:]:
        for place, value in _counts(record).items():
            known = counts.setdefault(place, value)
            if known != value:
                what = " ".join(place)
                raise CountMismatch(
                    f"record {record.id}: {what} is {known} in {str(first_path)!r} and {value} in {str(path)!r}; "
                    "one of them was made by a version that counted wrongly, or was edited"
                )


def _counts(record: Record) -> dict[tuple[str, str, str, str], Any]:
    """Return what was counted, by arm, regime, stage and quantity; an unknown figure contradicts nothing."""
    rows = (row for row in record.measures if row.source == "counted" and row.value is not None)
    return {(row.arm, row.regime, row.stage, row.quantity): row.value for row in rows}


def _replace(out: Path, records: Iterable[Record]) -> None:
    try:
        write_whole(out, chain(_half_written(out), (record.to_line().encode() for record in records)))
    except OSError as error:
        raise UsageError(f"OUT: cannot write {str(out)!r}: {error.strerror}") from None


def _half_written(path: Path) -> Iterator[bytes]:
    """Yield the lines that break off: what a run left there is not merge's to throw away."""
    with path.open("rb") as file:
        for line in file:
            if line.strip() and is_cut(line):
                yield line.removesuffix(b"\n") + b"\n"
