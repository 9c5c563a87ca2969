"""Entries into rows of a shard, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from spanbench.errors import UsageError
from spanbench.store.disk.entry import KEY_BYTES, KINDS, Entry, Field, RawTensor, Space, fields_of
from spanbench.store.disk.shard import Record, checksum

__all__ = ["check_name", "prepared", "runs", "tensors"]

LONGEST_NAME = 200


def prepared(space: Space, entries: Sequence[Entry]) -> tuple[tuple[Field, ...], dict[bytes, Record]]:
    """Return what the records of some entries look like, and the records by key, the first where a key comes twice.

    Raises:
        UsageError: an entry that cannot be stored, or that does not look like the first.
    """
    if space.kind not in KINDS or space.span < 1:
        raise UsageError(f"a space of kind {space.kind!r} and span {space.span} cannot be stored; kinds: {', '.join(KINDS)}")
    fields = fields_of(entries[0])
    records: dict[bytes, Record] = {}
    for entry in entries:
        if fields_of(entry) != fields:
            raise UsageError(f"{space}: the tensors of key {entry.key.hex()} do not look like those of {entries[0].key.hex()}")
        key = entry.key[:KEY_BYTES]
        if key not in records:
            records[key] = _record(key, [entry.tensors[field.name] for field in fields])
    return fields, records


def check_name(name: str) -> None:
    """Refuse a document's name that could not be shown or asked for.

    Raises:
        UsageError: it is empty, too long, or has characters that cannot be printed.
    """
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UsageError(f"a document cannot be named {name[:40]!r}; take 1 to {LONGEST_NAME} characters that can be printed")


def _record(key: bytes, parts: Sequence[RawTensor]) -> Record:
    held = tuple(memoryview(part.data).cast("B") if part.data else b"" for part in parts)
    return Record(key, checksum(key, held), held)


def tensors(fields: tuple[Field, ...], record: Record) -> Mapping[str, RawTensor]:
    """Return a record's tensors by name."""
    return {field.name: RawTensor(field.dtype, field.shape, part) for field, part in zip(fields, record.parts, strict=True)}


def runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the start and length of each run of numbers that follow one another; `rows` is sorted.

    >>> list(runs([1, 2, 3, 7, 9, 10]))
    [(1, 3), (7, 1), (9, 2)]
    """
    start = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or rows[at] != rows[at - 1] + 1:
            yield rows[start], at - start
            start = at
