"""`spanbench generate`: both arms say something, one after the other."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanbench.cli.options import Format, takes_request, without
from spanbench.cli.output import put
from spanbench.cli.speaking import Asked, Options, asked_of, given_options
from spanbench.cli.values import completed
from spanbench.errors import SpanbenchError, UsageError
from spanbench.point import Point, check_choice
from spanbench.request import Request
from spanbench.show.generate import ARMS, heading, render_generate, told_lines, visible

if TYPE_CHECKING:
    from spanbench.model.pair import Model, Pair
    from spanbench.run.detokenize import Detokenizer
    from spanbench.run.generated import Begin
    from spanbench.run.resumed import Beginning, KeptSampler, Saving

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
    asked = asked_of(request, Options(arm, temperature, weights, save, load, prefix_cache), given_options(context))
    pair = _pair(asked.point, asked.weights)
    for note in asked.notes():
        typer.echo(note, err=True)
    with _line_ended_by_interrupt(aloud=fmt == "table"):
        document, failure = _say(asked, pair, save, _beginning(asked, load, prefix_cache), aloud=fmt == "table")
    if fmt != "table":
        put(render_generate, document, fmt)
    for line in told_lines(document):
        typer.echo(line, err=True)
    if failure is not None:
        raise failure


def _pair(point: Point, weights: str | None) -> Pair:
    from spanbench.model.pair import build_pair

    if weights is None:
        return build_pair(point)
    from spanbench.model.weights import check, load

    check(build_pair(point, "meta"), weights)  # a wrong file is refused before weights are drawn, which takes a while
    pair = build_pair(point)
    load(pair, weights)
    return pair


def _beginning(asked: Asked, load: str | None, prefix_cache: str | None) -> Beginning:
    """Return what the arms begin with: kept sessions, kept prefixes, or the prompt alone."""
    from spanbench.run.resumed import Anew, Loading, Prefixes

    behind = asked.prompt.ids if asked.prompt is not None else ()
    if load is not None and asked.kept is not None:
        return Loading(load, asked.kept, behind)
    return Anew(behind) if prefix_cache is None else Prefixes(prefix_cache, behind)


def _say(asked: Asked, pair: Pair, save: str | None, beginning: Beginning, *, aloud: bool) -> tuple[dict[str, Any], SpanbenchError | None]:
    """Let the arms speak one after the other, and keep them where asked to; a failure to keep them is told after what they said."""
    from spanbench.run.detokenize import detokenizers
    from spanbench.run.resumed import Saving, recipe_of

    voice = _Voice(asked, beginning, detokenizers(asked.request.tokenizer), aloud=aloud)
    speakers = [_Speaker.of(arm, pair.arms()[arm], asked, beginning) for arm in asked.arms]  # what was kept is checked before one speaks
    recipe = recipe_of(asked.request, asked.point, asked.temperature, asked.weights)
    saving = None if save is None else Saving(save, recipe, asked.point.to_json())
    with saving or nullcontext():
        for speaker in speakers:
            voice.speak(speaker, saving)
        if saving is not None:
            saving.commit()
    document = {**voice.said, "point": asked.point.to_json(), "temperature": asked.temperature, "weights": asked.weights or "random"}
    told = {arm: beginning.told(arm, asked.point) for arm in asked.arms}
    document |= {beginning.kind: {"folder": beginning.folder, **told}} if beginning.kind else {}
    return (document, None) if saving is None else (document | saving.told(), saving.failure)


@dataclass(frozen=True, slots=True)
class _Speaker:
    """An arm that is ready to speak: how it begins, and its own source of chance."""

    arm: str
    model: Model
    begin: Begin
    sampler: KeptSampler

    @classmethod
    def of(cls, arm: str, model: Model, asked: Asked, beginning: Beginning) -> _Speaker:
        """Make an arm ready."""
        from spanbench.run.resumed import KeptSampler

        sampler = beginning.sampler(arm, model, KeptSampler(asked.temperature, asked.point.seed))
        return cls(arm, model, beginning.begin(arm, model, asked.point.generate), sampler)


class _Voice:
    """Speaks for one arm after the other; aloud, the first prompt's text is printed as it is said, the others' after it."""

    def __init__(self, asked: Asked, beginning: Beginning, make: Callable[[], Detokenizer], *, aloud: bool) -> None:
        self.asked, self.beginning, self.make, self.aloud = asked, beginning, make, aloud
        self.said: dict[str, dict[str, Any]] = {}

    def speak(self, by: _Speaker, saving: Saving | None) -> None:
        """Let an arm speak, have it kept, and note what it said as plain JSON values; its session is forgotten then."""
        from spanbench.run.generated import speak_from

        batch, tokens = self.asked.point.batch, self.asked.point.generate
        readers = [self._reader(ids) for ids in self.beginning.said_before(by.arm, batch)]
        heard: list[list[str]] = []

        def hear(pieces: list[str]) -> None:
            heard.append(pieces)
            self._print(pieces[0])

        self._print(heading(by.arm, 0, batch))
        said, session = speak_from(
            by.model,
            by.begin,
            tokens,
            by.sampler,
            lambda ids: hear([r.feed(i) for r, i in zip(readers, ids, strict=True)]),
            warm=self.beginning.warm,
        )
        hear([reader.finish() for reader in readers])
        self._print("\n")
        texts = ["".join(pieces) for pieces in zip(*heard, strict=True)]
        for lane in range(1, batch):
            self._print(f"{heading(by.arm, lane, batch)}{texts[lane]}\n")
        self.said[by.arm] = said.to_json(texts)
        if saving is not None:
            saving.keep(by.arm, by.model, session, said, by.sampler)

    def _reader(self, before: Sequence[int]) -> Detokenizer:
        """Return the reader of one text; it has read what was said before."""
        reader = self.make()
        for token in before:
            reader.feed(token)
        return reader

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
