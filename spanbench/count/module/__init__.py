"""Counting of any `torch.nn.Module` (docs/count-module.md): exact, or refused with the operation's name."""

from spanbench.count.module.counter import TORCH_VERSIONS, count_module
from spanbench.count.module.result import ModuleCount

__all__ = ["TORCH_VERSIONS", "ModuleCount", "count_module"]
