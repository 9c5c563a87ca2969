"""Runs on `meta` that work out each operation's result once: the same operation on the same sizes gives the same sizes.

Most of torch's meta kernels are Python, a quarter of a millisecond each, and a model asks the same few of them in every
layer. Every operation still goes through every counter; only its empty result is made from what came out before.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from spanbench.count.extents import storage_key, tensors_in

__all__ = ["KnownResults"]

_Layout = tuple[torch.Size, tuple[int, ...], torch.dtype]


class KnownResults(TorchDispatchMode):
    """Answers an operation on meta from the first run of it with arguments of the same sizes, strides and types.

    Enter it outside the counters: the mode that was entered first is asked last, after all of them have seen the
    operation. What writes to its arguments, hands one of them on (as itself or as a view), or is not on meta always runs.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self._known: dict[Hashable, _Layout] = {}

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Return an empty result of the known layout, or run the operation and note its layout."""
        arguments = dict(kwargs or {})
        if func.is_view or func._schema.is_mutable:  # the schema has no public name
            return func(*args, **arguments)
        asked = (func, _sizes(args), _sizes(arguments.items()))
        if known := self._known.get(asked):
            shape, strides, dtype = known
            return torch.empty_strided(shape, strides, dtype=dtype, device="meta")
        out = func(*args, **arguments)
        if _is_blank(out, list(tensors_in((args, arguments)))):
            self._known[asked] = out.shape, out.stride(), out.dtype
        return out


def _sizes(values: Iterable[Any]) -> tuple[Hashable, ...]:
    """Return all that a result on meta can depend on: of tensors the layout, of other values type and value."""
    return tuple(_size(value) for value in values)


def _size(value: Any) -> Hashable:
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.storage_offset(), value.dtype, value.device
    return _sizes(value) if isinstance(value, (list, tuple)) else (type(value), value)


def _is_blank(out: Any, arguments: list[Tensor]) -> bool:
    """Whether a result is one new tensor on meta, made from tensors on meta alone."""
    if not isinstance(out, Tensor) or not all(tensor.is_meta for tensor in (out, *arguments)):
        return False
    return storage_key(out) not in map(storage_key, arguments)  # no schema tells of `_unsafe_view`
