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

__all__ = ["MLP", "Attention", "Embedding", "KeyValues", "Layout", "Linear", "RMSNorm", "attend", "rotary_table"]

NORM_EPSILON = 1e-6
ROTARY_BASE = 10000.0

KeyValues = tuple[Tensor, Tensor]
"""Keys and values of one layer, each (windows x G x T x E), keys already rotated."""


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


def rotary_table(rows: int, head_width: int, like: Tensor) -> Tensor:
    """Return e^(i·angle) (T x 1 x E/2, complex) of positions 0 .. rows-1 on the device of `like`.

    In at least float32 whatever the dtype: a position of 2,000 does not survive bfloat16.
    """
    exact = torch.promote_types(like.dtype, torch.float32)
    steps = torch.arange(0, head_width, 2, device=like.device, dtype=exact) / head_width
    angle = torch.arange(rows, device=like.device, dtype=exact)[:, None, None] * ROTARY_BASE**-steps
    return torch.complex(angle.cos(), angle.sin())


def _rotate(x_WxTxHxE: Tensor, turn_Tx1xE: Tensor) -> Tensor:
    """Turn the pairs (2i, 2i + 1) of each head by its row's angle (Su et al., 2021).

    As one complex product: a third of the time of the same thing in real arithmetic on a CPU.
    """
    pairs = x_WxTxHxE.to(turn_Tx1xE.real.dtype).unflatten(-1, (-1, 2))
    turned = torch.view_as_complex(pairs) * turn_Tx1xE
    return torch.view_as_real(turned).flatten(-2).to(x_WxTxHxE.dtype)


def attend(q_WxTxHxE: Tensor, k_WxTxGxE: Tensor, v_WxTxGxE: Tensor, *, causal: bool = False, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention, G key-value heads serving H query heads; returns W x T x (H·E)."""
    q, k, v = (x.transpose(1, 2) for x in (q_WxTxHxE, k_WxTxGxE, v_WxTxGxE))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])
    return out.transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Self-attention inside windows, with rotary positions that start at 0 in each window."""

    def __init__(self, sizes: point.Stack) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = sizes.heads, sizes.kv_heads, sizes.head_width
        self.qkv = Linear(sizes.width, sizes.width + 2 * sizes.kv_width)
        self.out = Linear(sizes.width, sizes.width)

    def forward(
        self, x_RxD: Tensor, layout: Layout, turn_Tx1xE: Tensor, *, causal: bool, keep: list[KeyValues] | None = None
    ) -> Tensor:
        outs = [self._window(qkv, turn_Tx1xE, causal=causal, keep=keep) for qkv in layout.split(self.qkv(x_RxD))]
        return self.out(outs[0] if len(outs) == 1 else torch.cat(outs))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _window(self, qkv_WxTxC: Tensor, turn_Tx1xE: Tensor, *, causal: bool, keep: list[KeyValues] | None) -> Tensor:
        rows = int(qkv_WxTxC.shape[1])
        heads = qkv_WxTxC.unflatten(-1, (self.heads + 2 * self.kv_heads, self.head_width))
        rotated = _rotate(heads[:, :, : self.heads + self.kv_heads], turn_Tx1xE[:rows])
        q, k = rotated[:, :, : self.heads], rotated[:, :, self.heads :]
        v = heads[:, :, self.heads + self.kv_heads :]
        if keep is not None:
            keep.append((k.transpose(1, 2).contiguous(), v.transpose(1, 2).contiguous()))
        return attend(q, k, v, causal=causal).flatten(0, 1)


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
