"""Build both arms of a point with the same seed, and say what a counter must know about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spanbench.model.dense import Dense
from spanbench.model.latent import Latent
from spanbench.model.layers import MLP
from spanbench.model.state import State
from spanbench.point import Point, Regime

__all__ = ["Model", "Pair", "build_pair", "forward", "mlps"]

Model = Dense | Latent

EMBEDDING_STD = 0.5


@dataclass(frozen=True, slots=True)
class Pair:
    """Both arms of one point."""

    token: Dense
    latent: Latent

    def arms(self) -> dict[str, Model]:
        """Return the arms by name, in the order of every table."""
        return {"token": self.token, "latent": self.latent}


def build_pair(point: Point, device: str | torch.device | None = None) -> Pair:
    """Return both arms with random weights from the point's seed, or without storage on device 'meta'."""
    device = torch.device(point.device if device is None else device)
    with torch.device("meta"):
        models: tuple[Dense, Latent] = (Dense(point.shape), Latent(point.shape, point.span))
    for model in models:
        model.to(dtype=getattr(torch, point.dtype)).requires_grad_(False).eval()
        if device.type != "meta":
            model.to_empty(device=device)
            _lay_out(model, device)
            _initialise(model, torch.Generator(device).manual_seed(point.seed))
    return Pair(*models)


def _lay_out(model: nn.Module, device: torch.device) -> None:
    """Store each matrix input-major on a CPU: its product with few rows is a third faster, with many the same.

    Only the strides change: shapes, names and results do not (benchmarks/README.md has the figures).
    """
    if device.type != "cpu":
        return
    for module in model.modules():
        if isinstance(module, nn.Linear):
            inputs_major = torch.empty_like(module.weight.T, memory_format=torch.contiguous_format)
            module.weight = nn.Parameter(inputs_major.T, requires_grad=False)


def _initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draw matrices with variance 1 / fan-in and embeddings wider; norms stay 1."""
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.fill_(1.0)
        else:
            std = EMBEDDING_STD if "embedding" in name or "start" in name else parameter.shape[-1] ** -0.5
            parameter.normal_(0.0, std, generator=generator)


def forward(model: Model, regime: Regime, ids_BxN: Tensor) -> tuple[Tensor, State | None]:
    """Run one regime: logits (B x N x V in score, B x V in prefill) and what is kept."""
    if regime == "score":
        return model(ids_BxN), None
    return model.prefill(ids_BxN)


def mlps(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules whose input rows are the documents' "MLP calls"."""
    return (module for module in model.modules() if isinstance(module, MLP))
