"""The closed form, written out: each term in letters, then with this run's numbers put in, then its value.

The terms are derived again from docs/architecture.md, not taken from `closed_form`; tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from spanbench.count.formula.expression import Expression, letter, number, summed
from spanbench.count.formula.letters import Letters, Part, Reading, definitions
from spanbench.point import Point, Regime
from spanbench.tally import Convention

__all__ = ["Quantity", "Term", "definitions", "explain"]

Quantity = Literal["flops", "cells_dense", "cells_useful"]


@dataclass(frozen=True, slots=True)
class Term:
    """One line of the derivation of a whole-batch figure.

    `formula` is in the letters of docs/architecture.md, `numbers` the same with numbers (Python's syntax once `·` is
    read as `*`), `value` what it comes to: an integer, but for the ratios of arm `pair`. Terms of stage `total` sum up
    an arm's others of that quantity.
    """

    arm: str
    stage: str
    name: str
    formula: str
    numbers: str
    value: int | float
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a stage's work: matrix products, or an attention, whose FLOPs follow from its cells."""

    stage: str
    name: str
    cost: Expression | Reading


Pieces: TypeAlias = Iterator[_Piece]


def explain(point: Point, regime: Regime, convention: Convention) -> list[Term]:
    """Return the terms of FLOPs, then of attention cells, stage by stage; then each arm's totals and the ratios.

    Cells are the useful ones in the `useful` convention, all of them in the others. `definitions` says what the names
    in the formulas stand for.
    """
    letters = Letters.of(point)
    arms = {"token": list(_token(letters, regime)), "latent": list(_latent(letters, point, regime))}
    quantities: tuple[Quantity, ...] = ("flops", "cells_useful" if convention == "useful" else "cells_dense")
    lines = [term for quantity in quantities for arm, pieces in arms.items() for term in _terms(arm, pieces, quantity, convention)]
    totals = [_total(arm, quantity, lines) for quantity in quantities for arm in arms]
    return lines + totals + list(_ratios(totals))


def _terms(arm: str, pieces: Iterable[_Piece], quantity: Quantity, convention: Convention) -> Iterator[Term]:
    for piece in pieces:
        cost = piece.cost
        if quantity != "flops":
            if not isinstance(cost, Reading):
                continue
            cost = cost.cells(useful=quantity == "cells_useful")
        elif isinstance(cost, Reading):
            cost = cost.flops(convention)
        yield Term(arm, piece.stage, piece.name, cost.formula, cost.written, cost.value, quantity)


def _total(arm: str, quantity: Quantity, lines: Sequence[Term]) -> Term:
    """Sum an arm's stages, so that the reader adds a handful of numbers."""
    stages: dict[str, int] = {}
    for line in lines:
        if (line.arm, line.quantity) == (arm, quantity):
            stages[line.stage] = stages.get(line.stage, 0) + int(line.value)
    cost = summed(letter(stage, value) for stage, value in stages.items())
    return Term(arm, "total", quantity, cost.formula, cost.written, cost.value, quantity)


def _ratios(totals: Sequence[Term]) -> Iterator[Term]:
    """Divide the token arm's totals by the latent arm's; a latent arm without attention has no ratio of cells."""
    by_arm = {(total.arm, total.quantity): total.value for total in totals}
    for quantity in dict.fromkeys(total.quantity for total in totals):
        token, latent = by_arm["token", quantity], by_arm["latent", quantity]
        if latent:
            yield Term("pair", "total", f"ratio:{quantity}", "token / latent", f"{token} / {latent}", token / latent, quantity)


def _token(x: Letters, regime: Regime) -> Pieces:
    stack = x.token
    yield _Piece("embedding", "look-up", number(0))
    yield from _stack("layers", "", stack, x.each(stack.layers), x.N, "causal")
    yield _head(x, stack, regime)


def _latent(x: Letters, point: Point, regime: Regime) -> Pieces:
    yield _Piece("embedding", "look-up, both tables", number(0))
    yield from _stack("encoder", "", x.encoder, x.each(x.K * x.encoder.layers), x.S, "full")
    yield from _pool(x, point)
    yield from _stack("mixer", "", x.mixer, x.each(x.mixer.layers), x.K, "causal")
    yield _bridge(x, point, regime)
    for windows in _windows(x, point, regime):
        yield from _stack("decoder", f"{windows.name}: ", x.decoder, x.each(windows.times(x.decoder.layers)), windows.rows, "causal")
    if point.shape.cross_attention:
        yield from _cross(x, point, regime)
    yield _head(x, x.decoder, regime)


