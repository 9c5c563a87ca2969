"""Named sizes, named ways to spend them on a latent model, and overrides of both.

A preset fixes the dense arm; an allocation scales the latent arm's parts with it (the MLP ratio and the
head width are kept). `resolve` turns names and overrides into a `Shape`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from spanbench.errors import UsageError, suggest
from spanbench.point import POOLS, Pool, Shape, Stack, check_choice

__all__ = [
    "ALLOCATIONS",
    "DEFAULT_ALLOCATION",
    "DEFAULT_PRESET",
    "PRESETS",
    "Base",
    "changes",
    "check_override",
    "override_keys",
    "resolve",
]

DEFAULT_PRESET = "small"
DEFAULT_ALLOCATION = "lean"


@dataclass(frozen=True, slots=True)
class Base:
    """Sizes of the dense arm: L, D, F, E, V, G (`kv_heads`, 0 = one a head) and whether the MLP is gated."""

    layers: int
    width: int
    mlp: int
    head_width: int
    vocab: int
    gated: bool = False
    kv_heads: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """An allocation worked out for one base: layers and width of each part, pool and prefix slots."""

    encoder: tuple[int, int]
    mixer: tuple[int, int]
    decoder: tuple[int, int]
    pool: Pool
    prefix: int


PRESETS: Mapping[str, Base] = {
    "tiny": Base(2, 64, 256, 16, 257),
    "small": Base(8, 512, 2048, 64, 257),
    "gpt2": Base(12, 768, 3072, 64, 50257),
    "llama-7b": Base(32, 4096, 11008, 128, 32000, gated=True),
    "document": Base(32, 4096, 16384, 128, 32000),
}

MOST_LAYERS = 10_000
MOST_WIDTH = 2**24

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")

LOOKUP_WIDTH = 0  # the width Z / S of a look-up embedding is known only once the span is


def _mixer_only(b: Base) -> Plan:
    return Plan((0, LOOKUP_WIDTH), (b.layers, b.width), (0, b.width), "lookup", 1)


def _lean(b: Base) -> Plan:
    return Plan((2, b.width // 4), (b.layers, b.width), (4, b.width // 4), "concat", 2)


def _megabyte(b: Base) -> Plan:
    half = b.width // 2
    return Plan((0, half), (b.layers, b.width), (max(1, 3 * b.layers // 8), half), "concat", 1)


def _block(b: Base) -> Plan:
    half = max(1, b.layers // 2)
    return Plan((0, LOOKUP_WIDTH), (half, b.width), (half, b.width), "lookup", 2)


ALLOCATIONS: Mapping[str, Callable[[Base], Plan]] = {
    "mixer-only": _mixer_only,
    "lean": _lean,
    "megabyte": _megabyte,
    "block": _block,
}

_PARTS = ("encoder", "mixer", "decoder")
_BASE_KEYS: Mapping[str, type] = {
    "layers": int, "width": int, "mlp": int, "heads": int, "head_width": int, "vocab": int, "kv_heads": int, "gated": bool,
}  # fmt: skip
_LATENT_KEYS: Mapping[str, type] = {"pool": str, "prefix": int, "carry": int, "cross_attention": bool}
_PART_KEYS: Mapping[str, type] = {"layers": int, "width": int, "mlp": int, "kv_heads": int}


def override_keys() -> dict[str, type]:
    """Return every key that `--set` and a TOML file's [shape] table take, with the type of its value."""
    parts = {f"{part}.{key}": kind for part in _PARTS for key, kind in _PART_KEYS.items()}
    return {**_BASE_KEYS, **_LATENT_KEYS, **parts}


def resolve(preset: str, allocation: str, overrides: Mapping[str, Any], span: int) -> Shape:
    """Return the shape of both arms for names, overrides (see `override_keys`) and a span S.

    Raises:
        UsageError: an unknown name or key, or sizes that do not fit together.
    """
    if preset not in PRESETS:
        raise UsageError(f"preset: unknown value {preset!r}{suggest(preset, PRESETS)}")
    if allocation not in ALLOCATIONS:
        raise UsageError(f"allocation: unknown value {allocation!r}{suggest(allocation, ALLOCATIONS)}")
    values = {key: check_override(key, value) for key, value in overrides.items()}
    try:
        return _resolved(PRESETS[preset], ALLOCATIONS[allocation], values, span)
    except UsageError as error:
        given = ", ".join(f"{key}={value}" for key, value in values.items())
        raise UsageError(f"--set {given}: {error}" if given else f"{error}") from None


def changes(preset: str, allocation: str, shape: Mapping[str, Any], span: int) -> list[str]:
    """Return the sizes of a shape (as JSON) that its preset and allocation do not have, as 'mixer.layers=6'.

    Nothing where the names are not known here (a record of another version) or do not fit this span.
    """
    try:
        named = asdict(resolve(preset, allocation, {}, span))
    except UsageError:
        return []
    before, now = _leaves(named), _leaves(shape)
    return [f"{key}={value}" for key, value in now.items() if before.get(key) != value]


