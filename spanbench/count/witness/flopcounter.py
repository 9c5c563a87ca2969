"""Second witness: the FLOP counter that ships with torch, by its own registry of formulas."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from spanbench.count.subject import Subject

__all__ = ["flopcounter_flops"]


def flopcounter_flops(subject: Subject) -> int:
    """Return matrix-class FLOPs, dense attention, of one run of the subject.

    Attention is run by torch's MATH backend, whose matrix products the registry knows; of the CPU's own attention kernel
    torch before 2.15 counts 0 FLOPs without a word (pytorch#195460). Vectors' products are in no registry: they are given here.
    """
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=_VECTORS) as counter:
        subject.call(subject.ids)
    return int(counter.get_total_flops())


def _product_flops(*shapes: Any, out_shape: torch.Size, **_: Any) -> int:
    """2 FLOPs a multiply-accumulate of mv(matrix, vector), dot and vdot(vector, vector)."""
    return 2 * out_shape.numel() * int(shapes[0][-1])


def _added_product_flops(_addend: Any, left: torch.Size, right: torch.Size, **_: Any) -> int:
    """The same of addmv(addend, matrix, vector) and of addbmm(addend, matrices, matrices), summed over the batch."""
    return 2 * left.numel() * (right[-1] if len(right) > 1 else 1)


def _outer_flops(*_: Any, out_shape: torch.Size, **_options: Any) -> int:
    """The same of a product of depth 1, with or without an addend."""
    return 2 * out_shape.numel()


_ATEN = torch.ops.aten
_VECTORS: dict[Any, Any] = {
    **dict.fromkeys((_ATEN.mv, _ATEN.dot, _ATEN.vdot), _product_flops),
    **dict.fromkeys((_ATEN.addmv, _ATEN.addbmm), _added_product_flops),
    # By overload too: what is found by neither is taken apart, an outer product into an element-wise one.
    **dict.fromkeys((_ATEN.outer, _ATEN.outer.default, _ATEN.addr, _ATEN.addr.default), _outer_flops),
}
