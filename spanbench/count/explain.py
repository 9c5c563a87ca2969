"""The closed form, written out: each term in letters, then with this run's numbers put in, then its value.

The terms are derived again from docs/architecture.md, not taken from `closed_form`; tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from spanbench.count.formula.expression import Expression, letter, number, summed
from spanbench.count.formula.letters import Letters, Part, Reading, definitions
from spanbench.count.formula.pieces import Piece, Pieces, pool_pieces, stack_pieces
from spanbench.count.formula.spoken import latent_spoken, letters_of_steps, token_spoken
from spanbench.point import Point, Regime
from spanbench.tally import Convention

__all__ = ["Quantity", "Term", "definitions", "explain", "step_definitions"]

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


def explain(point: Point, regime: Regime, convention: Convention) -> list[Term]:
    """Return the terms of FLOPs, then of attention cells, stage by stage; then each arm's totals and the ratios.

    Cells are the useful ones in the `useful` convention, all of them in the others. `definitions` says what the names
    in the formulas stand for.
    """
    arms = {arm: list(_pieces(arm, point, regime)) for arm in _SPOKEN}
    quantities: tuple[Quantity, ...] = ("flops", "cells_useful" if convention == "useful" else "cells_dense")
    lines = [term for quantity in quantities for arm, pieces in arms.items() for term in _terms(arm, pieces, quantity, convention)]
    totals = [_total(arm, quantity, lines) for quantity in quantities for arm in arms]
    return lines + totals + list(_ratios(totals))


def _terms(arm: str, pieces: Iterable[Piece], quantity: Quantity, convention: Convention) -> Iterator[Term]:
    for piece in pieces:
        if quantity == "flops":
            cost = piece.flops(convention)
        elif isinstance(piece.cost, Reading):
            cost = piece.cost.cells(useful=quantity == "cells_useful")
        else:
            continue
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


_SPOKEN: Mapping[str, Callable[[Point, int, int], Pieces]] = {"token": token_spoken, "latent": latent_spoken}


def _pieces(arm: str, point: Point, regime: Regime) -> Pieces:
    """Yield an arm's pieces: the whole prompt's, the steps', or in a request both."""
    if regime in {"score", "prefill"}:
        letters = Letters.of(point)
        yield from _token(letters, regime) if arm == "token" else _latent(letters, point, regime)
        return
    if regime == "request":
        yield from (replace(piece, name=f"prompt: {piece.name}") for piece in _pieces(arm, point, "prefill"))
    first, steps = _steps(arm, point, regime)
    if steps:
        spoken = _SPOKEN[arm](point, first, steps)
        yield from (replace(piece, name=f"steps: {piece.name}") for piece in spoken) if regime == "request" else spoken


def _steps(arm: str, point: Point, regime: Regime) -> tuple[int, int]:
    """Return how many tokens come before an arm's first step, and its number of steps."""
    if regime == "decode_worst":
        return _dearest(arm, point), 1
    return point.tokens, point.span if regime == "decode" else point.generate - 1


def _dearest(arm: str, point: Point) -> int:
    """Return the dearest step of a span period: no row of a window costs less than the one before it, so three can be it."""
    last = point.tokens + point.span - 1
    closing = last - (last + 1) % point.span
    able = {n for n in (closing - 1, closing, last) if n >= point.tokens}
    return max(able, key=lambda n: (sum(piece.flops("dense").value for piece in _SPOKEN[arm](point, n, 1)), n))


def step_definitions(point: Point, regime: Regime) -> tuple[str, ...]:
    """Return what the letters stand for that depend on the steps taken, an arm a line where each has a step of its own."""
    if regime in {"score", "prefill"} or (regime == "request" and point.generate == 1):
        return ()
    arms = {arm: letters_of_steps(point, *_steps(arm, point, regime)) for arm in _SPOKEN}
    said = {arm: ", ".join(f"{name} = {value}" for name, value in letters.items()) for arm, letters in arms.items()}
    meaning = "tokens before the first step, complete spans and open tokens then, one-token steps, those that close a span"
    if regime == "decode_worst":
        return tuple(f"{arm}: {letters}: {meaning}" for arm, letters in said.items())
    return (f"{said['token']}: {meaning}",)


def _token(x: Letters, regime: Regime) -> Pieces:
    stack = x.token
    yield Piece("embedding", "look-up", number(0))
    yield from stack_pieces("layers", "", stack, x.each(stack.layers), x.N, "causal")
    yield _head(x, stack, regime)


def _latent(x: Letters, point: Point, regime: Regime) -> Pieces:
    yield Piece("embedding", "look-up, both tables", number(0))
    yield from stack_pieces("encoder", "", x.encoder, x.each(x.K * x.encoder.layers), x.S, "full")
    yield from pool_pieces(x, point, x.K)
    yield from stack_pieces("mixer", "", x.mixer, x.each(x.mixer.layers), x.K, "causal")
    yield _bridge(x, point, regime)
    for windows in _windows(x, point, regime):
        yield from stack_pieces("decoder", f"{windows.name}: ", x.decoder, x.each(windows.times(x.decoder.layers)), windows.rows, "causal")
    if point.shape.cross_attention:
        yield from _cross(x, point, regime)
    yield _head(x, x.decoder, regime)


def _head(x: Letters, part: Part, regime: Regime) -> Piece:
    logits = 2 * part.width * x.V
    return Piece("head", "logits wanted", x.each(x.N * logits if regime == "score" else logits))


def _bridge(x: Letters, point: Point, regime: Regime) -> Piece:
    slots = 2 * x.mixer.width * x.P * x.decoder.width
    if point.shape.cross_attention:
        return Piece("bridge", "none: the decoder reads the latents", number(0))
    if regime == "score":
        return Piece("bridge", "prefix slots of windows 1 .. K", x.each(x.K * slots))
    if point.windows.complete:
        return Piece("bridge", "prefix slots of window K", x.each(slots))
    return Piece("bridge", "none: no complete span", number(0))


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
        yield Piece("decoder", f"{windows.name}: cross q and out", x.each(q_and_out))
    keys_values = 4 * x.mixer.width * part.keys
    if complete:
        yield Piece("decoder", "cross keys and values of c_1 .. c_K", x.each(x.K * part.layers * keys_values))
    if regime == "score" or not complete:
        yield Piece("decoder", "cross keys and values of the start, once for the batch", part.layers * x.P * keys_values)
    for windows in _windows(x, point, regime, merge=False):
        yield Piece("decoder", f"{windows.name}: cross-attention", _reading(x, windows))


def _reading(x: Letters, windows: _Windows) -> Reading:
    """Return the cross-attention of windows: window 0 reads the P start rows, the others the K latents."""
    memory = x.P if windows.kind == "first" else x.K
    return Reading("staircase" if windows.kind == "inner" else "full", x.each(x.decoder.layers), windows.rows, memory, x.decoder.width)
