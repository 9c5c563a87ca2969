"""A stack of equal pre-norm layers, as both arms use it in every part."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from spanbench import point
from spanbench.model.cross import CrossAttention, Memory
from spanbench.model.layers import MLP, Attention, KeyValues, Layout, RMSNorm, rotary_table

__all__ = ["Block", "Stack"]


@dataclass(frozen=True, slots=True)
class Pass:
    """What every layer of one forward through a stack shares."""

    layout: Layout
    turn_Tx1xE: Tensor
    causal: bool
    keep: list[KeyValues] | None
    memory: Memory | None


class Block(nn.Module):
    """One layer: self-attention, cross-attention where there is a memory, MLP, each added to the residual stream."""

    def __init__(self, sizes: point.Stack, *, gated: bool, memory_width: int | None) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(sizes.width)
        self.attention = Attention(sizes)
        if memory_width is not None:
            self.cross_norm = RMSNorm(sizes.width)
            self.cross = CrossAttention(sizes, memory_width)
        self.mlp_norm = RMSNorm(sizes.width)
        self.mlp = MLP(sizes, gated=gated)

    def forward(self, x_RxD: Tensor, step: Pass) -> Tensor:
        x_RxD = x_RxD + self.attention(self.attention_norm(x_RxD), step.layout, step.turn_Tx1xE, causal=step.causal, keep=step.keep)
        if step.memory is not None:
            x_RxD = x_RxD + self.cross(self.cross_norm(x_RxD), step.memory)
        return x_RxD + self.mlp(self.mlp_norm(x_RxD))  # type: ignore[no-any-return]  # nn.Module calls are untyped


class Stack(nn.Module):
    """L equal layers and a last norm; with no layer it is the identity and holds no parameter."""

    def __init__(self, sizes: point.Stack, *, gated: bool, causal: bool, memory_width: int | None = None) -> None:
        super().__init__()
        self.head_width, self.causal = sizes.head_width, causal
        self.blocks = nn.ModuleList(Block(sizes, gated=gated, memory_width=memory_width) for _ in range(sizes.layers))
        self.norm = RMSNorm(sizes.width) if sizes.layers else None

    def forward(self, x_RxD: Tensor, layout: Layout, keep: list[KeyValues] | None = None, memory: Memory | None = None) -> Tensor:
        """Rows of all windows (R x D) -> rows. `keep`, where given, receives each layer's keys and values."""
        if self.norm is None:
            return x_RxD
        step = Pass(layout, rotary_table(layout.longest, self.head_width, x_RxD), self.causal, keep, memory)
        for block in self.blocks:
            x_RxD = block(x_RxD, step)
        return self.norm(x_RxD)  # type: ignore[no-any-return]  # nn.Module calls are untyped
