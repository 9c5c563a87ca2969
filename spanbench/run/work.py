"""What one arm does in one regime, as a call that can be timed again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from spanbench.model.pair import Model, forward
from spanbench.model.speak import start_session
from spanbench.point import SPOKEN, Regime

__all__ = ["work_of"]

Work = Callable[[], object]


def work_of(model: Model, regime: Regime, text_BxT: Tensor, tokens: int, steps: int) -> Work:
    """Return the work of a regime: a forward, the steps after a prompt that was read before, or a whole request.

    Args:
        model: the arm.
        regime: which work.
        text_BxT: the prompt (N = `tokens` ids a row) and what is fed after it.
        tokens: N.
        steps: one-token steps: S in decode, G - 1 in request.

    Raises:
        ValueError: the text is too short for the steps; fewer would be timed as if they were all.
    """
    ids_BxN, said_BxT = text_BxT[:, :tokens], text_BxT[:, tokens : tokens + steps]
    if regime in SPOKEN and said_BxT.shape[1] != steps:
        raise ValueError(f"{steps} steps after {tokens} tokens need {tokens + steps} ids a prompt, got {text_BxT.shape[1]}")
    if regime == "decode":
        return _steps(model, ids_BxN.tolist(), said_BxT)
    if regime == "request":
        return partial(_request, model, ids_BxN.tolist(), said_BxT)
    return partial(forward, model, regime, ids_BxN)


def _steps(model: Model, prompts: Sequence[Sequence[int]], said_BxT: Tensor) -> Work:
    """Read the prompts once; each call goes back to their end and takes all steps."""
    with torch.inference_mode():
        session, _ = start_session(model, prompts, said_BxT.shape[1])
        rewind = session.mark()

    def run() -> None:
        rewind()
        for ids_B in said_BxT.T:
            session.step(ids_B)

    return run


def _request(model: Model, prompts: Sequence[Sequence[int]], said_BxT: Tensor) -> None:
    session, _ = start_session(model, prompts, said_BxT.shape[1])
    for ids_B in said_BxT.T:
        session.step(ids_B)
