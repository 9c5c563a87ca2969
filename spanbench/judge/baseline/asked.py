"""One point as a baseline asks for it: what a user gave, not what it came to, so that a changed preset is seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from spanbench.errors import UsageError, suggest
from spanbench.point import Regime
from spanbench.presets import check_override
from spanbench.request import DEFAULT_TOKENS, DTYPE_ALIASES, Request, read_toml

__all__ = ["LARGEST", "REGIMES", "Asked", "asked_of", "canonical"]

REGIMES: tuple[Regime, ...] = ("score", "prefill", "decode")
"""What a baseline counts unless it is told otherwise."""

_TEXTS = ("preset", "allocation", "dtype", "config")
_WHOLES = ("tokens", "span", "batch", "generate")
LARGEST = 2**24
"""Of any whole number of a point: the ids of a longer prompt do not fit in memory, and a number that slipped is told at once."""
_KEYS = (*_TEXTS, *_WHOLES, "regimes", "set")
_ALWAYS = ("preset", "allocation", "tokens", "span")
_UNUSED = ("prompt", "tokenizer")


def canonical(plain: Any) -> str:
    """Return JSON in the one form of a baseline: sorted keys, no spaces, ASCII."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The keys that were given; without a config also the preset, the allocation, the tokens and the span, given or not.

    Keys: `preset`, `allocation`, `tokens`, `span`, `batch`, `generate`, `dtype`, `regimes`, `set` (sizes), and `config`, the
    path of a TOML file from the baseline's folder, which is read anew at every check for all that is not named beside it.
    """

    given: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What makes two points the same."""
        return canonical(self.given)

    @property
    def order(self) -> tuple[str, str, str, int, int, str]:
        """Where the point stands in the file."""
        names = [str(self.given.get(key, "")) for key in ("config", "preset", "allocation")]
        tokens, span = (int(self.given.get(key, 0)) for key in ("tokens", "span"))
        return (names[0], names[1], names[2], tokens, span, self.key)

    @property
    def regimes(self) -> tuple[Regime, ...]:
        """The regimes that are counted."""
        return tuple(self.given.get("regimes", REGIMES))

    @property
    def name(self) -> str:
        """The point as a reader knows it, as `document lean, 2048 tokens in spans of 32`."""
        return ", ".join(part for part in (self._model, self._prompt, *self._rest) if part)

    @property
    def _model(self) -> str:
        return " ".join(str(self.given[key]) for key in ("config", "preset", "allocation") if key in self.given)

    @property
    def _prompt(self) -> str:
        tokens, span = (self.given.get(key) for key in ("tokens", "span"))
        in_spans = f"spans of {span}" if span is not None else ""
        return (
            f"{tokens} tokens in {in_spans}" if tokens is not None and in_spans else f"{tokens} tokens" if tokens is not None else in_spans
        )

    @property
    def _rest(self) -> list[str]:
        told = {"batch": "batch {}", "generate": "{} said", "dtype": "{}"}
        sizes = [f"{key}={_text(value)}" for key, value in sorted(self.given.get("set", {}).items())]
        regimes = ["+".join(self.given["regimes"])] if "regimes" in self.given else []
        return [text.format(self.given[key]) for key, text in told.items() if key in self.given] + sizes + regimes

    def request(self, folder: Path, convention: str) -> Request:
        """Return the request as today's presets and config make it; `folder` is the baseline's.

        Raises:
            UsageError: the config cannot be read, or asks for what a baseline has no use for.
        """
        config = self.given.get("config")
        base = Request() if config is None else read_toml(str(folder / config))
        for key in _UNUSED:
            if getattr(base, key) is not None:
                raise UsageError(f"{config}: {key} = {getattr(base, key)!r}: a baseline counts the built-in prompt; leave it out")
        flags = {key: value for key, value in self.given.items() if key not in {"config", "regimes", "set"}}
        request = base.with_flags(**flags, shape=dict(self.given.get("set", {})))
        if request.largest:
            raise UsageError("batch 'max': depends on the machine's memory; a baseline needs a number")
        return replace(request, regimes=self.regimes, convention=convention, seed=0, device="cpu")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def asked_of(plain: Any) -> Asked:
    """Check the keys of a point and return it in its one form: nothing that is only a default, whatever was written.

    Raises:
        UsageError: no object, an unknown key, a value of another type.
    """
    if not isinstance(plain, dict):
        raise UsageError(f"a point must be an object, got {plain!r}")
    given = {key: _checked(key, value) for key, value in plain.items()}
    defaults: dict[str, Any] = {"regimes": list(REGIMES), "set": {}}
    if "config" not in given:  # with a config a value given is a value that wins over it
        request = Request()
        defaults |= {"batch": request.batch, "generate": request.generate, "dtype": request.dtype}
        always = {key: getattr(request, key) for key in _ALWAYS} | {"tokens": DEFAULT_TOKENS}
        given = always | given
    return Asked({key: value for key, value in sorted(given.items()) if key not in defaults or value != defaults[key]})


def _checked(key: str, value: Any) -> Any:
    if key not in _KEYS:
        raise UsageError(f"unknown key {key!r} of a point{suggest(key, _KEYS)}")
    if key == "set":
        return _sizes(value)
    if not _is_right(key, value):
        wanted = "text" if key in _TEXTS else "a list of names" if key == "regimes" else "a whole number"
        raise UsageError(f"{key} = {value!r} is not {wanted}")
    if key in _WHOLES and not 1 <= value <= LARGEST:
        raise UsageError(f"{key} = {_short(value)} lies outside 1 to {LARGEST:,}")
    return _in_one_form(key, value)


def _short(value: int) -> str:
    return f"{value:,}" if len(str(value)) < 30 else f"a number of {len(str(value)):,} digits"


def _is_right(key: str, value: Any) -> bool:
    if key == "regimes":
        return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)
    return type(value) is (str if key in _TEXTS else int)  # True is an int to Python


def _in_one_form(key: str, value: Any) -> Any:
    if key == "dtype":
        return DTYPE_ALIASES.get(value, value)
    return list(dict.fromkeys(value)) if key == "regimes" else value


def _sizes(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"set = {value!r} is not an object of sizes")
    return {key: check_override(key, size, "set") for key, size in sorted(cast(dict[str, Any], value).items())}
