"""Pieces of a derivation that every regime shares: layers over rows, and the pool of spans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from spanbench.count.formula.expression import Expression, number
from spanbench.count.formula.letters import Letters, Part, Reading
from spanbench.point import Point
from spanbench.tally import Convention

__all__ = ["Piece", "Pieces", "pool_pieces", "stack_pieces"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a stage's work: matrix products, or an attention, whose FLOPs follow from its cells."""

    stage: str
    name: str
    cost: Expression | Reading

    def flops(self, convention: Convention) -> Expression:
        """Return FLOPs under a convention."""
        return self.cost.flops(convention) if isinstance(self.cost, Reading) else self.cost


Pieces: TypeAlias = Iterator[Piece]


def stack_pieces(stage: str, where: str, part: Part, times: Expression, rows: Expression, kind: Literal["full", "causal"]) -> Pieces:
    """Yield `times` layers over `rows` rows: their products and their self-attention."""
    yield Piece(stage, f"{where}products of the layers", times * part.proj(rows))
    yield Piece(stage, f"{where}self-attention", Reading(kind, times, rows, rows, part.width))


def pool_pieces(x: Letters, point: Point, complete: Expression) -> Pieces:
    """Yield the pool of `complete` spans of each prompt."""
    spans, d, z = x.each(complete), x.encoder.width, x.mixer.width
    match point.shape.pool:
        case "concat":
            yield Piece("encoder", "pool: S rows end to end", spans * (2 * x.S * d * z))
        case "mean":
            yield Piece("encoder", "pool: mean of S rows", spans * (2 * d * z))
        case "attention":
            yield Piece("encoder", "pool: keys and values", spans * (4 * x.S * d * x.encoder.keys))
            yield Piece("encoder", "pool: learned query", Reading("full", spans, number(1), x.S, d))
            yield Piece("encoder", "pool: linear", spans * (2 * d * z))
        case "lookup":
            yield Piece("encoder", "pool: look-up", number(0))
