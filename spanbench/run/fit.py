"""Does a pair fit in memory? Estimated before anything is allocated, and said in one line where it does not."""

from __future__ import annotations

from collections.abc import Iterator

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.errors import NotEnoughMemory
from spanbench.measure.memory import available_bytes
from spanbench.point import Point, Shape, Stack
from spanbench.units import short

__all__ = ["check_fit", "needed_bytes"]

RUNTIME_BYTES = 400 * 2**20
"""torch, its thread pools and the witnesses, beside the tensors."""

FRAGMENTS = 2
"""The allocator holds about twice what is alive at once: blocks of many sizes come and go (measured, docs/decisions.md)."""

LIVE_ROWS = 8
"""Widths of one row alive at once in a layer: residual, norm, qkv, rotated, output, and what the allocator has not reused."""


def needed_bytes(point: Point) -> int:
    """Estimate the bytes of running both arms: all weights, the largest layer's activations, logits, state.

    An upper estimate from the sizes alone; attention is assumed not to hold its score matrix (a fused kernel).
    """
    tallies = closed_form(point, "prefill", Distinct(0, 0, {"score": 0, "prefill": 0}))
    weights = sum(arm["total"].params for arm in tallies.values()) * point.itemsize
    state = max(arm["total"].state_bytes for arm in tallies.values())
    return RUNTIME_BYTES + weights + FRAGMENTS * (state + max(_activations(point)))


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


def check_fit(point: Point, *, must_run: bool) -> str | None:
    """Return why the pair is not run here, or None where it fits (or where the free memory is unknown).

    Raises:
        NotEnoughMemory: it does not fit, and it must run.
    """
    needed, available = needed_bytes(point), available_bytes(point.device)
    if available is None or needed <= available:
        return None
    sizes = f"both arms need about {short('peak_bytes', needed)}, {short('peak_bytes', available)} are free on {point.device}"
    if must_run:
        mend = "take fewer --tokens, a smaller --preset or --dtype bf16"
        raise NotEnoughMemory(f"--run: not enough memory for preset {point.preset!r}: {sizes}; {mend}")
    return f"Counted and not run: {sizes}."
