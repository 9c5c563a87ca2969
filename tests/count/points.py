"""Random points over every option of the pair, small enough to enumerate by hand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hypothesis import strategies as st

from spanbench.point import DTYPE_BYTES, POOLS, Point, Pool, Shape, Stack


def ids_of(point: Point, seed: int = 0) -> list[list[int]]:
    """Return B × N ids with repeats, the same for the same seed."""
    return [[(seed + b * 5 + i * i + i // 3) % point.shape.vocab for i in range(point.tokens)] for b in range(point.batch)]


def said_of(point: Point, steps: int, seed: int = 0) -> list[list[int]]:
    """Return B × steps ids to say after the prompt, with repeats, the same for the same seed."""
    return [[(seed + b * 3 + i * i + i // 2) % point.shape.vocab for i in range(steps)] for b in range(point.batch)]


@st.composite
def stacks(draw: st.DrawFn, layers: st.SearchStrategy[int], width: int | None = None) -> Stack:
    """Draw a stack; a given width is kept, and the heads then divide it."""
    if width is None:
        kv_heads, group, pairs = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
        return Stack(draw(layers), kv_heads * group * pairs * 2, draw(st.integers(1, 9)), kv_heads * group, kv_heads)
    return Stack(draw(layers), width, draw(st.integers(1, 9)), 1, 1)


@st.composite
def points(draw: st.DrawFn, pools: tuple[Pool, ...] = POOLS, *, plain: bool = False, cross: bool | None = None) -> Point:
    """Draw a point; `plain` leaves out carry and cross-attention, `cross` asks for it or against it."""
    span, pool = draw(st.integers(1, 4)), draw(st.sampled_from(pools))
    few = st.integers(0, 2)
    decoder = draw(stacks(st.integers(1, 2) if cross else few))
    flat = plain or not decoder.layers
    if pool == "lookup":
        encoder = Stack(0, draw(st.integers(1, 3)), 1, 1, 1)
        mixer = draw(stacks(st.just(0), encoder.width * span) if encoder.width * span % 2 else stacks(few, encoder.width * span))
    else:
        encoder, mixer = draw(stacks(few)), draw(stacks(few))
    shape = Shape(
        vocab=draw(st.integers(2, 9)),
        gated=draw(st.booleans()),
        token=draw(stacks(few)),
        encoder=encoder,
        mixer=mixer,
        decoder=decoder,
        pool=pool,
        prefix=draw(st.integers(1, 3)),
        carry=0 if flat else draw(st.integers(0, span)),
        cross_attention=False if flat else draw(st.booleans() if cross is None else st.just(cross)),
    )
    tokens, batch, generate = draw(st.integers(1, 14)), draw(st.integers(1, 3)), draw(st.integers(1, 12))
    return Point(shape, tokens, span, batch, generate, dtype=draw(st.sampled_from(sorted(DTYPE_BYTES))))


def corners(pool: Pool) -> Iterator[Point]:
    """Yield one small shape with every combination of carry, cross-attention, batch and a length at each edge of a span."""
    span, encoder = 3, Stack(0, 4, 1, 1, 1) if pool == "lookup" else Stack(1, 8, 5, 4, 2)
    for carry, cross, batch, tokens in product((0, 1, span), (False, True), (1, 2), (1, 2, 3, 4, 6, 10)):
        shape = Shape(
            vocab=7, gated=cross, token=Stack(2, 8, 3, 4, 1), encoder=encoder, mixer=Stack(2, 12, 7, 2, 1),
            decoder=Stack(2, 8, 5, 2, 1), pool=pool, prefix=2, carry=carry, cross_attention=cross,
        )  # fmt: skip
        yield Point(shape, tokens, span, batch, generate=9, dtype="bfloat16")
