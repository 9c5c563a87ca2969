"""One row of a baseline: what one arm of one point comes to, as whole numbers only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanbench.judge.baseline.asked import Asked, canonical
from spanbench.point import Point, Regime, Stack
from spanbench.tally import Convention, Tally

__all__ = ["ARMS", "LAYERED", "QUANTITIES", "STAGES", "SUMMED", "TOTAL", "Counts", "Layers", "Row", "Sizes", "row_of"]

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Regime → stage → quantity → value, whole batch."""
Layers = Mapping[str, Mapping[str, Sequence[int]]]
"""Regime → stage → FLOPs of each layer."""
Sizes = Mapping[str, Mapping[str, int]]
"""Part → size → value."""

TOTAL = "total"
STAGES: Mapping[str, tuple[str, ...]] = {
    "token": ("embedding", "layers", "head", TOTAL),
    "latent": ("embedding", "encoder", "mixer", "bridge", "decoder", "head", TOTAL),
}
"""Of each arm, in the order in which they run."""
ARMS = tuple(STAGES)
LAYERED: tuple[Regime, ...] = ("score", "prefill")
"""Regimes whose FLOPs are kept layer by layer."""
SUMMED = ("flops", "cells_dense", "cells_useful", "scores_dense", "mlp_rows", "params", "bytes_fused", "state_bytes")
"""Quantities whose total is the sum over the stages: all but compulsory bytes, where stages share their boundaries."""
QUANTITIES = (*SUMMED, "bytes_compulsory")
_NO_STATE = "score"
"""The regime that keeps no state: its bytes are not 0 but none, so there is no such figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """The counts of one arm of one point; `line` is that of the file it was read from, from 1 (0: it was counted)."""

    asked: Asked
    arm: str
    counts: Counts
    layers: Layers
    sizes: Sizes
    convention: Convention
    """What the FLOPs are by: rows of two conventions are told apart."""
    line: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What makes two rows answers to one question."""
        return (self.asked.key, self.arm)

    @property
    def order(self) -> tuple[Any, ...]:
        """Where the row stands in the file."""
        return (*self.asked.order, ARMS.index(self.arm))

    @property
    def name(self) -> str:
        """The row as a reader knows it, as `document lean, 2048 tokens in spans of 32, latent`."""
        return f"{self.asked.name}, {self.arm}"

    def to_line(self) -> str:
        """Return the row as one JSON line, newline included."""
        plain = {"point": self.asked.given, "arm": self.arm, "counts": self.counts, "layers": self.layers, "sizes": self.sizes}
        return canonical(plain | {"convention": self.convention}) + "\n"


def row_of(
    asked: Asked, point: Point, arm: str, tallies: Mapping[Regime, Mapping[str, Tally]], layers: Layers, convention: Convention
) -> Row:
    """Return the row of one arm: the tallies by regime and stage, FLOPs taken by the convention."""
    counts: dict[str, dict[str, dict[str, int]]] = {
        regime: {stage: dict(_values(stages.get(stage, Tally()), regime, convention)) for stage in STAGES[arm]}
        for regime, stages in tallies.items()
    }
    return Row(asked, arm, counts, layers, _sizes(point, arm), convention)


def _values(tally: Tally, regime: str, convention: Convention) -> Iterator[tuple[str, int]]:
    for name in QUANTITIES:
        if name == "flops":
            yield name, tally.flops(convention)
        elif name != "state_bytes" or regime != _NO_STATE:
            yield name, getattr(tally, name)


def _sizes(point: Point, arm: str) -> dict[str, dict[str, int]]:
    """Return the sizes that explain a change: those of the arm's stacks, and of the run. Truths are 0 and 1."""
    shape = point.shape
    run = {"tokens": point.tokens, "batch": point.batch, "itemsize": point.itemsize, "vocab": shape.vocab, "gated": int(shape.gated)}
    if arm == "token":
        return {"layers": _stack(shape.token), "run": run}
    own = {"span": point.span, "prefix": shape.prefix, "carry": shape.carry, "cross_attention": int(shape.cross_attention)}
    stacks = {"encoder": shape.encoder, "mixer": shape.mixer, "decoder": shape.decoder}
    return {name: _stack(stack) for name, stack in stacks.items()} | {"run": run | own}


def _stack(stack: Stack) -> dict[str, int]:
    return {name: getattr(stack, name) for name in ("layers", "width", "mlp", "heads", "kv_heads")}
