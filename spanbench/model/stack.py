"""A stack of equal pre-norm layers, as both arms use it in every part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from spanbench import point
from spanbench.model.cross import CrossAttention, Memory, Remembered
from spanbench.model.layers import MLP, Attention, KeyValues, Layout, RMSNorm, Stepped, Windowed
from spanbench.model.past import Past, Spot
from spanbench.model.rotary import rotary_table

__all__ = ["Block", "Fresh", "Resumed", "Stack"]


@dataclass(frozen=True, slots=True)
class Fresh:
    """Whole windows at once. `keep`, where given, receives each layer's keys and values.

    `memory` is what cross-attention reads: made in this pass, or (a layer each) remembered from earlier ones.
    """

    layout: Layout
    keep: list[KeyValues] | None = None
    memory: Memory | Sequence[Remembered] | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """One more row of some lanes (or as many of each as the spot says), behind what a past holds."""

    past: Past
    spot: Spot
    memory: Sequence[Remembered] | None = None


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

    def forward(self, x_RxD: Tensor, place: Windowed | Stepped, memory: Memory | Remembered | None) -> Tensor:
        x_RxD = x_RxD + self.attention(self.attention_norm(x_RxD), place)
        if memory is not None:
            x_RxD = x_RxD + self.cross(self.cross_norm(x_RxD), memory)
        return x_RxD + self.mlp(self.mlp_norm(x_RxD))  # type: ignore[no-any-return]  # nn.Module calls are untyped


class Stack(nn.Module):
    """L equal layers and a last norm; with no layer it is the identity and holds no parameter."""

    def __init__(self, sizes: point.Stack, *, gated: bool, causal: bool, memory_width: int | None = None) -> None:
        super().__init__()
        self.sizes, self.causal = sizes, causal
        self.blocks = nn.ModuleList(Block(sizes, gated=gated, memory_width=memory_width) for _ in range(sizes.layers))
        self.norm = RMSNorm(sizes.width) if sizes.layers else None

    def forward(self, x_RxD: Tensor, how: Fresh | Resumed) -> Tensor:
        """Rows of all windows, or the next of each lane (R x D) -> rows."""
        if self.norm is None:
            return x_RxD
        for block, place, memory in zip(self.blocks, self._places(x_RxD, how), self._memories(how), strict=True):
            x_RxD = block(x_RxD, place, memory)
        return self.norm(x_RxD)  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _places(self, x_RxD: Tensor, how: Fresh | Resumed) -> Iterator[Windowed | Stepped]:
        if isinstance(how, Resumed):
            return (Stepped(cache, how.spot) for cache in how.past.caches)
        turn_Tx1xE = rotary_table(how.layout.longest, self.sizes.head_width, x_RxD)
        return (Windowed(how.layout, turn_Tx1xE, self.causal, how.keep) for _ in self.blocks)

    def _memories(self, how: Fresh | Resumed) -> Sequence[Memory | Remembered | None]:
        if how.memory is None or isinstance(how.memory, Memory):
            return [how.memory] * len(self.blocks)
        return how.memory

    def blank_past(self, lengths: Sequence[int], capacity: int, like: Tensor) -> Past:
        """Return caches for `capacity` rows a lane, of which `lengths` count as filled."""
        return Past.blank(self.sizes, lengths, capacity, like)
