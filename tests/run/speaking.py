"""Texts for steps: a prompt's ids and enough to say after it in every regime."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from torch import Tensor

from spanbench.count.distinct import Distinct, distinct_rows
from spanbench.point import SPOKEN, Point
from spanbench.run.subjects import ids_tensor
from tests.shapes import seeded_ids, seeded_point

__all__ = ["said_after", "speaking_point", "text_of"]


def speaking_point(seed: int) -> Point:
    """Return the seeded point in all regimes of speaking; a request says from one token to three more than a span."""
    point = seeded_point(seed)
    generate = Random(~seed).randint(1, point.span + 3)  # noqa: S311 - sizes of a test, not a secret
    return replace(point, regimes=SPOKEN, generate=generate)


def said_after(point: Point) -> list[list[int]]:
    """Return what is fed after the prompts, B sequences of as many ids as the longest regime takes."""
    random = Random(-1 - point.seed)  # noqa: S311 - ids of a test, not a secret
    return [[random.randrange(point.shape.vocab) for _ in range(point.said)] for _ in range(point.batch)]


def text_of(point: Point, device: str = "cpu") -> tuple[Tensor, Distinct]:
    """Return prompts and what follows (B x T), and the distinct rows of both."""
    ids, said = seeded_ids(point), said_after(point)
    text = [[*prompt, *tail] for prompt, tail in zip(ids, said, strict=True)]
    return ids_tensor(text, device), distinct_rows(ids, point, said)
