"""`spanbench generate`: both arms say something, one after the other."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanbench.cli.options import Format, takes_request, without
from spanbench.cli.output import put
from spanbench.cli.values import completed
from spanbench.errors import UsageError
from spanbench.point import Point, check_choice
from spanbench.prompt import Prompt
from spanbench.request import Request
from spanbench.show.generate import ARMS, heading, rate_line, render_generate, visible

if TYPE_CHECKING:
    from spanbench.model.pair import Model, Pair
    from spanbench.model.speak import Sampler
    from spanbench.run.detokenize import Detokenizer

__all__ = ["generate"]

CHOICES = ("both", *ARMS)
LOWEST_TEMPERATURE = 1e-6
"""Below it logits overflow when they are divided; the likeliest token is then drawn anyway."""


def _temperature(given: str | float) -> float:
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if value != 0 and not (math.isfinite(value) and value >= LOWEST_TEMPERATURE):
        raise UsageError(f"--temperature '{given}': must be 0 (the likeliest token) or a number of at least {LOWEST_TEMPERATURE:g}")
    return value


Arm = Annotated[
    str,
    typer.Option(
        metavar="NAME", autocompletion=completed(CHOICES), show_default=False, help=f"{', '.join(CHOICES)} [default: {CHOICES[0]}]"
    ),
]
Temperature = Annotated[
    float,
    typer.Option(
        metavar="T",
        parser=_temperature,
        show_default=False,
        help="Draw tokens from softmax(logits / T), by --seed [default: 0, the likeliest token]",
    ),
]
Weights = Annotated[
    str | None, typer.Option(metavar="FILE", help="Trained weights of both arms, a safetensors file [default: random weights]")
]


Save = Annotated[
    str | None, typer.Option(metavar="FOLDER", show_default=False, help="Keep each arm's session behind the last token, for --load")
]
Load = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER", show_default=False, help="Go on from sessions of --save, with their options; --prompt is read behind them"
    ),
]
PrefixFolder = Annotated[
    str | None,
    typer.Option(
        "--prefix-cache", metavar="FOLDER", show_default=False, help="Read prompts from their longest kept prefix on, and keep them there"
    ),
]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be said: by which arms of which point, behind which prompt (None: behind what was loaded alone)."""

    request: Request
    point: Point
    prompt: Prompt | None
    arms: tuple[str, ...]
    temperature: float
    weights: str | None
    kept: Kept | None = None


@without(regimes=["request"], convention=None)
@takes_request
def generate(
    context: typer.Context,
    request: Request,
    arm: Arm = CHOICES[0],
    temperature: Temperature = 0.0,
    weights: Weights = None,
    save: Save = None,
    load: Load = None,
    prefix_cache: PrefixFolder = None,
    fmt: Format = "table",
) -> None:
    """Let both models say tokens after the prompt, one step at a time with all caches, and print the text as it is said."""
    check_choice("--arm", arm, CHOICES)
    options = _Options(arm, temperature, weights, copies=2 if save else 0)
    asked = _fresh(request, options) if load is None else _resumed(load, request, options, _given(context))
    folders = _checked_folders(save, load, prefix_cache)
    pair = _pair(asked.point, asked.weights)
    for note in (*_notes(asked), *([request.note] if request.note else [])):
        typer.echo(note, err=True)
    _speak(asked, pair, folders, fmt)
def _pair(point: Point, weights: str | None) -> Pair:
    from spanbench.model.pair import build_pair

    if weights is None:
        return build_pair(point)
    from spanbench.model.weights import check, load

    check(build_pair(point, "meta"), weights)  # a wrong file is refused before weights are drawn, which takes a while
    pair = build_pair(point)
    load(pair, weights)
    return pair


def _notes(point: Point, prompt: Prompt, weights: str | None) -> Iterator[str]:
    if weights is None:
        yield f"Weights are random (seed {point.seed}), and so is the text; --weights FILE loads trained ones."
    if prompt.repeats > 1:
        yield f"The prompt has {prompt.text_tokens:,} tokens and was repeated {prompt.repeats:.1f} times over."
    if point.tokens + point.generate <= point.span:
        yield f"No span of {point.span:,} tokens is ever complete: the latent arm is its decoder alone."


class _Voice:
    """Speaks for one arm after the other; aloud, the first prompt's text is printed as it is said, the others' after it."""

    def __init__(self, prompt: Prompt, sampler: Sampler, make: Callable[[], Detokenizer], *, aloud: bool) -> None:
        self.prompt, self.sampler, self.make, self.aloud = prompt, sampler, make, aloud

    def speak(self, arm: str, model: Model, tokens: int) -> dict[str, Any]:
        """Let an arm speak, and return what it said as plain JSON values."""
        from spanbench.run.generated import speak

        batch = len(self.prompt.ids)
        readers = [self.make() for _ in range(batch)]
        heard: list[list[str]] = []

        def hear(pieces: list[str]) -> None:
            heard.append(pieces)
            self._print(pieces[0])

        self._print(heading(arm, 0, batch))
        said = speak(model, self.prompt.ids, tokens, self.sampler, lambda ids: hear([r.feed(i) for r, i in zip(readers, ids, strict=True)]))
        hear([reader.finish() for reader in readers])
        self._print("\n")
        texts = ["".join(pieces) for pieces in zip(*heard, strict=True)]
        for lane in range(1, batch):
            self._print(f"{heading(arm, lane, batch)}{texts[lane]}\n")
        return said.to_json(texts)

    def _print(self, text: str) -> None:
        if self.aloud and text:
            put(lambda piece, *_: visible(piece), text, "table")


@contextmanager
def _line_ended_by_interrupt(*, aloud: bool) -> Iterator[None]:
    """End the line that is being said before Ctrl-C is answered, which at a terminal clears its own line first."""
    before = signal.getsignal(signal.SIGINT)

    def end_line(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):  # nobody reads it any more
            os.write(1, b"\n")
        if callable(before):
            before(number, frame)

    try:
        if aloud and callable(before):
            signal.signal(signal.SIGINT, end_line)
    except ValueError:  # not the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        if aloud and callable(before):
            signal.signal(signal.SIGINT, before)
