"""One shard: many records of one space in one safetensors file that is never changed once it has its name.

The file is plain safetensors, so other tools read it. Its tensors are `__key__` (rows × 16 bytes), `__crc32__` (one number a
row, over the key and the row's bytes; padded to an even count so that what follows stays aligned) and one tensor of shape
rows × … for each tensor of a record. Where a row lies follows from the space and the count of rows, so the index alone finds
it, and a torn end or a broken header costs no row that is still there.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path

from spanbench.files import sync_folder
from spanbench.store.disk.entry import ITEM_BYTES, KEY_BYTES, Field, Space

__all__ = ["FORMAT", "SUFFIX", "TEMPORARY", "VERSION", "Layout", "Record", "Shard", "checksum", "read_layout", "write_shard"]

FORMAT = "spanbench latent store"
VERSION = 1
SUFFIX = ".safetensors"
TEMPORARY = "writing-"
"""Begins the name of a shard that is not complete yet."""

KEYS = Field("__key__", "U8", (KEY_BYTES,))
SUMS = Field("__crc32__", "U32", ())
LARGEST_HEADER = 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a shard: its key, its checksum, and the bytes of its tensors in the order of the space's fields."""

    key: bytes
    crc: int
    parts: tuple[bytes | memoryview, ...]

    @property
    def whole(self) -> bool:
        """Whether the bytes are those that were written."""
        return checksum(self.key, self.parts) == self.crc


def checksum(key: bytes, parts: Sequence[bytes | memoryview]) -> int:
    """Return the CRC-32 of a record: of its key, then of its tensors' bytes in the order of their names."""
    crc = zlib.crc32(key)
    for part in parts:
        crc = zlib.crc32(part, crc)
    return crc


