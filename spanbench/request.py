"""What a user asked for, from flags and a TOML file, and the point that it means."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from spanbench.errors import UsageError, suggest
from spanbench.point import DTYPE_BYTES, REGIMES, Point, Regime, check_choice
from spanbench.presets import DEFAULT_ALLOCATION, DEFAULT_PRESET, resolve
from spanbench.prompt import Prompt, load_prompt
from spanbench.tally import CONVENTIONS, Convention

__all__ = ["DEFAULT_SPAN", "DEFAULT_TOKENS", "Request", "parse_overrides", "point_of", "read_toml"]

DEFAULT_TOKENS = 2048
DEFAULT_SPAN = 32
DTYPE_ALIASES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "fp64": "float64"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `tokens` None means all of a prompt file, or 2048 of the documents' prompt."""

    preset: str = DEFAULT_PRESET
    allocation: str = DEFAULT_ALLOCATION
    shape: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of the preset's and the allocation's sizes, see `spanbench.presets.override_keys`."""
    tokens: int | None = None
    span: int = DEFAULT_SPAN
    batch: int = 1
    regimes: tuple[str, ...] = REGIMES
    prompt: str | None = None
    tokenizer: str | None = None
    seed: int = 0
    dtype: str = "float32"
    device: str = "cpu"
    convention: str = "dense"

    def with_flags(self, **flags: Any) -> Request:
        """Return the request with every flag that was given (None: not given); shape overrides are merged."""
        given = {key: value for key, value in flags.items() if value is not None}
        shape = {**self.shape, **given.pop("shape", {})}
        return replace(self, shape=shape, **given)


def read_toml(path: str) -> Request:
    """Read a request from a TOML file: top-level keys as the flags are named, sizes in a [shape] table.

    Raises:
        UsageError: a missing or broken file, an unknown key, a value of another type.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"--config {path}: there is no such file; give a TOML file") from None
    except IsADirectoryError:
        raise UsageError(f"--config {path}: is a folder; give a TOML file") from None
    except OSError as error:
        raise UsageError(f"--config {path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: is not TOML ({error})") from None
    shape = _flatten(data.pop("shape", {}), path)
    values = {key: _toml_value(key, value, path) for key, value in data.items()}
    return Request(shape=shape, **values)


def _flatten(table: Any, path: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError(f"--config {path}: shape must be a table, [shape], got {table!r}")
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update({f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value})
    return flat


def _toml_value(key: str, value: Any, path: str) -> Any:
    kinds: dict[str, type] = {"tokens": int, "span": int, "batch": int, "seed": int}
    known = {f.name for f in fields(Request)} - {"shape"}
    if key not in known:
        raise UsageError(f"--config {path}: unknown key {key!r}{suggest(key, known | {'shape'})}")
    if key == "regimes" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    kind = kinds.get(key, str)
    if key == "regimes" or type(value) is not kind:
        wanted = "a list of names" if key == "regimes" else {int: "a whole number", str: "text"}[kind]
        raise UsageError(f"--config {path}: {key} = {value!r} is not {wanted}")
    return value


def parse_overrides(items: list[str]) -> dict[str, str]:
    """Turn 'layers=12' items of --set into a mapping; keys and values are checked where they are used."""
    overrides = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise UsageError(f"--set {item!r}: must be KEY=VALUE, for example layers=12")
        overrides[key.strip()] = value.strip()
    return overrides


def point_of(request: Request) -> tuple[Point, Prompt, Convention]:
    """Check a request from front to back; return its point, its prompt and its convention.

    Raises:
        UsageError: whatever cannot be, in one line.
    """
    for name in ("span", "batch"):
        _at_least_one(name, getattr(request, name))
    if request.tokens is not None:
        _at_least_one("tokens", request.tokens)
    dtype = DTYPE_ALIASES.get(request.dtype, request.dtype)
    check_choice("--dtype", dtype, (*DTYPE_BYTES, *DTYPE_ALIASES))
    check_choice("--convention", request.convention, CONVENTIONS)
    if not request.regimes:
        raise UsageError(f"--regime: no regime given — known: {', '.join(REGIMES)}")
    for regime in request.regimes:
        check_choice("--regime", regime, REGIMES)
    resolve(request.preset, request.allocation, request.shape, request.span)  # refuse a wrong shape before reading a prompt
    tokens = DEFAULT_TOKENS if request.tokens is None and request.prompt is None else request.tokens
    prompt = load_prompt(request.prompt, request.tokenizer, tokens, request.batch)
    point = _point(request, prompt, dtype)
    return point, prompt, cast(Convention, request.convention)


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"--{name} {value}: must be at least 1")


def _point(request: Request, prompt: Prompt, dtype: str) -> Point:
    overrides = dict(request.shape)
    if request.tokenizer is not None:
        overrides.setdefault("vocab", prompt.vocab)  # the head speaks the tokenizer's vocabulary unless told otherwise
    shape = resolve(request.preset, request.allocation, overrides, request.span)
    largest = max(max(row) for row in prompt.ids)
    if largest >= shape.vocab:
        raise UsageError(f"vocab {shape.vocab} is too small: the prompt holds id {largest}; set vocab to at least {prompt.vocab}")
    return Point(
        shape=shape,
        tokens=prompt.tokens,
        span=request.span,
        batch=request.batch,
        regimes=tuple(cast(Regime, regime) for regime in dict.fromkeys(request.regimes)),
        device=request.device,
        dtype=dtype,
        seed=request.seed,
        preset=request.preset,
        allocation=request.allocation,
        tokenizer=prompt.tokenizer,
        prompt=prompt.digest,
    )
