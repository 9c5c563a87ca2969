"""Arm `token`: a dense decoder-only transformer."""

from __future__ import annotations

from torch import Tensor, nn

from spanbench.model.layers import Embedding, KeyValues, Layout, Linear
from spanbench.model.stack import Fresh, Resumed, Stack
from spanbench.model.state import State
from spanbench.point import Shape

__all__ = ["Dense"]


class Dense(nn.Module):
    """Embedding, L causal layers, untied head: ids (B x N) -> logits (B x N x V)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = Embedding(shape.vocab, shape.token.width)
        self.layers = Stack(shape.token, gated=shape.gated, causal=True)
        self.head = Linear(shape.token.width, shape.vocab)

    def forward(self, ids_BxN: Tensor) -> Tensor:
        """Score: return all logits; logits[:, i] predicts ids[:, i+1] from ids[:, <= i]."""
        return self.head(self._rows(ids_BxN, None)).view(*ids_BxN.shape, -1)  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def prefill(self, ids_BxN: Tensor) -> tuple[Tensor, State]:
        """Return the last logits (B x V) and the keys and values of every layer."""
        keep: list[KeyValues] = []
        last_BxD = self._rows(ids_BxN, keep).view(*ids_BxN.shape, -1)[:, -1]
        return self.head(last_BxD), State({"layers": keep})

    def step(self, ids_B: Tensor, resumed: Resumed) -> Tensor:
        """Take one more token a lane, and return the logits of the next (B x V)."""
        return self.head(self.layers(self.embedding(ids_B), resumed))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def read(self, ids_BxQ: Tensor, resumed: Resumed) -> Tensor:
        """Take Q more tokens of each lane at once, and return the logits behind the last (B x V)."""
        rows_RxD = self.layers(self.embedding(ids_BxQ.flatten()), resumed)
        return self.head(rows_RxD.view(*ids_BxQ.shape, -1)[:, -1])  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _rows(self, ids_BxN: Tensor, keep: list[KeyValues] | None) -> Tensor:
        prompts, tokens = (int(size) for size in ids_BxN.shape)
        return self.layers(self.embedding(ids_BxN.flatten()), Fresh(Layout(((prompts, tokens),)), keep))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def stages(self) -> dict[nn.Module, str]:
        """Return the stage that each part belongs to."""
        return {self.embedding: "embedding", self.layers: "layers", self.head: "head"}
