"""`merge`: the union of files of records, as the shards of one sweep leave them.

Of records with one id, equal counts are one; a measured record makes a counted one superfluous; measured ones that differ
are runs of their own and are all kept. Different counts of one id contradict each other and are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from spanbench.errors import CountMismatch, UsageError
from spanbench.files import write_whole
from spanbench.record import Record, appending, read
from spanbench.sweep.kept import is_measured

__all__ = ["Merged", "merge", "union"]

Note = Callable[[str], None]


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
        named = [(path, record) for path in (out, *files) for record in read(path, note)]
        kept, replaced = union(named)
        _replace(out, kept)
    return Merged(len(named), len(kept), len({record.id for record in kept}), replaced)


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
    """Return which records of one id stay: every different measured one, else the first counted one."""
    lines = {record.to_line(): record for record in records}
    measured = [record for record in lines.values() if is_measured(record)]
    counted = [record for record in lines.values() if not is_measured(record)]
    return (measured, len(counted)) if measured else (counted[:1], 0)


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


def _replace(out: Path, records: Sequence[Record]) -> None:
    try:
        write_whole(out, chain(_half_written(out), (record.to_line().encode() for record in records)))
    except OSError as error:
        raise UsageError(f"OUT: cannot write {str(out)!r}: {error.strerror}") from None


def _half_written(path: Path) -> Iterator[bytes]:
    """Yield the lines that are no JSON: what a run left there is not merge's to throw away."""
    for line in path.read_bytes().split(b"\n"):
        try:
            json.loads(line or b"{}")
        except ValueError:
            yield line + b"\n"
