"""Pieces of one-token steps (docs/architecture.md, "Speaking"), taken together as the reader would: series written out.

The rows that a window's steps attend to grow by one a step, the latents by one a window; so sums over steps are
(first + last)·count/2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spanbench.count.formula.expression import Expression, letter, number
from spanbench.count.formula.letters import Letters, Reading
from spanbench.count.formula.pieces import Piece, Pieces, pool_pieces, stack_pieces
from spanbench.point import Point

__all__ = ["latent_spoken", "letters_of_steps", "token_spoken"]


@dataclass(frozen=True, slots=True)
class _Speech:
    """The letters of `steps` steps that follow a point's tokens; `closings` of them close a span."""

    x: Letters
    point: Point
    steps: Expression
    closings: Expression

    @classmethod
    def of(cls, point: Point, first: int, steps: int) -> _Speech:
        """Return the letters of `steps` steps after `first` tokens, N or, further on, n."""
        x = Letters.of(replace(point, tokens=first))
        if first != point.tokens:
            x = replace(x, N=letter("n", first))
        closed = (first + steps) // point.span - first // point.span
        return cls(x, replace(point, tokens=first), letter("steps", steps), letter("closings", closed))


def letters_of_steps(point: Point, first: int, steps: int) -> dict[str, int]:
    """Return the numbers behind the letters that depend on which steps are taken."""
    s = _Speech.of(point, first, steps)
    return {e.formula: e.value for e in (s.x.N, s.x.K, s.x.o, s.steps, s.closings)}


def token_spoken(point: Point, first: int, steps: int) -> Pieces:
    """Yield the dense arm's pieces: a row a step, behind all rows before it."""
    s = _Speech.of(point, first, steps)
    x, part = s.x, s.x.token
    yield Piece("embedding", "look-up", number(0))
    yield Piece("layers", "products of the layers, a row a step", x.each(s.steps * part.layers) * part.proj(number(1)))
    keys = _series(x.N + 1, x.N + s.steps, s.steps)
    yield Piece(
        "layers", "self-attention of each row with all rows so far", Reading("full", x.each(part.layers), number(1), keys, part.width)
    )
    yield Piece("head", "a row a step", x.each(s.steps * (2 * part.width * x.V)))


def latent_spoken(point: Point, first: int, steps: int) -> Pieces:
    """Yield the latent arm's pieces: closing steps together, ordinary ones window by window."""
    s = _Speech.of(point, first, steps)
    yield Piece("embedding", "look-up, both tables", number(0))
    yield from _closing(s) if s.closings.value else _nothing_closes()
    for run in _runs(s):
        yield from _ordinary(s, run)
    yield Piece("head", "a row a step", s.x.each(s.steps * (2 * s.x.decoder.width * s.x.V)))


def _series(first: Expression, last: Expression, count: Expression) -> Expression:
    """Return first + … + last, `count` numbers that grow by one."""
    return first if count.value == 1 else ((first + last) * count).half()


def _nothing_closes() -> Pieces:
    for stage in ("encoder", "mixer", "bridge"):
        yield Piece(stage, "none: no span closes", number(0))


def _closing(s: _Speech) -> Pieces:
    x, encoder, mixer = s.x, s.x.encoder, s.x.mixer
    latents = _series(x.K + 1, x.K + s.closings, s.closings)
    yield from stack_pieces("encoder", "", encoder, x.each(s.closings * encoder.layers), x.S, "full")
    yield from pool_pieces(x, s.point, s.closings)
    yield Piece("mixer", "products of the layers, a row a closed span", x.each(s.closings * mixer.layers) * mixer.proj(number(1)))
    yield Piece("mixer", "self-attention with all latents so far", Reading("full", x.each(mixer.layers), number(1), latents, mixer.width))
    slots = number(0) if s.point.shape.cross_attention else x.each(s.closings * (2 * mixer.width * x.P * x.decoder.width))
    yield Piece("bridge", "prefix slots of the windows opened" if slots.value else "none: the decoder reads the latents", slots)
    rows = _slots(s, carries=True)
    yield from stack_pieces("decoder", "opened windows: ", x.decoder, x.each(s.closings * x.decoder.layers), rows, "causal")
    if s.point.shape.cross_attention:
        keys_values = s.closings * x.decoder.layers * (4 * mixer.width * x.decoder.keys)
        yield Piece("decoder", "cross keys and values of new latents", x.each(keys_values))
        read = Reading("full", x.each(x.decoder.layers), rows, latents, x.decoder.width)
        yield from _cross(s, "opened windows: ", s.closings, rows, read)


def _slots(s: _Speech, *, carries: bool) -> Expression:
    """Return the rows that a window opens with."""
    return s.x.P + s.x.w if carries and s.point.shape.carry else s.x.P


@dataclass(frozen=True, slots=True)
class _Run:
    """`steps` ordinary steps in each of `windows` windows (None: in one), from `before` rows kept on.

    `memory` is the rows of cross-attention, one window's or all windows' together.
    """

    name: str
    windows: Expression | None
    steps: Expression
    before: Expression
    memory: Expression

    def times(self, cost: Expression) -> Expression:
        return cost if self.windows is None else self.windows * cost


def _runs(s: _Speech) -> Iterator[_Run]:
    """Yield the ordinary steps: what is left of window K, the windows spoken from end to end, the beginning of another."""
    x, complete, left = s.x, s.point.windows.complete, s.point.span - 1 - s.point.windows.open
    kept = _slots(s, carries=complete > 0)
    kept = kept + x.o if x.o.value else kept
    memory = x.K if complete else x.P
    if not s.closings.value:
        yield _Run("window K", None, s.steps, kept, memory)
        return
    if left:
        yield _Run("rest of window K", None, x.S - 1 - x.o, kept, memory)
    opened, whole = _slots(s, carries=True), s.closings - 1
    if whole.value and s.point.span > 1:
        yield _Run("windows K+1 on", whole, x.S - 1, opened, _series(x.K + 1, x.K + s.closings - 1, whole))
    last = s.steps + x.o - s.closings * x.S
    if last.value:
        yield _Run("last window", None, last, opened, x.K + s.closings)


def _ordinary(s: _Speech, run: _Run) -> Pieces:
    x, part, one = s.x, s.x.decoder, number(1)
    keys = _series(run.before + 1, run.before + run.steps, run.steps)
    yield Piece("decoder", f"{run.name}: products, a row a step", x.each(run.times(run.steps * part.layers)) * part.proj(one))
    local = Reading("full", x.each(run.times(part.layers)), one, keys, part.width)
    yield Piece("decoder", f"{run.name}: self-attention with its rows so far", local)
    if s.point.shape.cross_attention:
        read = Reading("full", x.each(run.steps * part.layers), one, run.memory, part.width)
        yield from _cross(s, f"{run.name}: ", run.times(run.steps), one, read)


def _cross(s: _Speech, where: str, times: Expression, rows: Expression, reading: Reading) -> Pieces:
    """Yield cross-attention of `rows` rows, `times` over: q and out, and the reading of keys and values kept."""
    part = s.x.decoder
    yield Piece("decoder", f"{where}cross q and out", s.x.each(times * part.layers * (4 * rows * part.width * part.width)))
    yield Piece("decoder", f"{where}cross-attention", reading)
