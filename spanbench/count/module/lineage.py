"""Where tensors come from: which do not depend on the inputs, which are element-wise products that a sum would contract.

Both are facts of storages, so that views share them. A storage is held weakly: its identity is then given to no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from spanbench.count.module.contents import key_of
from spanbench.count.rules import refuse

__all__ = ["Lineage"]

_SUMS = ("sum", "mean", "nansum", "cumsum")
_SOFTMAX = ("softmax", "_softmax", "_safe_softmax", "_masked_softmax")
_CARRIES = frozenset(
    (
        "mul",
        "div",
        "neg",
        "add",
        "sub",
        "rsub",
        "masked_fill",
        "where",
        "clone",
        "contiguous",
        "_to_copy",
        "to",
        "copy",
        "reshape",
        "dropout",
        "native_dropout",
    )
)
"""Linear in the product, or as good as: a sum over their result contracts as one over the product would."""


@dataclass(frozen=True, slots=True)
class _Product:
    """An element-wise product of different tensors: its size, and the dimensions over which both factors vary."""

    macs: int
    shape: tuple[int, ...] = ()
    shared: frozenset[int] = frozenset()
    attends: bool = False

    def __add__(self, other: _Product) -> _Product:
        return _Product(self.macs + other.macs, attends=self.attends or other.attends)


class Lineage:
    """Facts about the storages of one run."""

    def __init__(self, weights: Iterable[Tensor], inputs: Iterable[Tensor]) -> None:
        self._constant = {key_of(weight) for weight in weights}
        self._given = self._constant | {key_of(tensor) for tensor in inputs}
        self._softmaxed: set[int | None] = set()
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
            UncountedOperation: the product is of complex numbers.
        """
        product = self._products.get(key_of(tensors[0])) if name in _SUMS and tensors else None
        if product is None or not _contracts(product, tensors[0], call.get("dim")):
            return 0, False
        if tensors[0].is_complex():
            raise refuse(f"aten.{name}", "it contracts complex products, and only real ones are counted")
        return product.macs, product.attends

    def follow(self, name: str, tensors: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """Note where the results of one operation come from."""
        keys = [key_of(tensor) for tensor in tensors]
        constant, soft = all(key in self._constant for key in keys), name in _SOFTMAX
        soft = soft or (name in _CARRIES and any(key in self._softmaxed for key in keys))
        product = self._product(name, tensors, keys, results[0]) if results else None
        for result in results:
            key = key_of(result)
            if key not in self._held and key not in keys:
                self._held[key] = StorageWeakRef(result.untyped_storage())
            _mark(self._constant, key, constant)
            if soft:
                self._softmaxed.add(key)
            if product is not None:
                self._products[key] = product
            elif name == "mul" or key not in keys:
                self._products.pop(key, None)

    def _product(self, name: str, tensors: Sequence[Tensor], keys: Sequence[int | None], out: Tensor) -> _Product | None:
        if name == "mul" and len(tensors) == 2 and keys[0] != keys[1] and (shared := _shared(tensors, out)):
            outer = out.numel() > max(tensor.numel() for tensor in tensors)
            both = all(map(self.depends, tensors))
            attends = both and (outer or any(key in self._softmaxed for key in keys))
            return _Product(out.numel(), tuple(out.shape), shared, attends)
        if name not in _CARRIES:
            return None
        carried = [self._products[key] for key in dict.fromkeys(keys) if key in self._products]
        if not carried:
            return None
        return carried[0] if len(carried) == 1 else sum(carried[1:], carried[0])


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
