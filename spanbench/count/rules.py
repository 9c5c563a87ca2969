"""Which class of work each operation of torch's dispatcher is. Deny by default: what is not listed here is not counted.

One table, from an operation's name (in-place and `out` variants share it) to a `Rule`. The ledger refuses a total in
which an operation without a rule was executed, unless torch can decompose it into operations that have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

from torch import Tensor
from torch._ops import OpOverload

from spanbench.errors import UncountedOperation

__all__ = ["Kind", "Rule", "name_of", "product_flops", "refuse", "rule_of"]


class Kind(Enum):
    """Class of an operation; docs/what-is-counted.md says what each costs."""

    PRODUCT = "matrix product"
    ATTENTION = "scaled dot-product attention"
    NORM = "norm"
    LOOKUP = "look-up"
    ELEMENTWISE = "element-wise"
    REDUCTION = "reduction"
    COPY = "copy or factory"
    VIEW = "view"


@dataclass(frozen=True, slots=True)
class Rule:
    """`work`: element-wise FLOPs for each element: of the input for a reduction, of the output otherwise."""

    kind: Kind
    work: int = 0


Depth = Callable[[Sequence[Tensor]], int]
"""Multiply-accumulates for each element of the output, from the operation's tensors in the order of its schema."""


def _first(tensors: Sequence[Tensor]) -> int:
    return tensors[0].shape[-1]


def _second(tensors: Sequence[Tensor]) -> int:
    return tensors[1].shape[-1]


def _second_summed(tensors: Sequence[Tensor]) -> int:
    return tensors[1].shape[0] * tensors[1].shape[-1]


def _one(_: Sequence[Tensor]) -> int:
    return 1


# Convolutions and recurrent cells will stand here too; until then torch decomposes them or the ledger refuses them.
_PRODUCTS: Mapping[str, Depth] = {
    **dict.fromkeys(("linear", "matmul", "mm", "bmm", "mv", "dot", "vdot", "_int_mm"), _first),
    **dict.fromkeys(("addmm", "baddbmm", "addmv", "_addmm_activation"), _second),
    "addbmm": _second_summed,
    **dict.fromkeys(("outer", "ger", "addr"), _one),
}

_NORM_WORK = 4  # square, sum, scale, weight

_ELEMENTWISE: Mapping[int, str] = {
    1: """add sub rsub mul div true_divide floor_divide remainder fmod neg reciprocal abs sign square sqrt rsqrt pow exp exp2
          expm1 log log1p log2 cos sin tan tanh sigmoid erf gelu silu relu relu6 leaky_relu elu mish softplus hardtanh
          hardsigmoid hardswish clamp clamp_min clamp_max maximum minimum floor ceil round trunc where masked_fill eq ne lt le
          gt ge logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor __and__ __or__
          isnan isinf isfinite polar atan2""",
    2: "addcmul addcdiv glu",
    3: "lerp",
}

_REDUCTION: Mapping[int, str] = {
    1: "sum mean prod amax amin max min argmax argmin any all cumsum cumprod cummax",
    2: "linalg_vector_norm",
    3: "logsumexp",
    4: "softmax _softmax _safe_softmax log_softmax _log_softmax var std",  # maximum, exponential, sum, divide
}

_VIEW = """view _unsafe_view reshape view_as flatten unflatten transpose t numpy_T mT permute movedim moveaxis swapaxes
           swapdims expand expand_as broadcast_to squeeze unsqueeze select slice narrow split split_with_sizes chunk
           tensor_split unbind unfold as_strided diagonal detach alias lift_fresh view_as_real view_as_complex real imag
           _reshape_alias size stride numel is_same_size"""

_COPY = """contiguous clone copy to _to_copy type_as cat concat stack repeat repeat_interleave tile index index_select gather
           take_along_dim index_copy index_put scatter slice_scatter select_scatter masked_select constant_pad_nd pad roll flip
           complex tril triu empty empty_like empty_strided new_empty new_empty_strided zeros zeros_like new_zeros zero ones
           ones_like new_ones full full_like new_full fill arange linspace eye scalar_tensor _local_scalar_dense item
           is_nonzero equal resize set"""


def _table() -> dict[str, Rule]:
    table = dict.fromkeys(_PRODUCTS, Rule(Kind.PRODUCT))
    table["scaled_dot_product_attention"] = Rule(Kind.ATTENTION)
    table["embedding"] = Rule(Kind.LOOKUP)
    table |= dict.fromkeys(("rms_norm", "_fused_rms_norm", "layer_norm", "native_layer_norm"), Rule(Kind.NORM, _NORM_WORK))
    for kind, names_by_work in ((Kind.ELEMENTWISE, _ELEMENTWISE), (Kind.REDUCTION, _REDUCTION)):
        for work, names in names_by_work.items():
            table |= dict.fromkeys(names.split(), Rule(kind, work))
    table |= dict.fromkeys(_COPY.split(), Rule(Kind.COPY))
    return table | dict.fromkeys(_VIEW.split(), Rule(Kind.VIEW))


_RULES: Mapping[str, Rule] = _table()


@cache
def name_of(operation: OpOverload) -> str:
    """Return the operation's name without namespace, overload and the underscore of an in-place variant."""
    name: str = operation._overloadpacket.__name__  # the packet has no public name
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


@cache
def rule_of(operation: OpOverload) -> Rule | None:
    """Return the operation's rule, or None where there is none; only torch's own (`aten`) operations have one."""
    return _RULES.get(name_of(operation)) if operation.namespace == "aten" else None


def product_flops(name: str, tensors: Sequence[Tensor], out: Tensor) -> int:
    """Return 2 x multiply-accumulates of one matrix product; an addend (bias) is not in it.

    Raises:
        UncountedOperation: complex numbers, whose products are of another kind.
    """
    if out.is_complex():
        raise refuse(f"aten.{name}", "its matrices are complex, and only real products are counted")
    return 2 * out.numel() * _PRODUCTS[name](tensors)


def refuse(operation: str, why: str) -> UncountedOperation:
    """Return the error that refuses a total because of one operation."""
    return UncountedOperation(f"{operation}: {why}; the total is refused")
