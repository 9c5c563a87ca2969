"""The rows of a baseline by the closed form alone: no torch, no model, only sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.count.formula.arms import ARMS
from spanbench.count.formula.plan import Plan
from spanbench.judge.baseline.asked import Asked
from spanbench.judge.baseline.row import LAYERED, Row, row_of
from spanbench.point import Point, Regime, Shape, Stack
from spanbench.prompt import Prompt
from spanbench.tally import Convention

__all__ = ["STACKS", "closed_layers", "closed_rows"]

STACKS: Mapping[str, Mapping[str, str]] = {
    "token": {"layers": "token"},
    "latent": {"encoder": "encoder", "mixer": "mixer", "decoder": "decoder"},
}
"""Stages that are stacks of layers, by arm, and the stack of the shape that each one is."""


def closed_rows(asked: Asked, point: Point, prompt: Prompt, convention: Convention) -> list[Row]:
    """Return the rows of both arms of a point."""
    distinct = distinct_rows(prompt.ids, point, prompt.following(point.said) or None)
    forms = {regime: closed_form(point, regime, distinct) for regime in point.regimes}
    return [
        row_of(asked, point, arm, {r: forms[r][arm] for r in forms}, closed_layers(point, arm, convention), convention) for arm in STACKS
    ]


def closed_layers(point: Point, arm: str, convention: Convention) -> dict[str, dict[str, Sequence[int]]]:
    """Return regime → stage → FLOPs of each layer, in score and prefill, where these are asked for.

    The layers of a stack are equal: each costs what one more would add to the stage.
    """
    deeper = replace(point, shape=_deeper(point.shape))
    return {regime: _layers(point, deeper, arm, regime, convention) for regime in LAYERED if regime in point.regimes}


def _layers(point: Point, deeper: Point, arm: str, regime: Regime, convention: Convention) -> dict[str, Sequence[int]]:
    now, then = (ARMS[arm].work(Plan(one, regime)) for one in (point, deeper))
    added = {stage: then[stage].flops(convention) - now[stage].flops(convention) for stage in STACKS[arm]}
    return {stage: [added[stage]] * getattr(point.shape, stack).layers for stage, stack in STACKS[arm].items()}


def _deeper(shape: Shape) -> Shape:
    """Return the shape with one more layer in each stack that has any."""

    def more(stack: Stack) -> Stack:
        return replace(stack, layers=stack.layers + 1) if stack.layers else stack

    return replace(shape, token=more(shape.token), encoder=more(shape.encoder), mixer=more(shape.mixer), decoder=more(shape.decoder))
