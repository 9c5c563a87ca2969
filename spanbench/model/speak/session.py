"""Open a session of either arm: from prompts, or blank at a given length for counting."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spanbench.model.dense import Dense
from spanbench.model.pair import Model
from spanbench.model.speak.dense import DenseSession
from spanbench.model.speak.latent import LatentSession

__all__ = ["Session", "blank_session", "start_session"]

Session = DenseSession | LatentSession


def blank_session(model: Model, prompts: int, tokens: int, steps: int) -> Session:
    """Return a session that believes to have read `tokens` tokens a lane, with room for `steps` more.

    What it holds is nothing that was computed: it is for counting and for timing steps, not for text.
    """
    return _session(model, [tokens] * prompts, tokens + steps)


def start_session(model: Model, prompts: Sequence[Sequence[int]], steps: int) -> tuple[Session, Tensor]:
    """Read prompts of any lengths; return a session with room for `steps` more tokens a lane, and the logits (B x V).

    Prompts of equal length are read together; from then on all lanes step as one batch.

    Raises:
        ValueError: there is no prompt, or an empty one: nothing predicts its first token.
    """
    lengths = [len(prompt) for prompt in prompts]
    if not all(lengths or [0]):
        raise ValueError("each prompt needs at least one token")
    session = _session(model, lengths, max(lengths) + steps)
    weight = model.head.weight
    logits_BxV = weight.new_empty(len(prompts), len(weight))
    for length in dict.fromkeys(lengths):
        lanes = [lane for lane, own in enumerate(lengths) if own == length]
        ids_WxN = torch.tensor([list(prompts[lane]) for lane in lanes], device=weight.device)
        logits_BxV[lanes], state = model.prefill(ids_WxN)
        session.take(lanes, ids_WxN, state)
    return session, logits_BxV


def _session(model: Model, lengths: Sequence[int], capacity: int) -> Session:
    return DenseSession(model, lengths, capacity) if isinstance(model, Dense) else LatentSession(model, lengths, capacity)
