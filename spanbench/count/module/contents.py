"""Which tensors can be read: not those on meta, nor fake ones."""

from __future__ import annotations

from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from spanbench.count.extents import storage_key

__all__ = ["has_contents", "key_of"]


def has_contents(tensor: Tensor) -> bool:
    """Whether the numbers of this tensor exist."""
    return not (tensor.is_meta or isinstance(tensor, FakeTensor))


def key_of(tensor: Tensor) -> int | None:
    """Identify a tensor's storage while that lives; None for one that has none (sparse layouts)."""
    try:
        return storage_key(tensor)
    except (NotImplementedError, RuntimeError):
        return None
