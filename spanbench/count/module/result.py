"""What the count of one module comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ModuleCount"]


@dataclass(frozen=True, slots=True)
class ModuleCount:
    """Exact integers of one forward of a module; what cannot be known is None and `reasons` says why.

    Attributes:
        module: the module's class.
        inputs: shape and dtype of every input tensor, keyword inputs by name.
        mode: 'train' or 'eval', as the module was.
        flops: 2 x multiply-accumulates of matrix-class operations, attention dense.
        cells_dense: entries of all attention's score matrices, over the batch, not over heads.
        cells_useful: those of them that the masks let through.
        params: different parameters, used or not.
        bytes_compulsory: weights and buffers read, each once (embedding tables by distinct rows), inputs and outputs.
        by_operation: FLOPs of each matrix-class operation that ran, by its name.
        by_module: FLOPs at and below each module that ran, by its path ('' is the whole).
        calls: how often each operation of any kind ran.
        reasons: why a quantity is None.
    """

    module: str
    inputs: tuple[str, ...]
    mode: str
    flops: int
    cells_dense: int | None
    cells_useful: int | None
    params: int
    bytes_compulsory: int | None
    by_operation: Mapping[str, int]
    by_module: Mapping[str, int]
    calls: Mapping[str, int]
    reasons: Mapping[str, str]

    @property
    def macs(self) -> int:
        """Multiply-accumulates: half of the FLOPs."""
        return self.flops // 2
