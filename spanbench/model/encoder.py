"""Encoder of the latent arm: bidirectional layers inside each complete span, then a pool to one latent a span."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spanbench.model.layers import Layout, Linear, attend
from spanbench.model.stack import Fresh, Stack
from spanbench.point import Shape

__all__ = ["Encoder"]


class ConcatPool(Linear):
    """Linear map of the span's rows laid end to end: S·De -> Z."""

    def __init__(self, shape: Shape, span: int) -> None:
        super().__init__(span * shape.encoder.width, shape.mixer.width)

    def forward(self, x_KxSxD: Tensor) -> Tensor:
        return super().forward(x_KxSxD.flatten(1))


class MeanPool(Linear):
    """Mean of the span's rows, then a linear map De -> Z."""

    def __init__(self, shape: Shape, span: int) -> None:
        super().__init__(shape.encoder.width, shape.mixer.width)

    def forward(self, x_KxSxD: Tensor) -> Tensor:
        return super().forward(x_KxSxD.mean(1))


class AttentionPool(nn.Module):
    """One learned query reads the span's rows, then a linear map De -> Z."""

    def __init__(self, shape: Shape, span: int) -> None:
        super().__init__()
        sizes = shape.encoder
        self.heads, self.kv_heads, self.head_width = sizes.heads, sizes.kv_heads, sizes.head_width
        self.query = nn.Parameter(torch.empty(sizes.width))
        self.kv = Linear(sizes.width, 2 * sizes.kv_width)
        self.out = Linear(sizes.width, shape.mixer.width)

    def forward(self, x_KxSxD: Tensor) -> Tensor:
        spans, rows = x_KxSxD.shape[:2]
        kv = self.kv(x_KxSxD.flatten(0, 1)).view(spans, rows, 2 * self.kv_heads, self.head_width).transpose(1, 2)
        query = self.query.view(1, self.heads, 1, self.head_width).expand(spans, -1, -1, -1)
        pooled = attend(query, kv[:, : self.kv_heads], kv[:, self.kv_heads :])
        return self.out(pooled.flatten(1))  # type: ignore[no-any-return]  # nn.Module calls are untyped


class LookupPool(nn.Module):
    """The span's Z/S-wide embeddings laid end to end: no weight, no FLOP (Block Transformer, 2406.02657)."""

    def __init__(self, shape: Shape, span: int) -> None:
        super().__init__()

    def forward(self, x_KxSxD: Tensor) -> Tensor:
        return x_KxSxD.flatten(1)


POOLS = {"concat": ConcatPool, "mean": MeanPool, "attention": AttentionPool, "lookup": LookupPool}


class Encoder(nn.Module):
    """Rows of complete spans (B·K·S x De) -> latents u (B·K x Z). Equal spans give equal latents."""

    def __init__(self, shape: Shape, span: int) -> None:
        super().__init__()
        self.span = span
        self.stack = Stack(shape.encoder, gated=shape.gated, causal=False)
        self.pool = POOLS[shape.pool](shape, span)

    def forward(self, x_RxD: Tensor) -> Tensor:
        spans = int(x_RxD.shape[0]) // self.span
        x_RxD = self.stack(x_RxD, Fresh(Layout(((spans, self.span),))))
        return self.pool(x_RxD.view(spans, self.span, -1))  # type: ignore[no-any-return]  # nn.Module calls are untyped
