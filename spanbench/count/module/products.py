"""Multiply-accumulates of matrix-class operations that the pair does not use: convolutions, recurrences and their like.

Each is a function of the call's arguments by name and of its first result. An addend (bias) is not in it. Padding and
what a transposed convolution crops count: the kernel multiplies them, or could not be told from one that does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from spanbench.count.module.contents import has_contents

__all__ = ["MACS"]

Arguments = Mapping[str, Any]
Macs = Callable[[Arguments, Tensor], int]


def _taps(weight: Tensor) -> int:
    """Multiply-accumulates of one position: input channels of one group x kernel (transposed: output channels x kernel)."""
    return weight.shape[1:].numel()


def _convolution(call: Arguments, out: Tensor) -> int:
    return out.numel() * _taps(call["weight"])


def _transposed(call: Arguments, _: Tensor) -> int:
    tensor: Tensor = call["input"]
    return tensor.numel() * _taps(call["weight"])


def _either(call: Arguments, out: Tensor) -> int:
    return (_transposed if call["transposed"] else _convolution)(call, out)


def _over_time(call: Arguments, out: Tensor) -> int:
    """`conv_tbc`: the weight is kernel x input x output channels."""
    weight: Tensor = call["weight"]
    return out.numel() * weight.shape[:2].numel()


def _recurrent(call: Arguments, _: Tensor) -> int:
    """Each weight matrix of each layer and direction multiplies every row once: W_ih, W_hh and the projection W_hr.

    A packed batch comes as its rows laid end to end (`data`), so padding is not among them.
    """
    rows: Tensor = call.get("data", call.get("input"))
    weights: Sequence[Tensor] = call["params"]
    return rows.shape[:-1].numel() * sum(weight.numel() for weight in weights if weight.ndim == 2)


def _bilinear(call: Arguments, out: Tensor) -> int:
    """As torch executes it, for each output feature: x1 times its matrix, the result times x2."""
    left, right = int(call["input1"].shape[-1]), int(call["input2"].shape[-1])
    return out.numel() * right * (left + 1)


def _grouped(call: Arguments, out: Tensor) -> int:
    """Groups of rows (or of columns, or of the depth), each by its own matrix; offsets with contents say where they end."""
    left: Tensor = call["self"]
    right: Tensor = call["mat2"]
    ends: Tensor | None = call.get("offs")
    if left.ndim == right.ndim == 3:
        return out.numel() * left.shape[-1]
    rows, depth, columns = left.shape[-2], left.shape[-1], right.shape[-1]
    total = {(2, 3): rows, (3, 2): columns, (2, 2): depth}[left.ndim, right.ndim]
    reached = int(ends[-1]) if ends is not None and has_contents(ends) else total
    return rows * depth * columns // total * reached if total else 0


def _weighted_bag(call: Arguments, _: Tensor) -> int:
    """A plain bag is a look-up; with weights it is a weighted sum of rows."""
    if call.get("per_sample_weights") is None:
        return 0
    indices: Tensor = call["indices"]
    return indices.numel() * int(call["weight"].shape[-1])


def _depth_of_self(call: Arguments, out: Tensor) -> int:
    return out.numel() * int(call["self"].shape[-1])


MACS: Mapping[str, Macs] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    **dict.fromkeys(("convolution", "_convolution"), _either),
    "conv_tbc": _over_time,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    "bilinear": _bilinear,
    "_grouped_mm": _grouped,
    **dict.fromkeys(("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only"), _weighted_bag),
    **dict.fromkeys(("_scaled_mm", "_weight_int8pack_mm"), _depth_of_self),
}
"""Operations whose arguments must be known by name, and what each multiplies and accumulates."""
