"""How many different bytes tensors cover: views, expanded tensors and overlaps count once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import product
from math import prod
from typing import Any

from torch import Tensor

__all__ = ["extent_bytes", "storage_key", "tensors_in", "unique_bytes", "unique_elements"]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors inside nested lists, tuples, mappings and dataclasses; anything else holds none.

    A dataclass with a true `holds_state` is skipped: what a model kept from earlier runs is handed over by nobody, and the
    bytes of it that are read and written are told by the run (`Kept.traffic`).
    """
    if isinstance(value, Tensor):
        yield value
    else:
        for part in _parts(value):
            yield from tensors_in(part)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    if is_dataclass(value) and not isinstance(value, type) and not getattr(value, "holds_state", False):
        return (getattr(value, field.name) for field in fields(value))
    return ()


def storage_key(tensor: Tensor) -> int:
    """Identify a tensor's storage for as long as that lives; on meta, where every address is 0, too."""
    return int(tensor.untyped_storage()._cdata)  # the only identity that a meta storage has


def unique_elements(tensor: Tensor) -> int:
    """Number of elements, a dimension that was expanded (stride 0) once."""
    if tensor.numel() == 0:
        return 0
    return prod(size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)


def unique_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the operands of one operation: each once, expanded dimensions once.

    Operands that overlap only in part are rare, and finding that out for each operation is slow: they count in full.
    """
    different = {(storage_key(t), _place(t)): t for t in tensors}
    return sum(unique_elements(t) * t.element_size() for t in different.values())


def extent_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the union of all tensors' extents in their storages. The tensors must all be alive."""
    by_storage: dict[int, dict[Any, Tensor]] = {}
    for tensor in tensors:
        by_storage.setdefault(storage_key(tensor), {})[_place(tensor)] = tensor
    return sum(_union(list(views.values())) for views in by_storage.values())


def _place(tensor: Tensor) -> tuple[Any, ...]:
    """What a view covers of its storage."""
    return tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


def _union(tensors: list[Tensor]) -> int:
    """Length of the union of all runs of bytes."""
    if len(tensors) == 1 and not _overlaps_itself(tensors[0]):
        return unique_elements(tensors[0]) * tensors[0].element_size()
    covered = end = 0
    for start, length in sorted({run for tensor in tensors for run in _runs(tensor)}):
        covered += max(0, start + length - max(start, end))
        end = max(end, start + length)
    return covered


def _dimensions(tensor: Tensor) -> list[tuple[int, int]]:
    """(stride in bytes, size) of the dimensions that reach different bytes, innermost first."""
    pairs = zip(tensor.stride(), tensor.shape, strict=True)
    return sorted((stride * tensor.element_size(), size) for stride, size in pairs if stride and size > 1)


def _overlaps_itself(tensor: Tensor) -> bool:
    """Whether an element may be reached by two indices, as in a sliding window (`Tensor.unfold`)."""
    reach = tensor.element_size()
    for stride, size in _dimensions(tensor):
        if stride < reach:
            return True
        reach += stride * (size - 1)
    return False


def _runs(tensor: Tensor) -> Iterator[tuple[int, int]]:
    """Yield (first byte, length) of each contiguous run."""
    if tensor.numel() == 0:
        return
    length = tensor.element_size()
    outer: list[range] = []
    for stride, size in _dimensions(tensor):
        if stride == length and not outer:
            length *= size
        else:
            outer.append(range(0, stride * size, stride))
    first = int(tensor.storage_offset()) * tensor.element_size()
    for steps in product(*outer):
        yield first + sum(steps), length
