"""Tensors as bytes in a store's element type, and what is lost where that type is narrower than the model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.point import DTYPE_BYTES, check_choice
from spanbench.store.disk import RawTensor

__all__ = ["Narrowed", "dtype_of", "holds", "narrow", "stacked", "to_raw"]

_RAW = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The reconstruction error of the latents that were written: what is read back, less what the encoder gave.

    All figures are of the `values` that were encoded under this document's name, from the first write to the last edit;
    of latents that were found by content the original is not there to compare with.
    """

    values: int = 0
    max_abs: float = 0.0
    squares: float = 0.0
    """Sum of the squared errors."""
    energy: float = 0.0
    """Sum of the squared values."""

    @property
    def rms(self) -> float | None:
        """Root mean square error; None where nothing was encoded."""
        return sqrt(self.squares / self.values) if self.values else None

    @property
    def relative(self) -> float | None:
        """Root mean square error over the root mean square value; None where there is no value other than 0."""
        return sqrt(self.squares / self.energy) if self.energy else None

    def __add__(self, other: Narrowed) -> Narrowed:
        return Narrowed(
            self.values + other.values,
            max(self.max_abs, other.max_abs),
            self.squares + other.squares,
            self.energy + other.energy,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the sums, from which later edits go on, and the figures."""
        sums = {"values": self.values, "max_abs": self.max_abs, "squares": self.squares, "energy": self.energy}
        return sums | {"rms": self.rms, "relative": self.relative}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Narrowed:
        """Read what `to_json` wrote."""
        return cls(plain["values"], plain["max_abs"], plain["squares"], plain["energy"])


def dtype_of(name: str) -> torch.dtype:
    """Return torch's element type of a name.

    Raises:
        UsageError: the type is not one that a store holds.
    """
    check_choice("dtype", name, tuple(DTYPE_BYTES))
    return getattr(torch, name)  # type: ignore[no-any-return]  # getattr is untyped


def holds(name: str, dtype: torch.dtype) -> bool:
    """Return whether a store's element type holds every value of another exactly.

    >>> holds("float64", torch.float32), holds("float16", torch.bfloat16)
    (True, False)
    """
    kept = dtype_of(name)
    return torch.promote_types(kept, dtype) == kept


def narrow(exact_KxZ: Tensor, dtype: str) -> tuple[Tensor, Narrowed]:
    """Return the values in a store's element type, and their error.

    Raises:
        UsageError: a value that is finite is not in that type.
    """
    kept_KxZ = exact_KxZ.to(dtype_of(dtype))
    if exact_KxZ.isfinite().all() and not kept_KxZ.isfinite().all():
        largest = exact_KxZ.abs().max().item()
        raise UsageError(f"--dtype {dtype}: cannot hold a value of {largest:.4g}; take bfloat16, or the type of the model")
    exact, error = exact_KxZ.double(), kept_KxZ.double() - exact_KxZ.double()
    if not error.numel():
        return kept_KxZ, Narrowed()
    return kept_KxZ, Narrowed(error.numel(), error.abs().max().item(), error.square().sum().item(), exact.square().sum().item())


def to_raw(rows_Kx: Tensor) -> list[RawTensor]:
    """Return each row (K of them, of any shape) as bytes; they are views of one copy."""
    kind, shape = _RAW[str(rows_Kx.dtype).removeprefix("torch.")], tuple(rows_Kx.shape[1:])
    held = memoryview(rows_Kx.contiguous().cpu().flatten().view(torch.uint8).numpy().data)
    size = len(held) // max(1, len(rows_Kx))
    return [RawTensor(kind, shape, held[row * size : (row + 1) * size]) for row in range(len(rows_Kx))]


def stacked(raws: Sequence[RawTensor], dtype: str, like: Tensor) -> Tensor:
    """Return rows that were read back (K x ...), in the type and on the device of `like`."""
    shape = raws[0].shape
    held = bytearray().join(memoryview(raw.data) for raw in raws)
    rows = torch.frombuffer(held, dtype=dtype_of(dtype)) if held else torch.empty(0, dtype=dtype_of(dtype))
    return rows.view(len(raws), *shape).to(device=like.device, dtype=like.dtype)
