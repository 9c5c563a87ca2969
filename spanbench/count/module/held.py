"""What a storage holds of an element-wise product: how many of its terms, and over which dimensions both factors vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from torch import Tensor

__all__ = ["Product", "Single", "contracts", "distinct", "is_whole", "shared_dims", "single_dims"]


@dataclass(frozen=True, slots=True)
class Product:
    """An element-wise product of different tensors: its size, and the dimensions over which both factors vary.

    `macs` is None where they cannot be told. `even`: each element holds as many of them, so that a part has its share.
    """

    macs: int | None
    size: int
    shape: tuple[int, ...] = ()
    shared: frozenset[int] = frozenset()
    attends: bool = False
    even: bool = True
    places: frozenset[int] = frozenset()

    def __add__(self, other: Product) -> Product:
        macs = None if self.macs is None or other.macs is None else self.macs + other.macs
        even = self.even and other.even and self.size == other.size
        return Product(macs, max(self.size, other.size), attends=self.attends or other.attends, even=even)

    def part(self, size: int) -> Product:
        """Return what so many of its elements hold."""
        if size == self.size:
            return self
        macs = self.macs * size // self.size if self.even and self.macs is not None and self.size else None
        return Product(macs, size, attends=self.attends, even=self.even)

    def within(self, size: int) -> Product:
        """Return the same product as some of the elements of a tensor of this size."""
        return self if size == self.size else replace(self, size=size, shape=(), shared=frozenset(), even=False)


@dataclass(frozen=True, slots=True)
class Single:
    """Dimensions of size 1 that both factors of a product have: no sum runs over them, but an addition by index may.

    `shape` is that of the product; () once it was reshaped, so that the dimensions cannot be told any more.
    """

    shape: tuple[int, ...]
    dims: frozenset[int]
    attends: bool = False

    def meets(self, added: Tensor, dim: int) -> bool:
        """Whether an addition along this dimension adds up single rows of the product. Where it was reshaped, it may."""
        return self.shape != tuple(added.shape) or (dim if dim < 0 else dim - added.ndim) in self.dims


def distinct(tensor: Tensor) -> int:
    """Return how many elements the tensor has of its own: an expanded dimension repeats them."""
    return prod(int(size) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or not size)


def is_whole(tensor: Tensor) -> bool:
    """Whether the tensor is all of its storage."""
    return tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()


def shared_dims(factors: Sequence[Tensor], out: Tensor) -> frozenset[int]:
    """Dimensions of the result, from the last (-1), over which both factors vary."""
    return frozenset(
        d for d in range(-out.ndim, 0) if all(factor.ndim >= -d and factor.shape[d] > 1 and factor.stride(d) for factor in factors)
    )


def single_dims(factors: Sequence[Tensor], out: Tensor) -> frozenset[int]:
    """Dimensions of the result, from the last (-1), that are of size 1 and that both factors have."""
    return frozenset(d for d in range(-out.ndim, 0) if out.shape[d] == 1 and all(factor.ndim >= -d for factor in factors))


def contracts(product: Product, summed: Tensor, dim: int | Sequence[int] | None) -> bool:
    """Whether the sum runs over a dimension in which both factors vary. Where the product was reshaped, it is taken to."""
    if product.shape != tuple(summed.shape) or dim is None or dim == []:
        return True
    dims = [dim] if isinstance(dim, int) else dim
    return bool(product.shared & {d if d < 0 else d - summed.ndim for d in dims})