def _leaves(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a shape to its sizes; a part without layers has no heads and no MLP to speak of."""
    leaves: dict[str, Any] = {}
    for key, value in shape.items():
        if isinstance(value, Mapping):
            used = value if value.get("layers") else {name: value.get(name) for name in ("layers", "width")}
            leaves |= {f"{key}.{name}": size for name, size in used.items()}
        else:
            leaves[key] = value
    return leaves


def _resolved(base: Base, allocation: Callable[[Base], Plan], values: Mapping[str, Any], span: int) -> Shape:
    base = _base(base, values)
    plan = _replan(allocation(base), base, values, span)
    shape = _shape(base, plan, values)
    shape.check(span)
    return shape


def check_override(key: str, value: Any, where: str = "--set") -> Any:
    """Check an override's key, bring its value to the key's type (on a command line it is text), and check its range.

    Raises:
        UsageError: what is wrong, and `where` it was given.
    """
    keys = override_keys()
    if key not in keys:
        raise UsageError(f"{where}: unknown key {key!r}{suggest(key, keys)}")
    typed = _typed(keys[key], value)
    if typed is None:
        wanted = {int: "a whole number", bool: "true or false", str: "a name"}[keys[key]]
        raise UsageError(f"{where} {key}={value}: must be {wanted}")
    if key == "pool":
        check_choice(f"{where} pool", typed, POOLS)
    if keys[key] is int:
        _check_range(key, typed, where)
    return typed


def _typed(kind: type, value: Any) -> Any:
    """Return a value as of `kind`, or None where it is not one."""
    if kind is bool and isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    if kind is int and isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    return value if type(value) is kind else None


def _check_range(key: str, value: int, where: str) -> None:
    """Refuse a size no model has: more layers than `MOST_LAYERS` would take hours to build, larger sizes overflow torch's own."""
    least = 0 if key.endswith("layers") or key == "carry" else 1
    most = MOST_LAYERS if key.endswith("layers") else MOST_WIDTH
    if not least <= value <= most:
        raise UsageError(f"{where} {key}={value}: must lie between {least} and {most}")


def _base(base: Base, values: Mapping[str, Any]) -> Base:
    changed = {key: values[key] for key in _BASE_KEYS if key in values and key != "heads"}
    if "width" in changed and "mlp" not in changed:
        changed["mlp"] = _scaled(base.mlp, changed["width"], base.width, "mlp")
    base = replace(base, **changed)
    return _with_heads(base, values["heads"], "head_width" in values) if "heads" in values else base


def _with_heads(base: Base, heads: int, head_width_given: bool) -> Base:
    if base.width % heads:
        raise UsageError(f"{heads} heads do not divide the width {base.width}")
    if head_width_given and base.head_width * heads != base.width:
        raise UsageError(
            f"{heads} heads of {base.head_width} make {base.head_width * heads}, and the width is {base.width}; set one of the two"
        )
    return replace(base, head_width=base.width // heads)


def _scaled(value: int, numerator: int, denominator: int, name: str) -> int:
    """Scale a size and keep it whole: a rounded size would break the stated ratio without a word."""
    if value * numerator % denominator:
        raise UsageError(f"{name}: {value} × {numerator} / {denominator} is not whole; set {name} yourself")
    return value * numerator // denominator


def _replan(plan: Plan, base: Base, values: Mapping[str, Any], span: int) -> Plan:
    """Apply the overrides of the latent arm; the width of a look-up follows from mixer width and span."""
    pool = cast(Pool, values.get("pool", plan.pool))
    parts = {
        part: (values.get(f"{part}.layers", layers), values.get(f"{part}.width", width))
        for part, (layers, width) in (("encoder", plan.encoder), ("mixer", plan.mixer), ("decoder", plan.decoder))
    }
    layers, width = parts["encoder"]
    if pool == "lookup":
        _refuse_unused(values)
        layers = values.get("encoder.layers", 0)
        width = values.get("encoder.width", max(1, parts["mixer"][1] // max(span, 1)))
    elif width == LOOKUP_WIDTH:
        width = base.width // 4  # a look-up allocation given another pool: the lean width
    return Plan((layers, width), parts["mixer"], parts["decoder"], pool, values.get("prefix", plan.prefix))


def _refuse_unused(values: Mapping[str, Any]) -> None:
    for key in ("encoder.mlp", "encoder.kv_heads"):
        if key in values:
            raise UsageError(f"pool 'lookup' has no encoder layers, so {key} sets nothing; leave it out or take another pool")


def _shape(base: Base, plan: Plan, values: Mapping[str, Any]) -> Shape:
    lookup = plan.pool == "lookup"
    return Shape(
        vocab=base.vocab,
        gated=base.gated,
        token=_stack("token", base, base.layers, base.width, {}),
        encoder=Stack(*plan.encoder, mlp=1, heads=1, kv_heads=1) if lookup else _stack("encoder", base, *plan.encoder, values),
        mixer=_stack("mixer", base, *plan.mixer, values),
        decoder=_stack("decoder", base, *plan.decoder, values),
        pool=plan.pool,
        prefix=plan.prefix,
        carry=values.get("carry", 0),
        cross_attention=values.get("cross_attention", False),
    )


def _stack(part: str, base: Base, layers: int, width: int, values: Mapping[str, Any]) -> Stack:
    if width % base.head_width:
        raise UsageError(f"{part}: head width {base.head_width} does not divide the width {width}; set head_width or {part}.width")
    heads = width // base.head_width
    mlp = values.get(f"{part}.mlp")
    if mlp is None:
        mlp = _scaled(base.mlp, width, base.width, f"{part}.mlp")
    kv_heads = values.get(f"{part}.kv_heads", _kv_heads(part, base, heads))
    return Stack(layers, width, mlp, heads, kv_heads)


def _kv_heads(part: str, base: Base, heads: int) -> int:
    """Keep the base's query heads a key-value head; a narrow part keeps at least one key-value head."""
    if not base.kv_heads:
        return heads
    all_heads = base.width // base.head_width
    if part == "token":
        return base.kv_heads
    return max(1, heads * base.kv_heads // all_heads)
