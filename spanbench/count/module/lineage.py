"""Where tensors come from: which do not depend on the inputs, which are element-wise products that a sum would contract.

Both are facts of storages, so that views share them. A storage is held weakly: its identity is then given to no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from spanbench.count.module.contents import key_of
from spanbench.count.module.flows import CARRIES, JOINS, MAY_BE_VIEWS, PUTS, SAME_DIMENSIONS, SELECTS, SUMS, reduced_dims
from spanbench.count.rules import refuse

__all__ = ["Lineage"]


@dataclass(frozen=True, slots=True)
class _Product:
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

    def __add__(self, other: _Product) -> _Product:
        macs = None if self.macs is None or other.macs is None else self.macs + other.macs
        even = self.even and other.even and self.size == other.size
        return _Product(macs, max(self.size, other.size), attends=self.attends or other.attends, even=even)

    def part(self, size: int) -> _Product:
        """Return what so many of its elements hold."""
        if size == self.size:
            return self
        macs = self.macs * size // self.size if self.even and self.macs is not None and self.size else None
        return _Product(macs, size, attends=self.attends, even=self.even)

    def within(self, size: int) -> _Product:
        """Return the same product as some of the elements of a tensor of this size."""
        return self if size == self.size else replace(self, size=size, shape=(), shared=frozenset(), even=False)


class Lineage:
    """Facts about the storages of one run."""

    def __init__(self, weights: Iterable[Tensor], inputs: Iterable[Tensor]) -> None:
        self._constant = {key_of(weight) for weight in weights}
        self._given = self._constant | {key_of(tensor) for tensor in inputs}
        self._products: dict[int | None, _Product] = {}
        self._held: dict[int | None, StorageWeakRef] = {}

    def depends(self, tensor: Tensor) -> bool:
        """Whether the tensor holds anything made of the inputs; weights, buffers and positions do not."""
        return key_of(tensor) not in self._constant

    def knows(self, tensor: Tensor) -> bool:
        """Whether the tensor is a weight, an input, or was made by an operation of this run."""
        key = key_of(tensor)
        return key in self._given or key in self._held

    def contracted(self, name: str, call: Mapping[str, Any], tensors: Sequence[Tensor]) -> tuple[int, bool]:
        """Return the multiply-accumulates of a sum that contracts a product, and whether it looks like attention.

        Raises:
            UncountedOperation: the product is of complex numbers, or what is summed of it cannot be told.
        """
        self._check_reduced(name, call, tensors)
        product = self._seen(tensors[0]) if name in SUMS and tensors else None
        if product is None or not _contracts(product, tensors[0], call.get("dim")):
            return 0, False
        if tensors[0].is_complex():
            raise refuse(f"aten.{name}", "it contracts complex products, and only real ones are counted")
        if product.macs is None:
            raise refuse(f"aten.{name}", "it sums products of which only some elements are here, and which ones cannot be told")
        return product.macs, product.attends

    def _check_reduced(self, name: str, call: Mapping[str, Any], tensors: Sequence[Tensor]) -> None:
        """Refuse what sums a product in a way that no rule counts."""
        dims = reduced_dims(name, call)
        for tensor in tensors if dims != [] else ():
            if (product := self._seen(tensor)) and _contracts(product, tensor, dims):
                raise refuse(f"aten.{name}", "it sums an element-wise product of two tensors, a contraction that no rule counts")

    def _seen(self, tensor: Tensor) -> _Product | None:
        """Return the product as this tensor holds it: a view may hold a part, an expanded one holds nothing more."""
        product = self._products.get(key_of(tensor))
        return product and product.part(_distinct(tensor))

    def follow(self, name: str, call: Mapping[str, Any], tensors: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """Note where the results of one operation come from."""
        out = call.get("out")
        sources = [tensor for tensor in tensors if tensor is not out and not (name == "copy" and tensor is call.get("self"))]
        keys = [key_of(tensor) for tensor in tensors if tensor is not out]
        constant = all(key in self._constant for key in keys)
        product = self._product(name, call, sources, results[0]) if results else None
        for result in results:
            key = key_of(result)
            fresh = key not in self._held and key not in keys
            if fresh:
                self._held[key] = StorageWeakRef(result.untyped_storage())
            _mark(self._constant, key, constant)
            if name in MAY_BE_VIEWS and key in keys:
                continue
            if product is not None:
                self._products[key] = product if fresh else self._placed(key, product, result)
            elif (name == "mul" or key not in keys) and (fresh or _whole(result)):
                self._products.pop(key, None)

    def _placed(self, key: int | None, product: _Product, result: Tensor) -> _Product:
        """Return what a storage holds once the result was written into it: all of it, or a further part."""
        if _whole(result):
            return product
        before, offset = self._products.get(key), int(result.storage_offset())
        if before is not None and before.part(_distinct(result)).macs == product.macs is not None:
            return before
        size = result.untyped_storage().nbytes() // result.element_size()
        places = before.places if before else frozenset()
        new = product.within(size)
        if before is not None:
            new = replace(before.within(size) + new, even=False)
        again = offset in places or (before is not None and not places)
        return replace(new, macs=None if again else new.macs, places=places | {offset})

    def _product(self, name: str, call: Mapping[str, Any], sources: Sequence[Tensor], out: Tensor) -> _Product | None:
        made = self._made(name, call, out)
        if made is not None and name == "mul":
            return made
        held = [self._seen(tensor) for tensor in _different(name, sources)]
        carried = [product for product in (made, *held) if product is not None]
        if not carried or name not in CARRIES:
            return None
        if name in SELECTS:
            return _selected(name, call, carried[0], out)
        if name in JOINS:
            return _joined(carried, out)
        if name in PUTS and len(carried) > 1:
            return replace(carried[0].within(out.numel()), macs=None, even=False, attends=any(part.attends for part in carried))
        product = sum(carried[1:], carried[0])
        return product.within(out.numel()) if out.numel() >= product.size else product.part(out.numel())

    def _made(self, name: str, call: Mapping[str, Any], out: Tensor) -> _Product | None:
        """Return the product that this operation itself makes, if its two factors are different tensors."""
        names = {"mul": ("self", "other"), "addcmul": ("tensor1", "tensor2")}.get(name, ())
        factors = [call[factor] for factor in names if isinstance(call.get(factor), Tensor)]
        if len(factors) < 2 or key_of(factors[0]) == key_of(factors[1]) or not (shared := _shared(factors, out)):
            return None
        return _Product(out.numel(), out.numel(), tuple(out.shape), shared, all(map(self.depends, factors)))


def _different(name: str, sources: Sequence[Tensor]) -> Sequence[Tensor]:
    """Joined tensors count each time that they are there; of others, views of one storage count once."""
    return sources if name in JOINS else list({key_of(tensor): tensor for tensor in sources}.values())


def _selected(name: str, call: Mapping[str, Any], product: _Product, out: Tensor) -> _Product:
    """Return the product of some elements, each as often as it is chosen: that often it will be summed."""
    if not product.even:
        return replace(product.within(out.numel()), macs=None)
    by_one = name == "index" and sum(index is not None for index in call["indices"]) == 1
    if (name in SAME_DIMENSIONS or by_one) and len(product.shape) == out.ndim:
        return replace(product.part(out.numel()), shape=tuple(out.shape), shared=product.shared)
    return replace(product.part(out.numel()), shape=(), shared=frozenset())


def _joined(carried: Sequence[_Product], out: Tensor) -> _Product:
    total = sum(carried[1:], carried[0])
    size = sum(product.size for product in carried)
    terms = {Fraction(product.macs or 0, product.size or 1) for product in carried}
    even = all(product.even for product in carried) and len(terms) == 1 and size == out.numel()
    return replace(total, size=out.numel(), shape=(), shared=frozenset(), even=even)


def _distinct(tensor: Tensor) -> int:
    return prod(int(size) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or not size)


def _whole(tensor: Tensor) -> bool:
    """Whether the tensor is all of its storage."""
    return tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()


def _mark(keys: set[int | None], key: int | None, marked: bool) -> None:
    if marked:
        keys.add(key)
    else:
        keys.discard(key)


def _shared(factors: Sequence[Tensor], out: Tensor) -> frozenset[int]:
    """Dimensions of the result, from the last (-1), over which both factors vary."""
    return frozenset(
        d for d in range(-out.ndim, 0) if all(factor.ndim >= -d and factor.shape[d] > 1 and factor.stride(d) for factor in factors)
    )


def _contracts(product: _Product, summed: Tensor, dim: int | Sequence[int] | None) -> bool:
    """Whether the sum runs over a dimension in which both factors vary. Where the product was reshaped, it is taken to."""
    if product.shape != tuple(summed.shape) or dim is None or dim == []:
        return True
    dims = [dim] if isinstance(dim, int) else dim
    return bool(product.shared & {d if d < 0 else d - summed.ndim for d in dims})
