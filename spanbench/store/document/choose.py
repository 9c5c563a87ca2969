"""Some latents instead of all (sparse activation): which, and what the output loses by it."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from spanbench.errors import UsageError

__all__ = ["Change", "choose_top_k", "output_change"]


@dataclass(frozen=True, slots=True)
class Change:
    """How far one prediction is from another: KL divergence in nats (of the second from the first), and the largest logit's change."""

    kl: float
    max_logit: float
    same_choice: bool
    """Whether the likeliest token is the same."""


def choose_top_k(query_u_QxZ: Tensor, u_KxZ: Tensor, k: int) -> list[int]:
    """Return the k spans whose latents are nearest to any of the query's by cosine similarity, in the order of the text.

    Raises:
        UsageError: k is not within 1 .. K.
    """
    if not 1 <= k <= len(u_KxZ):
        raise UsageError(f"top-k: cannot choose {k} of {len(u_KxZ)} spans; take 1 .. {len(u_KxZ)}")
    query, u = F.normalize(query_u_QxZ.double().view(-1, u_KxZ.shape[1]), dim=-1), F.normalize(u_KxZ.double(), dim=-1)
    nearest_K = (u @ query.T).amax(-1)
    return sorted(nearest_K.topk(k).indices.tolist())


def output_change(all_BxV: Tensor, some_BxV: Tensor) -> Change:
    """Compare the logits of reading some latents with those of reading all."""
    expected, got = all_BxV.double().log_softmax(-1), some_BxV.double().log_softmax(-1)
    kl = (expected.exp() * (expected - got)).sum(-1).mean().clamp_min(0.0).item()
    same = bool((all_BxV.argmax(-1) == some_BxV.argmax(-1)).all())
    return Change(kl, (all_BxV - some_BxV).abs().max().item(), same)
