"""What is put into a store and comes out of it: named tensors as bytes under a key, in a space of records that belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias, get_args

from spanbench.errors import UsageError

__all__ = ["ITEM_BYTES", "KEY_BYTES", "KINDS", "Document", "Entry", "Field", "JsonValue", "Kind", "RawTensor", "Space", "fields_of"]

Kind = Literal["u", "state"]
"""`u`: encoder latents, context-free. `state`: what depends on all that came before (mixer outputs, keys and values). Never mixed."""
KINDS: tuple[Kind, ...] = get_args(Kind)

JsonValue: TypeAlias = "Mapping[str, JsonValue] | Sequence[JsonValue] | str | int | float | bool | None"

KEY_BYTES = 16
"""A key's first 16 bytes are kept: among 10^9 spans two that share them have odds of 10^-21."""
ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1}
"""Element types by their names in safetensors, with bytes an element."""


@dataclass(frozen=True, slots=True)
class RawTensor:
    """A tensor as bytes: row-major, little endian; `dtype` is safetensors' name (F64, F32, F16, BF16, I64 …)."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Space:
    """Records that may stand for one another: of one kind, one encoder (or arm), one span length, one element type.

    A store of another encoder, span or dtype is refused by this, never silently recomputed.
    """

    kind: Kind
    fingerprint: str
    """Hexadecimal digest of whatever made the records."""
    span: int
    """Tokens in a span."""
    dtype: str
    """Element type of the latents, such as float16."""

    def __str__(self) -> str:
        return f"{self.kind} of {self.fingerprint[:12]}, span {self.span}, {self.dtype}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One record. All entries of one space have tensors of the same names, dtypes and shapes."""

    key: bytes
    """16 to 32 bytes: a hash of tokens, never of floats. The first 16 are what counts."""
    tensors: Mapping[str, RawTensor]


@dataclass(frozen=True, slots=True)
class Document:
    """A named document: a small JSON manifest, and its token ids (or whatever else is compact) as bytes."""

    name: str
    manifest: Mapping[str, JsonValue]
    ids: bytes = b""


@dataclass(frozen=True, slots=True)
class Field:
    """What one tensor of every record of a space looks like."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of this tensor in one record."""
        return ITEM_BYTES[self.dtype] * prod(self.shape)


def fields_of(entry: Entry) -> tuple[Field, ...]:
    """Return what a record's tensors look like, in the order in which they are stored.

    Raises:
        UsageError: a short key, no tensor, an unknown dtype, or bytes that are not as many as the shape says.
    """
    if not KEY_BYTES <= len(entry.key) <= 2 * KEY_BYTES:
        raise UsageError(f"a record's key has {len(entry.key)} bytes; it must have {KEY_BYTES} to {2 * KEY_BYTES}")
    if not entry.tensors:
        raise UsageError("a record without tensors cannot be stored")
    return tuple(_field(name, entry.tensors[name]) for name in sorted(entry.tensors))


def _field(name: str, tensor: RawTensor) -> Field:
    if name.startswith("_") or not name.isprintable() or not name:
        raise UsageError(f"a tensor named {name!r} cannot be stored; names begin with a letter")
    if tensor.dtype not in ITEM_BYTES:
        raise UsageError(f"tensor {name!r}: dtype {tensor.dtype!r} cannot be stored; known: {', '.join(ITEM_BYTES)}")
    field = Field(name, tensor.dtype, tuple(tensor.shape))
    held = memoryview(tensor.data).nbytes
    if held != field.nbytes:
        raise UsageError(f"tensor {name!r}: {held} bytes do not make {tensor.dtype} of shape {list(tensor.shape)} ({field.nbytes} bytes)")
    return field
