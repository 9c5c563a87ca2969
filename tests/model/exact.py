"""Random pairs in float64, where an equality that should be exact is not blurred by rounding."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from spanbench.model.pair import Model, Pair, build_pair
from spanbench.point import Point
from tests.count.points import points

__all__ = ["TOLERANCE", "arms", "double_points", "random_ids", "score"]

TOLERANCE = 1e-12


def double_points(cross: bool | None = None) -> st.SearchStrategy[Point]:
    """Draw points over every option, all in float64, with weights of their own."""
    return st.builds(lambda point, seed: replace(point, dtype="float64", seed=seed), points(cross=cross), st.integers(0, 999))


def arms(point: Point) -> dict[str, Model]:
    """Build both arms, with norms that are not all ones: one that is left out would go unnoticed."""
    pair: Pair = build_pair(point)
    generator = torch.Generator().manual_seed(point.seed)
    for model in pair.arms().values():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5, generator=generator)
    return pair.arms()


def random_ids(point: Point, tokens: int | None = None) -> Tensor:
    """Return ids (B x N) that depend on the point's seed alone."""
    generator = torch.Generator().manual_seed(point.seed)
    return torch.randint(point.shape.vocab, (point.batch, tokens or point.tokens), generator=generator)


def score(model: Model, ids_BxN: Tensor) -> Tensor:
    """Return all logits (B x N x V)."""
    with torch.inference_mode():
        logits: Tensor = model(ids_BxN)
    return logits
