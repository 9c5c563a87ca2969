"""Points on which every planted error must show: few and tiny, all sizes different, every option in one of them."""

from __future__ import annotations

from dataclasses import asdict
from types import ModuleType
from typing import Any

from spanbench.point import Point, Shape, Stack

_TOKEN = Stack(layers=2, width=16, mlp=24, heads=4, kv_heads=2)
_ENCODER = Stack(layers=1, width=8, mlp=10, heads=4, kv_heads=2)
_MIXER = Stack(layers=2, width=24, mlp=14, heads=2, kv_heads=1)
_DECODER = Stack(layers=2, width=12, mlp=18, heads=6, kv_heads=3)


def _shape(**changes: Any) -> Shape:
    stacks = {"token": _TOKEN, "encoder": _ENCODER, "mixer": _MIXER, "decoder": _DECODER}
    plain: dict[str, Any] = stacks | {"vocab": 29, "gated": False, "pool": "concat", "prefix": 2}
    return Shape(**plain | changes)


# The first two together have nearly every option and find nearly every error.
POINTS = (
    Point(_shape(gated=True, carry=2), tokens=15, span=4, batch=2),
    Point(_shape(pool="mean", cross_attention=True, carry=1, prefix=3), tokens=13, span=3, batch=2, dtype="bfloat16"),
    Point(_shape(pool="attention", prefix=1), tokens=12, span=4),
    Point(_shape(cross_attention=True), tokens=3, span=4, batch=2),
    Point(_shape(pool="lookup", encoder=Stack(0, 6, 1, 1, 1), decoder=Stack(0, 12, 18, 6, 3)), tokens=10, span=4, batch=2),
    Point(_shape(carry=1), tokens=2, span=3),
)


def rebuilt(plain: Point, module: ModuleType) -> Any:
    """Return the same point made of another module's classes."""
    values = asdict(plain)
    shape = values.pop("shape")
    stacks = {part: module.Stack(**shape.pop(part)) for part in ("token", "encoder", "mixer", "decoder")}
    return module.Point(shape=module.Shape(**shape, **stacks), **values)
