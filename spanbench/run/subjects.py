"""Tell a counter what it must know of an arm: the only place where the model meets the counters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spanbench.count.distinct import Distinct
from spanbench.count.subject import Subject
from spanbench.model.latent import Latent
from spanbench.model.pair import Model, forward, mlps
from spanbench.point import Point, Regime
from spanbench.tally import Kept

__all__ = ["ids_tensor", "meta_ids", "subject_of"]


def ids_tensor(ids: Sequence[Sequence[int]], device: str) -> Tensor:
    """Return ids as an int64 tensor (B x N) on a device."""
    return torch.tensor(ids, dtype=torch.int64, device=device)


def meta_ids(point: Point) -> Tensor:
    """Return ids without contents (B x N), enough to count on."""
    return torch.empty(point.batch, point.tokens, dtype=torch.int64, device="meta")


def subject_of(model: Model, regime: Regime, ids_BxN: Tensor, distinct: Distinct) -> Subject:
    """Describe one arm in one regime to the ledger and the witnesses."""

    def call(ids: Tensor) -> tuple[Tensor, Kept | None]:
        logits, state = forward(model, regime, ids)
        return logits, None if state is None else state.kept()

    rows: dict[nn.Module, int]
    if isinstance(model, Latent):
        rows = {model.encoder_embedding: distinct.encoder, model.decoder_embedding: distinct.decoder[regime]}
    else:
        rows = {model.embedding: distinct.token}
    return Subject(model, call, ids_BxN, model.stages(), list(mlps(model)), rows)
