"""What both versions are asked: the same flags, each on top of its own `--config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from spanbench.errors import UsageError
from spanbench.point import Regime
from spanbench.request import Request, point_of, read_toml

__all__ = ["ARMS", "Asked", "asked_of"]

ARMS = ("token", "latent")

_NOT_FLAGS = {"note", "largest", "shape", "regimes", "prompt", "tokenizer"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to two versions of a project."""

    request: Request
    """The head's, for the names in messages and tables."""
    config: Path | None
    """The head's file, absolute."""
    flags: Mapping[str, Any]
    """Fields of a `Request` that were given as flags, as plain JSON: they win over any file, in both versions."""
    regimes: tuple[Regime, ...]
    arms: tuple[str, ...]

    def job(self, top: Path, own: Path, threads: int | None) -> dict[str, Any]:
        """Return what the worker of the version in folder `own` is sent; `top` is the head's folder."""
        config = self.config
        if config is not None and config.is_relative_to(top):
            config = own / config.relative_to(top)
        return {
            "config": None if config is None else str(config),
            "flags": dict(self.flags),
            "regimes": list(self.regimes),
            "arms": list(self.arms),
            "threads": threads,
        }


def asked_of(request: Request, config: str | None = None, arm: str | None = None) -> Asked:
    """Return the question behind a head's request: whatever its file does not say was a flag.

    A prompt or a tokenizer is an input and not part of the project: both versions read the same file. `decode_worst` is left
    out, as its step is one of decode's.

    Raises:
        UsageError: no regime is left, an arm is unknown, or the prompt comes from standard input.
    """
    if arm is not None and arm not in ARMS:
        raise UsageError(f"--arm: unknown value {arm!r} — known: {', '.join(ARMS)}")
    if request.prompt == "-":
        raise UsageError("--against: standard input can be read only once, and two versions need the prompt; give --prompt a file")
    point, _, _ = point_of(request)
    regimes = tuple(regime for regime in point.regimes if regime != "decode_worst")
    if not regimes:
        raise UsageError("--against: decode_worst is not timed by itself; take --regime decode, which has its step")
    flags = {**_flags(request, read_toml(config) if config is not None else Request()), "regimes": list(regimes)}
    return Asked(request, None if config is None else Path(config).resolve(), flags, regimes, (arm,) if arm else ARMS)


def _flags(request: Request, file: Request) -> dict[str, Any]:
    """Return what a request says beyond its file."""
    names = [field.name for field in fields(Request) if field.name not in _NOT_FLAGS]
    flags = {name: getattr(request, name) for name in names if getattr(request, name) != getattr(file, name)}
    if file.largest:
        flags["batch"] = request.batch  # the one that was found for the head; two batches would be two questions
    shape = {key: value for key, value in request.shape.items() if file.shape.get(key) != value}
    inputs = {name: str(Path(path).resolve()) for name in ("prompt", "tokenizer") if (path := getattr(request, name)) is not None}
    return flags | ({"shape": shape} if shape else {}) | inputs
