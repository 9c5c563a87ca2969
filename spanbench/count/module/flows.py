"""What operations do to an element-wise product that they are given: keep it, place it elsewhere, or sum it unseen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ADDS", "CARRIES", "JOINS", "MAY_BE_VIEWS", "PUTS", "SAME_DIMENSIONS", "SELECTS", "SUMS", "reduced_dims"]

_LINEAR = """mul div neg add sub rsub addcmul masked_fill where clone contiguous _to_copy to copy reshape dropout native_dropout
             constant_pad_nd pad tril triu"""
_SAME = "index_select gather take_along_dim flip roll"
_CHOOSING = "index _unsafe_index take masked_select repeat tile repeat_interleave"
_PUTTING = "index_put _unsafe_index_put _index_put_impl index_copy scatter slice_scatter select_scatter masked_scatter"
_ADDING = "index_reduce scatter_reduce segment_reduce put col2im"

SUMS = ("sum", "mean", "nansum", "cumsum")
ADDS: Mapping[str, str] = {"index_add": "source", "scatter_add": "src"}
"""They add each element of this argument to one of `self`, along `dim`: of a product, they are a sparse matrix product."""

JOINS = ("cat", "concat", "stack")
MAY_BE_VIEWS = ("reshape", "contiguous", "to", "dropout", "native_dropout")
"""Their result may be the tensor that they were given, into which nothing was written."""

SAME_DIMENSIONS = frozenset(_SAME.split())
"""Their result has the dimensions of what they choose from, in the same order."""

SELECTS = SAME_DIMENSIONS | frozenset(_CHOOSING.split())
PUTS = frozenset(_PUTTING.split())
CARRIES = frozenset(_LINEAR.split()) | SELECTS | PUTS | frozenset(JOINS)
"""Linear in the product, or as good as: a sum over their result contracts as one over the product would."""

_POOLED = {f"{pool}{d}d": d for pool in ("avg_pool", "adaptive_avg_pool", "_adaptive_avg_pool") for d in (1, 2, 3)}
_NORMS = ("norm", "linalg_vector_norm")
_ADDS_INTO = frozenset(_ADDING.split())


def reduced_dims(name: str, call: Mapping[str, Any]) -> list[int] | None:
    """Return the dimensions that an operation without a rule sums over: [] is none, None is all of them or unknown."""
    if name in _POOLED:
        return list(range(-_POOLED[name], 0))
    if name in _NORMS:
        return None if call.get("ord", call.get("p")) == 1 else []
    if name in PUTS:
        return None if call.get("accumulate") else []
    if name not in _ADDS_INTO:
        return []
    dim = call.get("dim")
    return [dim] if isinstance(dim, int) else None
