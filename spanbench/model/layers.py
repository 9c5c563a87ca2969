"""The layers that both arms share: RMSNorm, rotary positions, attention with grouped keys, MLP.

Rows of all windows and of the whole batch lie in one matrix x (R x D), so that each weight is used in one matrix
product; a `Layout` says which rows form a window, and only attention looks at it. Letters: docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spanbench import point
from spanbench.model.past import Cache, KeyValues, Spot, owned
from spanbench.model.rotary import rotate

__all__ = ["MLP", "Attention", "Embedding", "KeyValues", "Layout", "Linear", "RMSNorm", "Stepped", "Windowed", "attend"]

NORM_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Layout:
    """Groups of equal windows, in the order of their rows: (number of windows, rows of each)."""

    groups: tuple[tuple[int, int], ...]

    @property
    def longest(self) -> int:
        """The rows of the longest window: how far positions reach."""
        return max(rows for _, rows in self.groups)

    def split(self, x_RxD: Tensor) -> list[Tensor]:
        """Return each group's rows as windows x T x D, without a copy where the rows are contiguous."""
        parts = x_RxD.split([windows * rows for windows, rows in self.groups])
        return [part.unflatten(0, group) for part, group in zip(parts, self.groups, strict=True)]


class Linear(nn.Linear):
    """A matrix (out x in) without bias. Its values are drawn once the whole pair is built.

    torch's own initialisation would draw them twice, and on the meta device it loads the compiler (1.2 s).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        """Leave the values for later."""


class Embedding(nn.Embedding):
    """A table of rows (V x D), its values likewise drawn later."""

    def reset_parameters(self) -> None:
        """Leave the values for later."""


class RMSNorm(nn.Module):
    """x / rms(x) * weight (Zhang and Sennrich, 2019), over the last dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_RxD: Tensor) -> Tensor:
        return F.rms_norm(x_RxD, self.weight.shape, self.weight, NORM_EPSILON)


def attend(q_WxHxTxE: Tensor, k_WxGxTxE: Tensor, v_WxGxTxE: Tensor, *, causal: bool = False, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention, G key-value heads serving H query heads; returns W x T x (H·E)."""
    grouped = q_WxHxTxE.shape[1] != k_WxGxTxE.shape[1]
    out = F.scaled_dot_product_attention(q_WxHxTxE, k_WxGxTxE, v_WxGxTxE, attn_mask=mask, is_causal=causal, enable_gqa=grouped)
    return out.transpose(1, 2).flatten(2)


@dataclass(frozen=True, slots=True)
class Windowed:
    """Attention inside fresh windows; `keep`, where given, receives each layer's keys and values."""

    layout: Layout
    turn_Tx1xE: Tensor
    causal: bool
    keep: list[KeyValues] | None = None


@dataclass(frozen=True, slots=True)
class Stepped:
    """Attention of one more row a lane (or as many as the spot says) to what a cache holds."""

    cache: Cache
    spot: Spot


class Attention(nn.Module):
    """Self-attention with rotary positions that start at 0 in each window."""

    def __init__(self, sizes: point.Stack) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = sizes.heads, sizes.kv_heads, sizes.head_width
        self.qkv = Linear(sizes.width, sizes.width + 2 * sizes.kv_width)
        self.out = Linear(sizes.width, sizes.width)

    def forward(self, x_RxD: Tensor, place: Windowed | Stepped) -> Tensor:
        qkv_RxC = self.qkv(x_RxD)
        if isinstance(place, Stepped):
            return self.out(self._step(qkv_RxC, place))  # type: ignore[no-any-return]  # nn.Module calls are untyped
        outs = [self._window(qkv, place) for qkv in place.layout.split(qkv_RxC)]
        return self.out(outs[0] if len(outs) == 1 else torch.cat(outs))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _window(self, qkv_WxTxC: Tensor, place: Windowed) -> Tensor:
        q, k, v = self._heads(qkv_WxTxC, place.turn_Tx1xE[: qkv_WxTxC.shape[1]])
        if place.keep is not None:
            place.keep.append(owned(k, v))
        return attend(q, k, v, causal=place.causal).flatten(0, 1)

    def _step(self, qkv_RxC: Tensor, place: Stepped) -> Tensor:
        spot = place.spot
        qkv_WxTxC = qkv_RxC[:, None] if spot.rows == 1 else qkv_RxC.unflatten(0, (-1, spot.rows))
        q, k, v = self._heads(qkv_WxTxC, spot.turn)
        k, v = place.cache.extend(k, v, spot)
        return attend(q, k, v, causal=spot.causal, mask=spot.mask).flatten(0, 1)

    def _heads(self, qkv_WxTxC: Tensor, turn_Tx1xE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return rotated q (W x H x T x E), rotated k and plain v (W x G x T x E)."""
        heads = qkv_WxTxC.unflatten(-1, (self.heads + 2 * self.kv_heads, self.head_width))
        rotated = rotate(heads[:, :, : self.heads + self.kv_heads], turn_Tx1xE)
        parts = rotated[:, :, : self.heads], rotated[:, :, self.heads :], heads[:, :, self.heads + self.kv_heads :]
        q, k, v = (part.transpose(1, 2) for part in parts)
        return q, k, v


class MLP(nn.Module):
    """down(GELU(up(x))), or gated: down(SiLU(gate) * up) with gate and up in one product (Shazeer, 2020)."""

    def __init__(self, sizes: point.Stack, *, gated: bool) -> None:
        super().__init__()
        self.gated = gated
        if gated:
            self.gate_up = Linear(sizes.width, 2 * sizes.mlp)
        else:
            self.up = Linear(sizes.width, sizes.mlp)
        self.down = Linear(sizes.mlp, sizes.width)

    def forward(self, x_RxD: Tensor) -> Tensor:
        if not self.gated:
            return self.down(F.gelu(self.up(x_RxD)))  # type: ignore[no-any-return]  # nn.Module calls are untyped
        gate_RxF, up_RxF = self.gate_up(x_RxD).chunk(2, -1)
        return self.down(F.silu(gate_RxF) * up_RxF)  # type: ignore[no-any-return]  # nn.Module calls are untyped
