"""What both processes of a broken run do: the same model, the same text, greedy steps."""

from __future__ import annotations

import torch
from torch import Tensor

from spanbench.model.pair import Model, build_arm
from spanbench.model.speak import Session, start_session
from spanbench.point import Point
from spanbench.presets import resolve
from tests.store.shelves import text

__all__ = ["ids_of", "model_of", "said", "start"]

SPAN, VOCAB = 8, 257
_SHAPES: dict[str, dict[str, object]] = {
    "plain": {},
    "carry": {"carry": 3},
    "cross": {"cross_attention": True},
    "flat": {"decoder.layers": 0},
}


def model_of(arm: str, options: str) -> Model:
    """Return one arm of the smallest preset in float64."""
    return build_arm(Point(resolve("tiny", "lean", _SHAPES[options], SPAN), 30, SPAN, dtype="float64", seed=5), arm)


def ids_of(tokens: int) -> list[int]:
    """Return the text."""
    return text(tokens, VOCAB, seed=3)


def start(model: Model, tokens: int) -> tuple[Session, Tensor]:
    """Read the text's first tokens, with room for 30 more."""
    with torch.inference_mode():
        return start_session(model, [ids_of(tokens)], 30)


def said(session: Session, logits_1xV: Tensor, steps: int) -> list[tuple[int, list[float]]]:
    """Say the likeliest token again and again; return each with the logits that it was chosen from."""
    steps_said = []
    with torch.inference_mode():
        for _ in range(steps):
            token = int(logits_1xV.argmax(-1)[0])
            steps_said.append((token, logits_1xV[0].tolist()))
            logits_1xV = session.step(torch.tensor([token]))
    return steps_said
