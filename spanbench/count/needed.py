"""How much memory running both arms takes: an estimate from the sizes alone, before anything is allocated. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.point import SPOKEN, Point, Shape, Stack
from spanbench.tally import Tally

__all__ = ["RUNTIME_BYTES", "held", "needed_bytes"]

RUNTIME_BYTES = 400 * 2**20
"""torch, its thread pools and the witnesses, beside the tensors."""

FRAGMENTS = 2
"""The allocator holds about twice what is alive at once: blocks of many sizes come and go (measured, docs/decisions.md)."""

LIVE_ROWS = 8
"""Widths of one row alive at once in a layer: residual, norm, qkv, rotated, output, and what the allocator has not reused."""


def needed_bytes(point: Point) -> int:
    """Estimate the bytes of running both arms: all weights, the largest layer's activations, logits, state.

    An upper estimate from the sizes alone; attention is assumed not to hold its score matrix (a fused kernel). Steps are
    taken with the sessions of both arms open, each with room for all that will be said and filled from what prefill left.
    """
    arms = held(point)
    weights = sum(arm.params for arm in arms.values()) * point.itemsize
    states = [arm.state_bytes for arm in arms.values()]
    state = 2 * sum(states) if set(SPOKEN) & set(point.regimes) else max(states)
    return RUNTIME_BYTES + weights + FRAGMENTS * (state + max(_activations(point)))


def held(point: Point) -> Mapping[str, Tally]:
    """Return each arm's parameters and the state after all that is said."""
    end = replace(point, tokens=point.tokens + point.said)
    forms = closed_form(end, "prefill", Distinct(0, 0, {"score": 0, "prefill": 0}))
    return {arm: stages["total"] for arm, stages in forms.items()}


def _activations(point: Point) -> Iterator[int]:
    """Yield for each part the bytes of its widest moment, and of the logits."""
    shape, windows = point.shape, point.windows
    rows = {
        "token": point.tokens,
        "encoder": windows.complete * point.span,
        "mixer": windows.complete,
        "decoder": windows.score_rows if "score" in point.regimes else windows.open_rows,
    }
    for part, count in rows.items():
        yield point.batch * count * _row_width(shape, getattr(shape, part)) * point.itemsize
    logits = point.tokens if "score" in point.regimes else 1
    yield 2 * point.batch * logits * (shape.vocab + max(shape.token.width, shape.decoder.width)) * point.itemsize


def _row_width(shape: Shape, stack: Stack) -> int:
    return LIVE_ROWS * stack.width + (3 if shape.gated else 2) * stack.mlp
