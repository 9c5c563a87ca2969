"""First witness: fvcore's trace of the model, with handlers of our own where its own are silent or not exact.

fvcore (0.1.5) counts multiply-accumulates. It knows no attention, counts norms as matrix work, rounds einsum and
takes a product with a vector for an error; it drops what it does not know. Here each of these is exact or refused.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spanbench.count.subject import Subject
from spanbench.errors import UncountedOperation

__all__ = ["fvcore_macs"]

Handler = Callable[[list[Any], list[Any]], "int | Counter[str]"]


def fvcore_macs(subject: Subject) -> int:
    """Return multiply-accumulates of matrix-class operations, dense attention, of one traced run of the subject.

    Raises:
        UncountedOperation: the trace holds an operation that fvcore cannot count and that is not known to be free.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # fvcore decorates functions of its own with torch.jit.script when it is imported; no release of it does not.
        # Of any category: torch 2.14 made the DeprecationWarning a FutureWarning.
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(_Traced(subject), (subject.ids,)).set_op_handle(**_HANDLERS)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)  # they are errors below
        counts = analysis.by_operator()
        unknown = sorted(set(analysis.unsupported_ops()) - _FREE)
    if unknown:
        raise UncountedOperation(f"{unknown[0]}: fvcore cannot count it, and it is not known to be free of matrix work")
    return _whole(counts)


def _whole(counts: Counter[str]) -> int:
    """Add up, in integers: fvcore's floats would lose the last digits of a large model."""
    inexact = {name: value for name, value in counts.items() if value != int(value) or isinstance(value, float)}
    if inexact:
        raise UncountedOperation(f"{', '.join(sorted(inexact))}: fvcore's count is not a whole number")
    return sum(int(value) for value in counts.values())


class _Traced(nn.Module):
    """The subject as a module whose forward is the call."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.module, self._call = subject.module, subject.call

    def forward(self, ids_BxN: Tensor) -> Tensor:
        with _PlainShapes():
            return self._call(ids_BxN)[0]


class _PlainShapes(TorchFunctionMode):
    """Gives sizes as ints while torch.jit traces; it would give tensors, which no argument of type bool accepts."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func not in _SIZES:
            return func(*args, **(kwargs or {}))
        tracing = torch._C._get_tracing_state()
        torch._C._set_tracing_state(None)  # type: ignore[attr-defined]  # missing in its stub
        try:
            return func(*args, **(kwargs or {}))
        finally:
            torch._C._set_tracing_state(tracing)  # type: ignore[attr-defined]


_SIZES = (Tensor.shape.__get__, Tensor.size, Tensor.numel, Tensor.__len__)  # type: ignore[attr-defined]  # a descriptor of C


def _shape(value: Any) -> list[int]:
    sizes: list[int] = value.type().sizes()
    return sizes


def _nothing(_inputs: list[Any], _outputs: list[Any]) -> Counter[str]:
    """No matrix work. `set_op_handle(op, None)` would leave fvcore's own handler in place."""
    return Counter()


def _attention(inputs: list[Any], _outputs: list[Any]) -> int:
    """QK' and AV: (.. x H x T_q x E) queries, (.. x T_k x Ev) values."""
    query, value = _shape(inputs[0]), _shape(inputs[2])
    return prod(query[:-1]) * value[-2] * (query[-1] + value[-1])


def _contraction(first: int) -> Handler:
    """Handler of a product whose left operand is input number `first` and is contracted over its last dimension."""

    def handler(inputs: list[Any], outputs: list[Any]) -> int:
        return prod(_shape(outputs[0])) * _shape(inputs[first])[-1]

    return handler


def _addbmm(inputs: list[Any], _outputs: list[Any]) -> int:
    return prod(_shape(inputs[1])) * _shape(inputs[2])[-1]


def _outer(_inputs: list[Any], outputs: list[Any]) -> int:
    return prod(_shape(outputs[0]))


def _einsum(inputs: list[Any], _outputs: list[Any]) -> int:
    """Two operands, every summed index in both: the product of all sizes, as torch executes it in one bmm."""
    equation = inputs[0].toIValue().replace(" ", "")
    operands, _, result = equation.partition("->")
    left, _, right = operands.partition(",")
    indices = [*left, *right]
    once = {index for index in indices if indices.count(index) == 1} - set(result)
    if not result or "." in equation or "," in right or once or set(left) | set(right) == set(result):
        raise UncountedOperation(f"aten::einsum {equation!r}: fvcore's count of it is rounded; write it as a matrix product")
    shapes = [_shape(value) for value in inputs[1].node().inputs()]
    sizes = dict(zip(indices, (size for shape in shapes for size in shape), strict=True))
    return prod(sizes.values())


_HANDLERS: dict[str, Handler] = {
    "aten::scaled_dot_product_attention": _attention,
    **dict.fromkeys((f"aten::{name}" for name in ("linear", "matmul", "mm", "bmm", "mv", "dot", "vdot", "inner")), _contraction(0)),
    **dict.fromkeys(("aten::addmm", "aten::baddbmm", "aten::addmv"), _contraction(1)),
    "aten::addbmm": _addbmm,
    **dict.fromkeys(("aten::outer", "aten::ger", "aten::addr"), _outer),
    "aten::einsum": _einsum,
    **dict.fromkeys(("aten::layer_norm", "aten::rms_norm", "aten::native_layer_norm"), _nothing),
}

# Element-wise, reductions, copies and views, beside those that fvcore itself ignores.
_FREE_NAMES = """
    embedding add add_ sub sub_ rsub mul mul_ div div_ neg neg_ abs pow sqrt rsqrt reciprocal exp log cos sin tanh sigmoid erf gelu
    silu silu_ softmax log_softmax addcmul addcdiv lerp where masked_fill_ tril triu mean sum amax cumsum argmax lt le ne
    logical_and logical_or logical_not bitwise_and bitwise_or complex polar view_as_complex view_as_real real imag stack repeat
    repeat_interleave unflatten unfold movedim swapaxes numpy_T mT reshape_as view_as expand_as broadcast_to clone
    _to_copy alias index_select index_copy index_copy_ scatter pad flip tile empty_like ones_like new_ones fill_ lift_fresh
    detach_ as_strided tensor_split maximum minimum item scalar_tensor
"""
_FREE = frozenset(f"aten::{name}" for name in _FREE_NAMES.split())
