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
    """
    lengths = [len(prompt) for prompt in prompts]
    session = _session(model, lengths, max(lengths) + steps)
    logits: Tensor | None = None
    for length in dict.fromkeys(lengths):
        lanes = [lane for lane, own in enumerate(lengths) if own == length]
        ids = torch.tensor([list(prompts[lane]) for lane in lanes], device=model.head.weight.device)
        last, state = model.prefill(ids)
        session.take(lanes, ids, state)
        logits = last.new_empty(len(prompts), last.shape[-1]) if logits is None else logits
        logits[lanes] = last
    assert logits is not None, "a batch has at least one prompt"
    return session, logits


def _session(model: Model, lengths: Sequence[int], capacity: int) -> Session:
    return DenseSession(model, lengths, capacity) if isinstance(model, Dense) else LatentSession(model, lengths, capacity)
