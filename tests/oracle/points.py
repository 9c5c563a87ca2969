"""Tiny random points that between them reach every option: the choices cycle, the sizes are drawn."""

from __future__ import annotations

from random import Random

from spanbench.point import POOLS, Point, Pool, Shape, Stack

__all__ = ["tiny_point"]

HEADS_AND_WIDTHS = [(1, 4), (2, 2), (1, 6), (3, 2), (1, 8), (2, 4), (4, 2)]  # H, E: widths of 4 to 8, E even for RoPE


def tiny_point(index: int) -> Point:
    """Return the point of this index, always the same one, in float32; the four lowest bits and its seed decide it."""
    random = Random(index)  # noqa: S311 - sizes of a test, not a secret
    pool = POOLS[index % 4]
    span, shape = _span_and_shape(random, pool, gated=bool(index & 4), cross_attention=bool(index & 8))
    return Point(shape, tokens=random.randint(1, 13), span=span, batch=random.randint(1, 2), seed=index)


def _span_and_shape(random: Random, pool: Pool, gated: bool, cross_attention: bool) -> tuple[int, Shape]:
    mixer, decoder = _stack(random), _stack(random, fewest_layers=1 if cross_attention else 0)
    encoder = _stack(random)
    span = random.randint(1, 4)
    if pool == "lookup":
        span = random.choice([s for s in range(1, 5) if mixer.width % s == 0])
        encoder = Stack(0, mixer.width // span, 1, 1, 1)
    return span, Shape(
        vocab=random.randint(5, 11),
        gated=gated,
        token=_stack(random),
        encoder=encoder,
        mixer=mixer,
        decoder=decoder,
        pool=pool,
        prefix=random.randint(1, 3),
        carry=random.randint(0, span) if decoder.layers else 0,
        cross_attention=cross_attention,
    )


def _stack(random: Random, fewest_layers: int = 0) -> Stack:
    heads, head_width = random.choice(HEADS_AND_WIDTHS)
    kv_heads = random.choice([g for g in range(1, heads + 1) if heads % g == 0])
    return Stack(random.randint(fewest_layers, 2), heads * head_width, random.randint(3, 9), heads, kv_heads)
