"""The letters of a point and the two formulas that everything is made of: proj (products of a layer) and attention.

A layer over T rows is proj(T, d) + attn(T, T, d). Where the convention is not `dense`, causal attention is causal(T, d)
instead: 2·T·(T + 1)·d in `useful`, 2·T·T·d in `causal-half`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spanbench.count.formula.expression import Expression, call, letter
from spanbench.point import Point, Stack
from spanbench.tally import Convention

__all__ = ["Letters", "Part", "Reading", "definitions"]


@dataclass(frozen=True, slots=True)
class Part:
    """Letters of one stack: layers, width d, MLP width, and the product G·E of one row's keys."""

    layers: Expression
    width: Expression
    mlp: Expression
    keys: Expression
    gated: bool

    @classmethod
    def of(cls, stack: Stack, suffix: str, *, gated: bool, width: str = "") -> Part:
        """Return the letters of `stack`: Le, De, Fe, Ge, Ee for the suffix `e`; `width` is another letter for its width."""
        keys = letter(f"G{suffix}", stack.kv_heads) * letter(f"E{suffix}", stack.head_width)
        layers, mlp = letter(f"L{suffix}", stack.layers), letter(f"F{suffix}", stack.mlp)
        return cls(layers, letter(width or f"D{suffix}", stack.width), mlp, keys, gated)

    def proj(self, rows: Expression) -> Expression:
        """Return the matrix products of one layer over `rows` rows."""
        return call("proj", (rows, self.width), self.proj_body(rows))

    def proj_body(self, rows: Expression) -> Expression:
        """Return what `proj` stands for; a gated MLP has three products of d × F, a plain one two."""
        d = self.width
        return 2 * rows * d * (2 * d + 2 * self.keys) + (6 if self.gated else 4) * rows * d * self.mlp


def attn(queries: Expression, keys: Expression, width: Expression) -> Expression:
    """Return attention of `queries` × `keys` cells, heads of `width` together, all cells counted."""
    return call("attn", (queries, keys, width), _attn_body(queries, keys, width))


def causal(rows: Expression, width: Expression, convention: Convention) -> Expression:
    """Return causal self-attention of `rows` rows under a convention that does not count all its cells."""
    return call("causal", (rows, width), _causal_body(rows, width, convention))


def _attn_body(queries: Expression, keys: Expression, width: Expression) -> Expression:
    return 4 * queries * keys * width


def _causal_body(rows: Expression, width: Expression, convention: Convention) -> Expression:
    return 2 * rows * (rows + 1 if convention == "useful" else rows) * width


@dataclass(frozen=True, slots=True)
class Reading:
    """`times` attentions of `queries` rows, of width `width`, each over `keys` rows.

    Kinds: `full` has no mask. `causal` is the triangle of self-attention (queries = keys). `staircase` is
    cross-attention of windows 1 .. K-1, where window j may read the latents 1 .. j of `keys` = K.
    """

    kind: Literal["full", "causal", "staircase"]
    times: Expression
    queries: Expression
    keys: Expression
    width: Expression

    def flops(self, convention: Convention) -> Expression:
        """Return FLOPs under a convention."""
        if self.kind == "causal" and convention != "dense":
            return self.times * causal(self.queries, self.width, convention)
        if self.kind == "staircase" and convention == "useful":
            return self.times * (2 * self.queries * self.keys * (self.keys - 1) * self.width)
        return self._windows() * attn(self.queries, self.keys, self.width)

    def cells(self, *, useful: bool) -> Expression:
        """Return attention cells: all, or those the mask lets through."""
        if not useful or self.kind == "full":
            return self._windows() * self.queries * self.keys
        if self.kind == "causal":
            return self.times * (self.queries * (self.queries + 1)).half()
        return self.times * self.queries * (self.keys * (self.keys - 1)).half()

    def _windows(self) -> Expression:
        return self.times * (self.keys - 1) if self.kind == "staircase" else self.times


@dataclass(frozen=True, slots=True)
class Letters:
    """The letters of docs/architecture.md with a point's numbers: those of the whole run, and those of each part."""

    B: Expression
    N: Expression
    S: Expression
    K: Expression
    o: Expression
    P: Expression
    w: Expression
    V: Expression
    token: Part
    encoder: Part
    mixer: Part
    decoder: Part

    @classmethod
    def of(cls, point: Point) -> Letters:
        """Return the letters of a point; the mixer's width is Z."""
        windows, shape = point.windows, point.shape
        return cls(
            B=letter("B", point.batch),
            N=letter("N", point.tokens),
            S=letter("S", point.span),
            K=letter("K", windows.complete),
            o=letter("o", windows.open),
            P=letter("P", shape.prefix),
            w=letter("w", shape.carry),
            V=letter("V", shape.vocab),
            token=Part.of(shape.token, "", gated=shape.gated),
            encoder=Part.of(shape.encoder, "e", gated=shape.gated),
            mixer=Part.of(shape.mixer, "m", gated=shape.gated, width="Z"),
            decoder=Part.of(shape.decoder, "d", gated=shape.gated),
        )

    def each(self, cost: Expression) -> Expression:
        """Return the cost of all B prompts; a batch of one goes without saying."""
        return cost if self.B.value == 1 else self.B * cost


def definitions(point: Point, convention: Convention) -> tuple[str, ...]:
    """Return what `proj`, `attn` and, where the convention has it, `causal` stand for in `explain`'s formulas."""
    t, tq, tk, d = (letter(name, 1) for name in ("T", "Tq", "Tk", "d"))
    part = Part(letter("L", 1), d, letter("F", 1), letter("G", 1) * letter("E", 1), point.shape.gated)
    lines = [
        _definition(part.proj(t), part.proj_body(t), "q, k, v, out and MLP of T rows in one layer of width d; F, G, E are its part's own"),
        _definition(attn(tq, tk, d), _attn_body(tq, tk, d), "QK' and AV of all Tq × Tk cells, H·E = d"),
    ]
    if convention != "dense":
        meaning = "the T·(T + 1)/2 cells that a causal mask lets through" if convention == "useful" else "half of attn(T, T, d)"
        lines.append(_definition(causal(t, d, convention), _causal_body(t, d, convention), meaning))
    return tuple(lines)


def _definition(name: Expression, body: Expression, meaning: str) -> str:
    return f"{name.formula} = {body.formula}: {meaning}"
