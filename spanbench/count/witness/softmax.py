"""Third witness: attention seen from the caller's side and from the softmax's side.

From above, every call of `F.scaled_dot_product_attention` is intercepted and its cells are read from the shapes of its
arguments. From below, each attention is taken apart by torch's MATH backend and the scores are counted that really enter a softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._ops import OpOverload
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from spanbench.count.subject import Subject

__all__ = ["Cells", "attention_cells"]


@dataclass(frozen=True, slots=True)
class Cells:
    """From above: cells (T_q x T_k over the batch) and scores (cells x query heads); from below: scores in a softmax."""

    dense: int
    scores: int
    softmax: int


class _Interception(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.dense = self.scores = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            self._note(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _note(self, query: Tensor, key: Tensor, value: Tensor, *_: Any, **_options: Any) -> None:
        scores = query[..., 0].numel() * key.shape[-2]
        heads = query.shape[-3] if query.ndim > 3 else 1
        self.scores += scores
        self.dense += scores // heads if heads else 0


class _SoftmaxWatch(TorchDispatchMode):
    """Counts the elements of every softmax inside an attention, and of no other."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self.scores = 0
        self._depth = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        inside = "scaled_dot_product_attention" in str(func)
        self._depth += inside
        out = self._run(func, args, dict(kwargs or {}))
        self._depth -= inside
        return out

    def _run(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        softmax = func in (torch.ops.aten._softmax.default, torch.ops.aten._safe_softmax.default)
        if not softmax:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if softmax and self._depth:
            self.scores += out.numel()
        return out


def attention_cells(subject: Subject) -> Cells:
    """Run the subject once and return its attention as the caller asked for it and as the softmax saw it."""
    interception, watch = _Interception(), _SoftmaxWatch()
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), interception, watch:
        subject.call(subject.ids)
    return Cells(interception.dense, interception.scores, watch.scores)
