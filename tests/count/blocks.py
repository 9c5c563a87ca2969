"""Small transformers of the tests' own, and how the ledger is told about a module."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spanbench.count.subject import Subject
from spanbench.tally import Kept

IDS = [[0, 1, 2, 3, 4, 0], [1, 1, 2, 0, 3, 4]]
DISTINCT = 5


class GatedMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_up, self.down = nn.Linear(8, 24, bias=False), nn.Linear(12, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)  # type: ignore[no-any-return]


class GroupedBlock(nn.Module):
    """RMSNorm, 4 query heads of width 2 over 2 key-value heads, causal, gated MLP 8 -> 12 -> 8."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mlp_norm = nn.RMSNorm(8), nn.RMSNorm(8)
        self.qkv, self.out, self.mlp = nn.Linear(8, 16, bias=False), nn.Linear(8, 8, bias=False), GatedMLP()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (-1, 2)).transpose(1, 2).split((4, 2, 2), 1)
        read = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.out(read.transpose(1, 2).flatten(2))
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]


class GroupedModel(nn.Module):
    """Vocabulary 10: embedding, one block, head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layers, self.head = nn.Embedding(10, 8), GroupedBlock(), nn.Linear(8, 10, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.layers(self.embedding(ids)))  # type: ignore[no-any-return]


def grouped(device: str, kept: Kept | None = None) -> Subject:
    """Return the grouped model on 2 x 6 ids, which name 5 different rows."""
    model = GroupedModel().to(device)
    stages = {model.embedding: "embedding", model.layers: "layers", model.head: "head"}
    ids = torch.tensor(IDS).to(device)
    return Subject(model, lambda i: (model(i), kept), ids, stages, [model.layers.mlp], {model.embedding: DISTINCT})


class Biased(nn.Module):
    """LayerNorm, fused QKV, attention over all cells, GELU MLP of 4 x, biases everywhere: D 256, 4 heads."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mlp_norm = nn.LayerNorm(256), nn.LayerNorm(256)
        self.qkv, self.out = nn.Linear(256, 768), nn.Linear(256, 256)
        self.up, self.down = nn.Linear(256, 1024), nn.Linear(1024, 256)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, 4, 64)).permute(2, 0, 3, 1, 4).unbind()
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x))))  # type: ignore[no-any-return]


class Calls(nn.Module):
    """A module whose forward is any function of its input."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def single(module: nn.Module, inputs: Tensor) -> Subject:
    """Return a module as one stage 'all' that is handed `inputs` and keeps nothing."""
    return Subject(module, lambda x: (module(x), None), inputs, {module: "all"}, (), {})