def _stack(stage: str, where: str, part: Part, times: Expression, rows: Expression, kind: Literal["full", "causal"]) -> Pieces:
    """Yield `times` layers over `rows` rows: their products and their self-attention."""
    yield _Piece(stage, f"{where}products of the layers", times * part.proj(rows))
    yield _Piece(stage, f"{where}self-attention", Reading(kind, times, rows, rows, part.width))


def _head(x: Letters, part: Part, regime: Regime) -> _Piece:
    logits = 2 * part.width * x.V
    return _Piece("head", "logits wanted", x.each(x.N * logits if regime == "score" else logits))


def _pool(x: Letters, point: Point) -> Pieces:
    spans, d, z = x.each(x.K), x.encoder.width, x.mixer.width
    match point.shape.pool:
        case "concat":
            yield _Piece("encoder", "pool: S rows end to end", spans * (2 * x.S * d * z))
        case "mean":
            yield _Piece("encoder", "pool: mean of S rows", spans * (2 * d * z))
        case "attention":
            yield _Piece("encoder", "pool: keys and values", spans * (4 * x.S * d * x.encoder.keys))
            yield _Piece("encoder", "pool: learned query", Reading("full", spans, number(1), x.S, d))
            yield _Piece("encoder", "pool: linear", spans * (2 * d * z))
        case "lookup":
            yield _Piece("encoder", "pool: look-up", number(0))


def _bridge(x: Letters, point: Point, regime: Regime) -> _Piece:
    slots = 2 * x.mixer.width * x.P * x.decoder.width
    if point.shape.cross_attention:
        return _Piece("bridge", "none: the decoder reads the latents", number(0))
    if regime == "score":
        return _Piece("bridge", "prefix slots of windows 1 .. K", x.each(x.K * slots))
    if point.windows.complete:
        return _Piece("bridge", "prefix slots of window K", x.each(slots))
    return _Piece("bridge", "none: no complete span", number(0))


@dataclass(frozen=True, slots=True)
class _Windows:
    """Decoder windows of equal `rows`; `count` is None for a single one, `kind` says what their memory is."""

    kind: Literal["first", "inner", "last"]
    name: str
    count: Expression | None
    rows: Expression

    def times(self, layers: Expression) -> Expression:
        return layers if self.count is None else self.count * layers


def _windows(x: Letters, point: Point, regime: Regime, *, merge: bool = True) -> Iterator[_Windows]:
    """Yield the windows that run. Without carry, window 0 is as long as those after it: `merge` counts them together."""
    complete, carry = point.windows.complete, point.shape.carry
    own, behind = x.S - 1, x.P + x.w if carry else x.P
    if not complete:
        yield _Windows("first", "window 0, the open one", None, x.P + x.o)
        return
    if regime == "score" and merge and not carry:
        yield _Windows("inner", "windows 0 .. K-1", x.K, x.P + own)
    elif regime == "score":
        yield _Windows("first", "window 0", None, x.P + own)
        if complete > 1:
            yield _Windows("inner", "windows 1 .. K-1", x.K - 1, behind + own)
    yield _Windows("last", "window K, the open one", None, behind + x.o)


def _cross(x: Letters, point: Point, regime: Regime) -> Pieces:
    """Yield cross-attention: q and out of every row, keys and values of each memory, and the reading."""
    part, complete = x.decoder, point.windows.complete
    for windows in _windows(x, point, regime):
        q_and_out = windows.times(part.layers) * (4 * windows.rows * part.width * part.width)
        yield _Piece("decoder", f"{windows.name}: cross q and out", x.each(q_and_out))
    keys_values = 4 * x.mixer.width * part.keys
    if complete:
        yield _Piece("decoder", "cross keys and values of c_1 .. c_K", x.each(x.K * part.layers * keys_values))
    if regime == "score" or not complete:
        yield _Piece("decoder", "cross keys and values of the start, once for the batch", part.layers * x.P * keys_values)
    for windows in _windows(x, point, regime, merge=False):
        yield _Piece("decoder", f"{windows.name}: cross-attention", _reading(x, windows))


def _reading(x: Letters, windows: _Windows) -> Reading:
    """Return the cross-attention of windows: window 0 reads the P start rows, the others the K latents."""
    memory = x.P if windows.kind == "first" else x.K
    return Reading("staircase" if windows.kind == "inner" else "full", x.each(x.decoder.layers), windows.rows, memory, x.decoder.width)