@dataclass(frozen=True)
class Layout:
    """Where everything lies in a shard of `rows` records of one space."""

    space: Space
    fields: tuple[Field, ...]
    rows: int

    @cached_property
    def columns(self) -> tuple[Field, ...]:
        """The file's tensors in their order: keys and sums first, so that a torn end leaves them; then the widest elements first."""
        return (KEYS, SUMS, *sorted(self.fields, key=lambda field: (-ITEM_BYTES[field.dtype], field.name)))

    @cached_property
    def header(self) -> bytes:
        """The file's first bytes: the length of what follows, and safetensors' JSON, padded to a multiple of 8 bytes.

        It has a checksum of its own, so that a damaged one does not pass for that of other records.
        """
        space = self.space
        about = {"format": FORMAT, "version": VERSION, "kind": space.kind, "fingerprint": space.fingerprint}
        held = {name: str(value) for name, value in (about | {"span": space.span, "dtype": space.dtype}).items()}
        held["crc32"] = str(zlib.crc32(json.dumps([held, self.rows, [repr(field) for field in self.fields]]).encode()))
        body: dict[str, object] = {"__metadata__": held}
        for field, (begin, end) in zip(self.columns, pairwise(self._ends), strict=True):
            body[field.name] = {"dtype": field.dtype, "shape": [self._count(field), *field.shape], "data_offsets": [begin, end]}
        text = json.dumps(body, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        return tuple(accumulate((self._count(field) * field.nbytes for field in self.columns), initial=0))

    def _count(self, field: Field) -> int:
        return self.rows + self.rows % 2 if field is SUMS else self.rows

    @cached_property
    def starts(self) -> Mapping[str, int]:
        """Where in the file each tensor begins."""
        return {field.name: len(self.header) + start for field, start in zip(self.columns, self._ends, strict=False)}

    @cached_property
    def file_bytes(self) -> int:
        """Bytes of the whole file."""
        return len(self.header) + self._ends[-1]

    @property
    def record_bytes(self) -> int:
        """Bytes of one record's tensors."""
        return sum(field.nbytes for field in self.fields)


def read_layout(path: Path) -> Layout | None:
    """Return what a file's own header says of it; None where it is no shard of a store that this version knows.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= LARGEST_HEADER:
            return None
        text = file.read(length)
    try:
        layout = _layout(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):  # whatever is not as `Layout.header` writes it
        return None
    return layout if layout.header[8:] == text else None


def _layout(body: dict[str, dict[str, str]]) -> Layout:
    about = body.pop("__metadata__")
    space = Space("u" if about["kind"] == "u" else "state", about["fingerprint"], int(about["span"]), about["dtype"])
    rows = int(body.pop(KEYS.name)["shape"][0])
    body.pop(SUMS.name)
    fields = tuple(Field(name, tensor["dtype"], tuple(int(size) for size in tensor["shape"][1:])) for name, tensor in sorted(body.items()))
    return Layout(space, fields, rows)


# ---- reading --------------------------------------------------------------------------------------------------------


class Shard:
    """An open shard. Reads are positioned, not mapped: a file that was cut short gives an error then, and no dead process."""

    def __init__(self, path: Path, layout: Layout) -> None:
        """Open the file; `layout` says where things lie in it.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        self.path, self.layout, self._handle = path, layout, -1
        self._handle = os.open(path, os.O_RDONLY)

    def close(self) -> None:
        """Give the file back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __del__(self) -> None:
        self.close()

    @property
    def as_written(self) -> bool:
        """Whether the header and the length are those of the layout."""
        header = self.layout.header
        return os.fstat(self._handle).st_size == self.layout.file_bytes and os.pread(self._handle, len(header), 0) == header

    def key(self, row: int) -> bytes:
        """Return one row's key; fewer bytes where the file is too short."""
        return os.pread(self._handle, KEY_BYTES, self.layout.starts[KEYS.name] + row * KEY_BYTES)

    def keys(self) -> list[bytes]:
        """Return all keys of the file, as far as it goes."""
        held = self._column(KEYS, 0, self.layout.rows)
        return [bytes(held[at : at + KEY_BYTES]) for at in range(0, len(held) - KEY_BYTES + 1, KEY_BYTES)]

    def records(self, row: int, count: int) -> list[Record]:
        """Read rows row .. row+count-1, one read a tensor; their bytes are views of what was read.

        A row beyond the end of a file that was cut short comes with fewer bytes, and is not `whole`.
        """
        keys, sums = self._column(KEYS, row, count), self._column(SUMS, row, count)
        columns = [(field.nbytes, self._column(field, row, count)) for field in self.layout.fields]
        return [
            Record(
                bytes(keys[i * KEY_BYTES : (i + 1) * KEY_BYTES]),
                int.from_bytes(sums[i * 4 : (i + 1) * 4], "little") if len(sums) >= (i + 1) * 4 else -1,
                tuple(held[i * size : (i + 1) * size] for size, held in columns),
            )
            for i in range(count)
        ]

    def all_records(self, at_once: int = 2**22) -> Iterator[Record]:
        """Yield every record, reading about `at_once` bytes at a time."""
        step = max(1, at_once // max(1, self.layout.record_bytes))
        for row in range(0, self.layout.rows, step):
            yield from self.records(row, min(step, self.layout.rows - row))

    def _column(self, field: Field, row: int, count: int) -> memoryview:
        return memoryview(_read(self._handle, count * field.nbytes, self.layout.starts[field.name] + row * field.nbytes))


def _read(handle: int, size: int, offset: int) -> bytes:
    """Read `size` bytes, or as many as there are: one call reads at most 2 GiB."""
    first = os.pread(handle, size, offset)
    if len(first) == size:
        return first
    pieces, got = [first], len(first)
    while got < size and (piece := os.pread(handle, size - got, offset + got)):
        pieces.append(piece)
        got += len(piece)
    return b"".join(pieces)


# ---- writing --------------------------------------------------------------------------------------------------------


def write_shard(folder: Path, space: Space, fields: tuple[Field, ...], records: Sequence[Record]) -> str:
    """Write records as a new shard, and have it on the disk under its name, which is returned.

    Until it is complete the file has another name; where writing fails it is taken away again.

    Raises:
        OSError: it cannot be written.
    """
    layout = Layout(space, fields, len(records))
    name = secrets.token_hex(8)
    temporary = folder / f"{TEMPORARY}{name}"
    try:
        _write(temporary, layout, records)
        temporary.replace(folder / f"{name}{SUFFIX}")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return name


def _write(path: Path, layout: Layout, records: Sequence[Record]) -> None:
    places = {field.name: at for at, field in enumerate(layout.fields)}
    with path.open("xb", buffering=2**20) as file:
        file.write(layout.header)
        file.writelines(record.key for record in records)
        file.writelines(record.crc.to_bytes(4, "little") for record in records)
        file.write(bytes(4 * (len(records) % 2)))
        for field in layout.columns[2:]:
            at = places[field.name]
            file.writelines(record.parts[at] for record in records)
        file.flush()
        os.fsync(file.fileno())
