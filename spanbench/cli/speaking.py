"""What `generate` is asked to say, and from what: a prompt, or sessions that were kept. All of it is checked before any work is done."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spanbench.cli.options import given_flags
from spanbench.errors import UsageError
from spanbench.point import Point
from spanbench.prompt import Prompt
from spanbench.request import Request
from spanbench.show.generate import ARMS

if TYPE_CHECKING:
    from spanbench.run.resumed import Kept

__all__ = ["Asked", "Options", "asked_of", "given_options"]

SAVED_COPIES, CACHED_COPIES = 2, 3
"""Of an arm's caches: a session that is saved is copied, and its bytes are written; with a prefix cache each prompt has its own, too."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `generate` beside those of a request."""

    arm: str
    temperature: float
    weights: str | None
    save: str | None
    load: str | None
    prefix_cache: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is said: by which arms of which point, behind which prompt; None: behind what is loaded alone."""

    request: Request
    point: Point
    prompt: Prompt | None
    arms: tuple[str, ...]
    temperature: float
    weights: str | None
    kept: Kept | None = None

    def notes(self) -> Iterator[str]:
        """Yield what a reader must know of it."""
        if self.weights is None:
            yield f"Weights are random (seed {self.point.seed}), and so is the text; --weights FILE loads trained ones."
        if self.prompt is not None and self.prompt.repeats > 1 and self.kept is None:
            yield f"The prompt has {self.prompt.text_tokens:,} tokens and was repeated {self.prompt.repeats:.1f} times over."
        if self.point.tokens + self.point.generate <= self.point.span:
            yield f"No span of {self.point.span:,} tokens is ever complete: the latent arm is its decoder alone."
        if self.request.note:
            yield self.request.note


def given_options(context: typer.Context) -> set[str]:
    """Return the names of all options that were given, on the command line or in the file of `--config`."""
    given = given_flags(context)
    if config := context.params.get("config"):
        with suppress(OSError, ValueError):  # it was read a moment ago
            names = tomllib.loads(Path(config).read_text(encoding="utf-8"))
            given |= {"regimes" if name == "regime" else name for name in names}
    return given


def asked_of(request: Request, options: Options, given: Collection[str]) -> Asked:
    """Return what is to be said, once everything about it that can be wrong was refused; no model is made before.

    Raises:
        SpanbenchError: what cannot be, in one line.
    """
    asked = _fresh(request, options) if options.load is None else _resumed(options.load, request, options, given)
    from spanbench.run.generated import check_speaking_fits
    from spanbench.run.resumed import check_writable_folder

    copies = SAVED_COPIES if options.save is not None else 0
    check_speaking_fits(asked.point, asked.arms, copies=CACHED_COPIES if options.prefix_cache is not None else copies)
    if options.prefix_cache is not None:
        check_writable_folder("--prefix-cache", options.prefix_cache, own=False)
    if options.save is not None:
        check_writable_folder("--save", options.save, own=True)
    return asked


def _fresh(request: Request, options: Options) -> Asked:
    point, prompt = _checked(request)
    arms = ARMS if options.arm == "both" else (options.arm,)
    return Asked(request, point, prompt, arms, options.temperature, options.weights)


def _resumed(folder: str, request: Request, options: Options, given: Collection[str]) -> Asked:
    from spanbench.run.resumed import arms_of, asked_again, load_kept

    kept = load_kept(folder)
    arms = arms_of(folder, kept, options.arm if "arm" in given else None)
    again = asked_again(folder, kept, request, given)
    read = again.prompt is not None
    # Without a prompt only the models' sizes are wanted: one token of the built-in text stands for it.
    point, prompt = _checked(again if read else replace(again, tokens=1))
    held = kept.tokens + (prompt.tokens if read else 0)
    return Asked(
        again,
        replace(point, tokens=held, prompt=""),  # the ids that were read are not kept, so neither is their hash
        prompt if read else None,
        arms,
        options.temperature if "temperature" in given else kept.recipe.temperature,
        options.weights if "weights" in given else kept.recipe.weights,
        kept,
    )


def _checked(request: Request) -> tuple[Point, Prompt]:
    """Refuse whatever cannot be, before anything is allocated."""
    from spanbench.cli.guard import check_device, checked_point

    if request.generate < 1:
        raise UsageError(f"--generate {request.generate}: must be at least 1")
    # What is said is not held as a prompt is: here only the prompt's ids are checked, below the caches of all tokens.
    point, prompt, _ = checked_point(replace(request, generate=1))
    check_device(point.device)
    return replace(point, generate=request.generate), prompt
