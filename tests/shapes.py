"""Points by seed: as many different ones as a test wants, the same on every machine, over every option of the pair.

Hypothesis (tests/count/points.py) finds small counterexamples; where a test promises a number of cases, these are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random

from spanbench.point import DTYPE_BYTES, Point
from tests.oracle.points import tiny_point

__all__ = ["kinds", "seeded_ids", "seeded_point"]

LONGEST_SPAN = 9
MOST_SPANS = 6


def seeded_point(seed: int) -> Point:
    """Return a tiny point stretched: any dtype, one to four prompts, spans of up to 9 tokens, and of those up to 6 and a rest."""
    random, point = Random(seed), tiny_point(seed)  # noqa: S311 - sizes of a test, not a secret
    shape, span = point.shape, point.span
    if shape.pool != "lookup":  # a look-up's span divides the mixer's width, so it stays
        span = random.randint(1, LONGEST_SPAN)
        shape = replace(shape, carry=random.choice((0, random.randint(0, span), span)) if shape.decoder.layers else 0)
    spans = random.randint(0, MOST_SPANS)
    tokens = max(1, spans * span + random.choice((0, random.randrange(span), random.randrange(span))))
    return replace(point, shape=shape, span=span, tokens=tokens, batch=random.randint(1, 4), dtype=random.choice(sorted(DTYPE_BYTES)))


def seeded_ids(point: Point) -> list[list[int]]:
    """Return the point's ids (B x N), the same for the same seed; in so small a vocabulary many repeat."""
    random = Random(point.seed)  # noqa: S311 - ids of a test, not a secret
    return [[random.randrange(point.shape.vocab) for _ in range(point.tokens)] for _ in range(point.batch)]


def kinds(points: Iterable[Point]) -> Counter[str]:
    """Return how many of some points are of each kind: what a proof by examples must say of itself."""
    return Counter(kind for point in points for kind in _kinds(point))


def _kinds(point: Point) -> Iterator[str]:
    shape, windows = point.shape, point.windows
    stacks = {"token": shape.token, "encoder": shape.encoder, "mixer": shape.mixer, "decoder": shape.decoder}
    options = {
        "gated": shape.gated,
        "cross-attention": shape.cross_attention,
        "carry": 0 < shape.carry < point.span,
        "carry of a whole span": shape.carry == point.span,
        "batch": point.batch > 1,
        "ragged": windows.open > 0 and windows.complete > 0,
        "no complete span": not windows.complete,
        "span of one": point.span == 1,
        "grouped keys": any(stack.layers and stack.kv_heads < stack.heads for stack in stacks.values()),
    }
    yield from (name for name, has in options.items() if has)
    yield from (f"no {part} layers" for part, stack in stacks.items() if not stack.layers)
    yield f"pool {shape.pool}"
    yield point.dtype
