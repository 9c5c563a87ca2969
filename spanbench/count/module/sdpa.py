"""Attention that arrives at the dispatcher whole: cells and FLOPs, and why its useful cells are unknown where they are.

Other than in the pair, an unreadable mask does not refuse the FLOPs: these are dense, so only `cells_useful` is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

from spanbench.count.attention import read_attention
from spanbench.count.module.contents import has_contents
from spanbench.count.rules import refuse
from spanbench.errors import UncountedOperation

__all__ = ["Attention", "fast_path", "read"]

_LENGTHS = ("cum_seq_q", "cum_seq_k", "cu_seqlens_q", "cu_seqlens_k", "seqused_k", "block_table")
_ROWS_FIRST = ("_flash_attention_forward", "_efficient_attention_forward")
_MASKS = ("attn_mask", "attn_bias", "bias")


@dataclass(frozen=True, slots=True)
class Attention:
    """One call. `useful` is None where `reason` says why."""

    flops: int
    dense: int
    useful: int | None
    reason: str = ""


def read(name: str, call: Mapping[str, Any], out: Tensor) -> Attention:
    """Read one attention from its arguments by name.

    Raises:
        UncountedOperation: sequences of unknown lengths laid end to end, or queries that are broadcast.
    """
    _check_lengths(name, call)
    swapped = name in _ROWS_FIRST  # B x T x H x E, where everybody else has B x H x T x E
    tensors = {part: call[part].transpose(1, 2) if swapped else call[part] for part in ("query", "key", "value")}
    batch = out.shape[:1] if swapped else out.shape[:-2]
    if tensors["query"].shape[: len(batch)] != batch:
        raise refuse(f"aten.{name}", "its queries are broadcast over keys of a larger batch")
    dense = read_attention(tensors)
    try:
        return Attention(dense.flops, dense.cells_dense, _useful(name, call, tensors))
    except UncountedOperation as unknown:
        return Attention(dense.flops, dense.cells_dense, None, str(unknown).removesuffix("; the total is refused"))


def _check_lengths(name: str, call: Mapping[str, Any]) -> None:
    given = next((length for length in _LENGTHS if call.get(length) is not None), None)
    if given:
        raise refuse(f"aten.{name}", f"{given} lays sequences of several lengths end to end")


def _useful(name: str, call: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    mask = next((call[part] for part in _MASKS if call.get(part) is not None), None)
    causal = bool(call.get("is_causal")) or bool(call.get("custom_mask_type"))
    rows, columns = tensors["query"].shape[-2], tensors["key"].shape[-2]
    if causal and rows != columns:
        if name != "scaled_dot_product_attention":
            raise refuse(f"aten.{name}", f"where its causal mask lies over {rows} queries and {columns} keys depends on the kernel")
        return _batch(tensors["query"]) * sum(min(row + 1, columns) for row in range(rows))
    if mask is not None and not (has_contents(mask) or hasattr(mask, "useful_cells")):
        raise refuse(f"aten.{name}", "its mask has no contents on meta, so the cells it lets through are unknown")
    return read_attention({**tensors, "attn_mask": mask, "is_causal": causal}).cells_useful


def _batch(query: Tensor) -> int:
    return prod(query.shape[:-3] if query.ndim > 3 else query.shape[:-2])


def fast_path(name: str, call: Mapping[str, Any]) -> Attention:
    """Read the operations that inference uses for nn.MultiheadAttention and nn.TransformerEncoderLayer, self-attention or cross.

    FLOPs are those of the whole layer: projections in and out, attention, and the encoder layer's MLP.
    """
    query: Tensor = call["src"] if name == "_transformer_encoder_layer_fwd" else call["query"]
    key: Tensor = call.get("key", query)
    batch, rows, width = query.shape
    cells = batch * rows * key.shape[1]
    flops = 2 * width * width * batch * (2 * rows + 2 * key.shape[1]) + 4 * cells * width
    if "ffn_weight_1" in call:
        flops += 4 * batch * rows * call["ffn_weight_1"].numel()
    if call.get("mask") is not None:
        return Attention(flops, cells, None, f"aten.{name}: the fast path's mask is not read")
    return Attention(flops, cells, cells)
