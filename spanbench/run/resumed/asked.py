"""Options beside `--load`: those that were not given are as they were, and one that differs from what was kept is refused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from spanbench.errors import UsageError
from spanbench.presets import resolve
from spanbench.request import DTYPE_ALIASES, Request
from spanbench.run.resumed.kept import Kept, Recipe, digest_of
from spanbench.show.generate import ARMS

__all__ = ["arms_of", "asked_again"]

_SAME = ("preset", "allocation", "span", "seed", "dtype")
_NEVER = {"tokens": "--tokens", "batch": "--batch", "prefix_cache": "--prefix-cache"}


def asked_again(folder: str, kept: Kept, request: Request, given: Collection[str]) -> Request:
    """Return the request that goes on from what was kept: its options, with those that were given.

    Args:
        folder: where it is kept.
        kept: what is.
        request: as it was given; options that were not have their defaults.
        given: the names of the options that were given.

    Raises:
        UsageError: an option that cannot go with it, or is not what it was.
    """
    for name, option in _NEVER.items():
        if name in given:
            raise UsageError(f"{option}: does not go with --load, which goes on with the texts that were kept; leave it out")
    for name in _SAME:
        if name in given:
            _check(folder, name, _value(request, name), getattr(kept.recipe, name))
    _check_sizes(folder, kept.recipe, request, given)
    _check_tokenizer(folder, kept.recipe, request, given)
    chosen: dict[str, Any] = {name: getattr(request, name) for name in ("generate", "device", "tokenizer") if name in given}
    return replace(kept.recipe.request(), prompt=request.prompt, **chosen)


def _value(request: Request, name: str) -> Any:
    value = getattr(request, name)
    return DTYPE_ALIASES.get(value, value) if name == "dtype" else value


def _check(folder: str, name: str, value: Any, was: Any) -> None:
    if value != was:
        raise UsageError(
            f"--{name} {value}: the sessions in {folder!r} were saved with --{name} {was}; leave it out, or read the prompt anew"
        )


def _check_sizes(folder: str, recipe: Recipe, request: Request, given: Collection[str]) -> None:
    if "shape" not in given:
        return
    was, asked = (
        resolve(recipe.preset, recipe.allocation, shape, recipe.span) for shape in (recipe.shape, {**recipe.shape, **request.shape})
    )
    if was != asked:
        sizes = " ".join(f"--set {key}={value}" for key, value in request.shape.items())
        raise UsageError(f"{sizes}: the sessions in {folder!r} were saved with other sizes; leave it out, or read the prompt anew")


def _check_tokenizer(folder: str, recipe: Recipe, request: Request, given: Collection[str]) -> None:
    path = request.tokenizer if "tokenizer" in given else recipe.tokenizer
    digest = digest_of(path)
    if digest is None and path is not None:
        raise UsageError(f"--tokenizer {path!r}: there is no such file; give the one that the sessions in {folder!r} were saved with")
    if digest != recipe.tokenizer_sha256:
        was = "with bytes, without a tokenizer" if recipe.tokenizer is None else f"with another one, {recipe.tokenizer!r}"
        raise UsageError(f"--tokenizer {path!r}: the sessions in {folder!r} were saved {was}; take that")


def arms_of(folder: str, kept: Kept, arm: str | None) -> tuple[str, ...]:
    """Return the arms that go on: those that were asked for; all that were kept where none was.

    Raises:
        UsageError: one of them was not kept.
    """
    held = tuple(name for name in ARMS if name in kept.arms)
    asked = held if arm is None else ARMS if arm == "both" else (arm,)
    if missing := [name for name in asked if name not in held]:
        raise UsageError(f"--arm {arm}: {folder!r} keeps no session of arm {missing[0]}; take --arm {held[0]}, or read the prompt anew")
    return asked
