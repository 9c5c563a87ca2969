"""What one executed operation costs: as a unit (FLOPs, cells, bytes_fused) and in element-wise FLOPs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch._ops import OpOverload

from spanbench.count.attention import read_attention
from spanbench.count.extents import unique_bytes
from spanbench.count.rules import Kind, Rule, product_flops, refuse
from spanbench.tally import Tally

__all__ = ["attention_work", "by_name", "other_work", "refuse_product_by_hand", "unit_work"]

_NOTHING = Tally()
_COMPLEX_PARTS = 2  # a complex element is two numbers
_COMPLEX_PRODUCT = 6  # and its product 4 multiplies and 2 adds


def by_name(func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by the names of the operation's schema; those left at their default are absent."""
    names = (argument.name for argument in func._schema.arguments)  # the schema has no public name
    return {**dict(zip(names, args, strict=False)), **kwargs}


def attention_work(arguments: Mapping[str, Any], out: Tensor) -> tuple[Tally, int]:
    """Counts and element-wise FLOPs of one attention.

    Keys and values that serve the whole batch count their bytes once, queries by row; a mask is free.
    """
    call, query = read_attention(arguments), arguments["query"]
    fused = (query.numel() + out.numel()) * out.element_size() + unique_bytes([arguments["key"], arguments["value"]])
    return replace(call.tally, bytes_fused=fused), call.flops_other


def unit_work(name: str, rule: Rule, tensors: Sequence[Tensor], out: Tensor) -> Tally:
    """Counts of a matrix product, a norm or a look-up; anything else is no unit and free."""
    if rule.kind is Kind.PRODUCT:
        return Tally(matrix_flops=product_flops(name, tensors, out), bytes_fused=unique_bytes([*tensors, out]))
    if rule.kind is Kind.LOOKUP:  # the rows that are read, not the table
        return Tally(bytes_fused=unique_bytes(tensors[1:]) + 2 * out.numel() * out.element_size())
    if rule.kind is Kind.NORM:
        return Tally(bytes_fused=unique_bytes([*tensors, out]))
    return _NOTHING


def other_work(name: str, rule: Rule, tensors: Sequence[Tensor], out: Tensor) -> int:
    """Element-wise FLOPs: by input element for a reduction, by output element otherwise."""
    if rule.kind is Kind.PRODUCT:  # an addend (bias) is one more for each output element
        return out.numel() * (len(tensors) - 2)
    if rule.kind is Kind.REDUCTION:
        return tensors[0].numel() * rule.work
    if not out.is_complex():
        return out.numel() * rule.work
    product = name == "mul" and all(tensor.is_complex() for tensor in tensors)
    return out.numel() * rule.work * (_COMPLEX_PRODUCT if product else _COMPLEX_PARTS)


def refuse_product_by_hand(name: str, tensors: Sequence[Tensor], out: Tensor) -> None:
    """Refuse (q[:, None] * k).sum(-1): a matrix product that would pass for element-wise work.

    A product larger than both its factors is an outer one; it carries a note, and nobody may sum over it.
    """
    if name == "mul" and len(tensors) == 2 and out.numel() > max(tensor.numel() for tensor in tensors):
        out.is_outer_product = True  # type: ignore[attr-defined]  # a note on the tensor, read below
    elif name in ("sum", "mean") and hasattr(tensors[0], "is_outer_product"):
        raise refuse(f"aten.{name}", "it sums a broadcast product, which is a matrix product written by hand; use torch.matmul")
