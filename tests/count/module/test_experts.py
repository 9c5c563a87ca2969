"""Mixtures of experts: rows are routed, and what the experts make of them is added up by index."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from spanbench import count_module

WIDTH, INNER = 6, 10


class Expert(nn.Module):
    """A gated MLP: three matrices of WIDTH x INNER."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(WIDTH, INNER, bias=False), nn.Linear(WIDTH, INNER, bias=False)
        self.down = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class Experts(nn.Module):
    """The block of Mixtral as Hugging Face writes it: expert by expert, each for the rows that chose it."""

    def __init__(self, experts: int, chosen: int) -> None:
        super().__init__()
        self.router, self.chosen = nn.Linear(WIDTH, experts, bias=False), chosen
        self.experts = nn.ModuleList(Expert() for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.router(x).softmax(-1).topk(self.chosen)
        weights = (weights / weights.sum(-1, keepdim=True)).to(x.dtype)
        out = torch.zeros_like(x)
        masks = F.one_hot(chosen, len(self.experts)).permute(2, 1, 0)
        for mask, expert in zip(masks, self.experts, strict=True):
            place, rows = torch.where(mask)
            current = expert(x[None, rows].reshape(-1, WIDTH)) * weights[rows, place, None]
            out.index_add_(0, rows, current.to(x.dtype))
        return out


class Dense(Experts):
    """The same experts for every row, mixed by one sum over them."""

    def forward(self, x: Tensor) -> Tensor:
        weights = self.router(x).softmax(-1)
        out: Tensor = (torch.stack([expert(x) for expert in self.experts], 1) * weights[..., None]).sum(1)
        return out


class ByEinsum(Experts):
    """The same, mixed by one product."""

    def forward(self, x: Tensor) -> Tensor:
        weights = self.router(x).softmax(-1)
        return torch.einsum("te,ted->td", weights, torch.stack([expert(x) for expert in self.experts], 1))


def by_hand(rows: int, experts: int, chosen: int) -> int:
    """Router, then for each row and expert that it chose: three matrices, and one multiply-accumulate for each of its numbers."""
    return 2 * rows * (WIDTH * experts + chosen * (3 * WIDTH * INNER + WIDTH))


@settings(max_examples=25)
@given(st.integers(0, 9), st.integers(2, 5), st.data())
def test_routed_experts_have_the_flops_worked_out_by_hand_however_rows_are_routed(rows: int, experts: int, data: st.DataObject) -> None:
    chosen = data.draw(st.integers(1, experts))
    torch.manual_seed(data.draw(st.integers(0, 2**16)))
    counted = count_module(Experts(experts, chosen), torch.randn(rows, WIDTH))
    assert counted.flops == by_hand(rows, experts, chosen)
    assert counted.by_operation.get("index_add", 0) == 2 * rows * chosen * WIDTH


@pytest.mark.parametrize("build", [Experts, Dense, ByEinsum])
def test_every_spelling_of_the_same_mixture_has_the_same_flops(build: type[Experts]) -> None:
    torch.manual_seed(0)
    assert count_module(build(4, 4), torch.randn(7, WIDTH)).flops == by_hand(7, 4, 4)


def test_a_mixture_by_weights_of_the_inputs_may_be_attention_by_hand() -> None:
    """Sparse attention over a graph has the same form: its cells are unknown, never 0."""
    counted = count_module(Experts(3, 2), torch.ones(5, WIDTH))
    assert counted.cells_dense is None
    assert "aten.index_add multiplies two activations" in counted.reasons["cells_dense"]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_messages_along_weighted_edges_are_the_sparse_product_that_they_are(device: str) -> None:
    class Graph(nn.Module):
        def forward(self, nodes: Tensor, weights: Tensor, source: Tensor, target: Tensor) -> Tensor:
            return torch.zeros_like(nodes).index_add_(0, target, nodes[source] * weights[:, None])

    edges = 11
    with torch.device(device):
        ends = torch.zeros(edges, dtype=torch.int64)
        counted = count_module(Graph(), torch.ones(4, WIDTH), torch.ones(edges), ends, ends)
    assert counted.flops == 2 * edges * WIDTH
