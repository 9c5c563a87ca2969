"""A store opened for a model: the request's latent arm, its text as ids, and the library of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spanbench.errors import UsageError
from spanbench.point import Point
from spanbench.prompt import Prompt, load_tokenizer
from spanbench.request import Request, point_of

if TYPE_CHECKING:
    from spanbench.model.latent import Latent
    from spanbench.store.document import Library

__all__ = ["Read", "library", "read_text"]


@dataclass(frozen=True, slots=True)
class Read:
    """A request's point and the ids of its one text; none where only the model is wanted."""

    point: Point
    prompt: Prompt

    @property
    def ids(self) -> tuple[int, ...]:
        """The text's ids."""
        return self.prompt.ids[0]


def read_text(request: Request, text: str | None, *, built_in: bool = False) -> Read:
    """Read the text of a request: `--text` itself, or `--prompt`; the documents' prompt only where `built_in` allows it.

    Raises:
        UsageError: both or none was given, an empty text, or whatever `point_of` refuses.
    """
    from spanbench.cli.guard import check_device, checked_point

    check_device(request.device)
    if text is None:
        if request.prompt is None and not built_in:
            raise UsageError("no text was given; give --text TEXT, or --prompt FILE")
        point, prompt, _ = checked_point(request)
        return Read(point, prompt)
    if request.prompt is not None:
        raise UsageError(f"--text: does not go with --prompt {request.prompt!r}; give one of them")
    encode, name, vocab = load_tokenizer(request.tokenizer)
    stream = encode(text)
    if not stream:
        raise UsageError("--text '': is empty; give at least one token")
    whole = Prompt((), "--text", name, vocab, len(stream), stream)
    point, prompt, _ = point_of(replace(request, tokens=request.tokens or len(stream)), whole)
    return Read(point, prompt)


@contextmanager
def library(
    folder: str, point: Point, weights: str | None, dtype: str | None, *, state: bool, create: bool, limit: int | None = None
) -> Iterator[Library]:
    """Open a store as the latent arm of a point reads it; the model is built first, so a wrong one leaves no folder.

    Raises:
        UsageError, SpaceMismatch, CorruptStore: what is wrong with the weights, the folder, or what the store holds.
    """
    from spanbench.run.generated import check_speaking_fits
    from spanbench.store.disk import Store
    from spanbench.store.document import Library

    check_speaking_fits(point, ("latent",))
    model = _model(point, weights)
    with Store.open(Path(folder), create=create, limit_bytes=limit) as store:
        yield Library(store, model, dtype or point.dtype, state=state)


def _model(point: Point, weights: str | None) -> Latent:
    from spanbench.model.latent import Latent
    from spanbench.model.pair import build_arm, build_pair

    if weights is None:
        typer.echo(f"Weights are random (seed {point.seed}), and so is what they mean; --weights FILE loads trained ones.", err=True)
        arm = build_arm(point, "latent")
        assert isinstance(arm, Latent)  # noqa: S101  # what 'latent' names
        return arm
    from spanbench.model.weights import check, load

    check(build_pair(point, "meta"), weights)
    pair = build_pair(point)
    load(pair, weights)
    return pair.latent
