"""Build both arms of a point with the same seed, and say what a counter must know about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from spanbench.model.dense import Dense
from spanbench.model.latent import Latent
from spanbench.model.layers import MLP
from spanbench.model.state import State
from spanbench.point import Point, Regime

__all__ = ["Model", "Pair", "build_arm", "build_pair", "forward", "mlps"]

Model = Dense | Latent

EMBEDDING_STD = 0.5
INPUT_MAJOR = ("float32", "float64")
_Arm = TypeVar("_Arm", bound=Model)


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
    with torch.device("meta"):
        token, latent = Dense(point.shape), Latent(point.shape, point.span)
    return Pair(_filled(token, point, device), _filled(latent, point, device))


def build_arm(point: Point, arm: str, device: str | torch.device | None = None) -> Model:
    """Return one arm, 'token' or 'latent', as `build_pair` would: the other takes neither time nor memory."""
    with torch.device("meta"):
        models: dict[str, Callable[[], Model]] = {"token": lambda: Dense(point.shape), "latent": lambda: Latent(point.shape, point.span)}
        model = models[arm]()
    return _filled(model, point, device)


def _filled(model: _Arm, point: Point, device: str | torch.device | None) -> _Arm:
    """Give an arm that was made on meta its dtype, and where it gets storage its weights."""
    device = torch.device(point.device if device is None else device)
    model.to(dtype=getattr(torch, point.dtype)).requires_grad_(False).eval()
    if device.type != "meta":
        model.to_empty(device=device)
        _lay_out(model, device, point.dtype)
        _initialise(model, torch.Generator(device).manual_seed(point.seed))
    return model


def _lay_out(model: nn.Module, device: torch.device, dtype: str) -> None:
    """Store each matrix input-major on a CPU: its product with few rows is a third faster, with many the same.

    Only the strides change: shapes, names and results do not (benchmarks/README.md has the figures). The 16-bit types are
    left alone: on a CPU without instructions for them such a product takes twelve times as long.
    """
    if device.type != "cpu" or dtype not in INPUT_MAJOR:
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
