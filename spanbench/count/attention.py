"""Cells and FLOPs of one scaled dot-product attention, read from the call that torch was asked to execute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from spanbench.count.extents import unique_elements
from spanbench.count.rules import refuse
from spanbench.tally import Tally

__all__ = ["AttentionCall", "read_attention"]

_SDPA = "aten.scaled_dot_product_attention"
_SOFTMAX_WORK = 5  # scale, maximum, exponential, sum, divide: for each score


@dataclass(frozen=True, slots=True)
class AttentionCall:
    """One call: cells count over the batch, not over heads; `widths` is E of the queries plus E of the values."""

    cells_dense: int
    cells_useful: int
    heads: int
    widths: int
    causal: bool

    @property
    def scores_dense(self) -> int:
        """Cells x query heads: what a kernel evaluates."""
        return self.cells_dense * self.heads

    @property
    def flops(self) -> int:
        """2 FLOPs a multiply-accumulate, E of them for QK' and E of the values for AV, for every score."""
        return 2 * self.scores_dense * self.widths

    @property
    def tally(self) -> Tally:
        """FLOPs by all three conventions, cells and scores; `causal-half` halves only where the call says `is_causal`."""
        return Tally(
            attention_flops=self.flops,
            attention_flops_useful=2 * self.cells_useful * self.heads * self.widths,
            attention_flops_causal_half=self.flops // 2 if self.causal else self.flops,
            cells_dense=self.cells_dense,
            cells_useful=self.cells_useful,
            scores_dense=self.scores_dense,
        )

    @property
    def flops_other(self) -> int:
        """Element-wise work of the softmax."""
        return _SOFTMAX_WORK * self.scores_dense


def read_attention(arguments: Mapping[str, Any]) -> AttentionCall:
    """Read a call of SDPA from its arguments by name; query is (.. x H x T_q x E), key (.. x G x T_k x E).

    A query of three dimensions has one head.

    Raises:
        UncountedOperation: the useful cells cannot be known, or `is_causal` with T_q != T_k.
    """
    query, key, value = (arguments[name] for name in ("query", "key", "value"))
    mask, causal = arguments.get("attn_mask"), bool(arguments.get("is_causal"))
    if arguments.get("dropout_p"):
        raise refuse(_SDPA, f"dropout_p={arguments['dropout_p']} is not inference; 0 would be")
    *batch, heads = query.shape[:-2] if query.ndim > 3 else (*query.shape[:-2], 1)
    rows, columns = query.shape[-2], key.shape[-2]
    dense = prod(batch) * rows * columns
    useful = dense
    if causal:
        useful = prod(batch) * _triangle(rows, columns)
    elif mask is not None:
        useful = _allowed(mask, dense, has_heads=query.ndim > 3)
    return AttentionCall(dense, useful, heads, query.shape[-1] + value.shape[-1], causal)


def _triangle(rows: int, columns: int) -> int:
    """Cells of a causal square. Elsewhere torch aligns the triangle to the top left: one row would see one key."""
    if rows != columns:
        raise refuse(_SDPA, f"is_causal with {rows} queries and {columns} keys lets each query see the first keys only; use a mask")
    return rows * (rows + 1) // 2


def _allowed(mask: Tensor, dense: int, *, has_heads: bool) -> int:
    """Cells that a mask lets through; the mask repeats over whatever it is broadcast to, but not over heads."""
    if has_heads and mask.ndim >= 3 and mask.shape[-3] > 1 and mask.stride(-3) != 0:
        raise refuse(_SDPA, f"its mask differs between {mask.shape[-3]} heads, and a cell belongs to all of them")
    own = unique_elements(mask)
    if own == 0:
        return 0
    if not mask.is_meta:
        return _open_cells(mask) * dense // mask.numel()
    declared = getattr(mask, "useful_cells", None)
    if declared is None:
        raise refuse(_SDPA, "its mask lies on meta and has no contents; set `mask.useful_cells` to the cells it lets through")
    return int(declared) * dense // own


def _open_cells(mask: Tensor) -> int:
    """Count the entries that let a key through: True, or in an additive mask anything above -inf."""
    through = mask if mask.dtype == torch.bool else mask != float("-inf")
    return int(through.sum())
