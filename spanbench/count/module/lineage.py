"""Where tensors come from: which do not depend on the inputs, which are element-wise products that a sum would contract.

Both are facts of storages, so that views share them. A storage is held weakly: its identity is then given to no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from spanbench.count.module.contents import key_of
from spanbench.count.module.flows import ADDS, CARRIES, JOINS, MAY_BE_VIEWS, PUTS, SAME_DIMENSIONS, SELECTS, SUMS, reduced_dims
from spanbench.count.module.held import Product, Single, contracts, distinct, is_whole, shared_dims, single_dims
from spanbench.count.rules import refuse

__all__ = ["Lineage"]

_FACTORS: Mapping[str, tuple[str, str]] = {"mul": ("self", "other"), "addcmul": ("tensor1", "tensor2")}


class Lineage:
    """Facts about the storages of one run."""

    def __init__(self, weights: Iterable[Tensor], inputs: Iterable[Tensor]) -> None:
        self._constant = {key_of(weight) for weight in weights}
        self._given = self._constant | {key_of(tensor) for tensor in inputs}
        self._products: dict[int | None, Product] = {}
        self._singles: dict[int | None, Single] = {}
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
        if name in ADDS:
            return self._added(name, call)
        product = self._seen(tensors[0]) if name in SUMS and tensors else None
        if product is None or not contracts(product, tensors[0], call.get("dim")):
            return 0, False
        return _terms(name, product, tensors[0]), product.attends

    def _added(self, name: str, call: Mapping[str, Any]) -> tuple[int, bool]:
        """Return the same of an addition by index: one multiply-accumulate for each element of a product that it adds.

        A single row is added too, where a sum over one does nothing: the total does not depend on which rows come together.
        """
        source: Tensor = call[ADDS[name]]
        product, single = self._seen(source), self._singles.get(key_of(source))
        if product is None or not contracts(product, source, call["dim"]):
            if single is None or not single.meets(source, call["dim"]):
                return 0, False
            product = Product(source.numel(), source.numel(), single.shape, attends=single.attends)
        if product.shape != tuple(source.shape):
            raise refuse(
                f"aten.{name}",
                "it adds up a product that was reshaped, joined or added to another, and over which dimension cannot be told",
            )
        added = min(product.size, call["index"].numel()) if name == "scatter_add" else product.size
        return _terms(name, product.part(added), source), product.attends

    def _check_reduced(self, name: str, call: Mapping[str, Any], tensors: Sequence[Tensor]) -> None:
        """Refuse what sums a product in a way that no rule counts."""
        dims = reduced_dims(name, call)
        for tensor in tensors if dims != [] else ():
            if (product := self._seen(tensor)) and contracts(product, tensor, dims):
                raise refuse(f"aten.{name}", "it sums an element-wise product of two tensors, a contraction that no rule counts")

    def _seen(self, tensor: Tensor) -> Product | None:
        """Return the product as this tensor holds it: a view may hold a part, an expanded one holds nothing more."""
        product = self._products.get(key_of(tensor))
        return product and product.part(distinct(tensor))

    def follow(self, name: str, call: Mapping[str, Any], tensors: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """Note where the results of one operation come from."""
        out = call.get("out")
        sources = [tensor for tensor in tensors if tensor is not out and not (name == "copy" and tensor is call.get("self"))]
        keys = [key_of(tensor) for tensor in tensors if tensor is not out]
        constant = all(key in self._constant for key in keys)
        product = self._product(name, call, sources, results[0]) if results else None
        single = self._single(name, call, sources, results[0]) if results else None
        for result in results:
            key = key_of(result)
            fresh = key not in self._held and key not in keys
            if fresh:
                self._held[key] = StorageWeakRef(result.untyped_storage())
            _mark(self._constant, key, constant)
            if name in MAY_BE_VIEWS and key in keys:
                continue
            whole = fresh or is_whole(result)
            replaced = whole and (name == "mul" or key not in keys)
            if product is not None:
                self._products[key] = product if fresh else self._placed(key, product, result)
            elif replaced:
                self._products.pop(key, None)
            if single is not None and whole:
                self._singles[key] = single
            elif replaced:
                self._singles.pop(key, None)

    def _placed(self, key: int | None, product: Product, result: Tensor) -> Product:
        """Return what a storage holds once the result was written into it: all of it, or a further part."""
        if is_whole(result):
            return product
        before, offset = self._products.get(key), int(result.storage_offset())
        if before is not None and before.part(distinct(result)).macs == product.macs is not None:
            return before
        size = result.untyped_storage().nbytes() // result.element_size()
        places = before.places if before else frozenset()
        new = product.within(size)
        if before is not None:
            new = replace(before.within(size) + new, even=False)
        again = offset in places or (before is not None and not places)
        return replace(new, macs=None if again else new.macs, places=places | {offset})

    def _product(self, name: str, call: Mapping[str, Any], sources: Sequence[Tensor], out: Tensor) -> Product | None:
        made = self._made(name, call, out)
        if made is not None and name == "mul":
            return made
        if name in ADDS:
            return self._added_into(name, call, out)
        held = [self._seen(tensor) for tensor in _different(name, sources)]
        carried = [product for product in (made, *held) if product is not None]
        return _carried(name, call, carried, out) if carried and name in CARRIES else None

    def _made(self, name: str, call: Mapping[str, Any], out: Tensor) -> Product | None:
        """Return the product that this operation itself makes, if its two factors are different tensors."""
        factors = _factors(name, call)
        if not factors or not (shared := shared_dims(factors, out)):
            return None
        return Product(out.numel(), out.numel(), tuple(out.shape), shared, all(map(self.depends, factors)))

    def _added_into(self, name: str, call: Mapping[str, Any], out: Tensor) -> Product | None:
        """Return what is left to be summed after an addition by index: the terms that it moved, but did not contract."""
        source: Tensor = call[ADDS[name]]
        before, moved = self._seen(call["self"]), self._seen(source)
        if moved is None or contracts(moved, source, call["dim"]):
            return before
        moved = replace(moved, size=out.numel(), shape=tuple(out.shape), even=False)
        return moved if before is None else before + moved

    def _single(self, name: str, call: Mapping[str, Any], sources: Sequence[Tensor], out: Tensor) -> Single | None:
        """Return the dimensions of size 1 of a product that this operation makes or carries."""
        factors = _factors(name, call)
        if factors and (dims := single_dims(factors, out)):
            return Single(tuple(out.shape), dims, all(map(self.depends, factors)))
        held = [single for tensor in sources if (single := self._singles.get(key_of(tensor)))]
        return held[0] if held and name in CARRIES else None


def _factors(name: str, call: Mapping[str, Any]) -> list[Tensor]:
    """Return the two different tensors that an operation multiplies element by element; [] where it does not."""
    factors = [call[factor] for factor in _FACTORS.get(name, ()) if isinstance(call.get(factor), Tensor)]
    return factors if len(factors) == 2 and key_of(factors[0]) != key_of(factors[1]) else []


def _terms(name: str, product: Product, summed: Tensor) -> int:
    if summed.is_complex():
        raise refuse(f"aten.{name}", "it contracts complex products, and only real ones are counted")
    if product.macs is None:
        raise refuse(f"aten.{name}", "it sums products of which only some elements are here, and which ones cannot be told")
    return product.macs


def _carried(name: str, call: Mapping[str, Any], carried: Sequence[Product], out: Tensor) -> Product:
    """Return what the result of a linear operation holds of the products that it was given."""
    if name in SELECTS:
        return _selected(name, call, carried[0], out)
    if name in JOINS:
        return _joined(carried, out)
    if name in PUTS and len(carried) > 1:
        return replace(carried[0].within(out.numel()), macs=None, even=False, attends=any(part.attends for part in carried))
    product = sum(carried[1:], carried[0])
    return product.within(out.numel()) if out.numel() >= product.size else product.part(out.numel())


def _different(name: str, sources: Sequence[Tensor]) -> Sequence[Tensor]:
    """Joined tensors count each time that they are there; of others, views of one storage count once."""
    return sources if name in JOINS else list({key_of(tensor): tensor for tensor in sources}.values())


def _selected(name: str, call: Mapping[str, Any], product: Product, out: Tensor) -> Product:
    """Return the product of some elements, each as often as it is chosen: that often it will be summed."""
    if not product.even:
        return replace(product.within(out.numel()), macs=None)
    by_one = name == "index" and sum(index is not None for index in call["indices"]) == 1
    if (name in SAME_DIMENSIONS or by_one) and len(product.shape) == out.ndim:
        return replace(product.part(out.numel()), shape=tuple(out.shape), shared=product.shared)
    return replace(product.part(out.numel()), shape=(), shared=frozenset())


def _joined(carried: Sequence[Product], out: Tensor) -> Product:
    total = sum(carried[1:], carried[0])
    size = sum(product.size for product in carried)
    terms = {Fraction(product.macs or 0, product.size or 1) for product in carried}
    even = all(product.even for product in carried) and len(terms) == 1 and size == out.numel()
    return replace(total, size=out.numel(), shape=(), shared=frozenset(), even=even)


def _mark(keys: set[int | None], key: int | None, marked: bool) -> None:
    if marked:
        keys.add(key)
    else:
        keys.discard(key)
