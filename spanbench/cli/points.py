"""Other points that a view sets beside the one that was asked for, counted only, on the same text."""

from __future__ import annotations

from dataclasses import replace

from spanbench import run
from spanbench.errors import UsageError
from spanbench.presets import PRESETS
from spanbench.prompt import Prompt
from spanbench.record import Record
from spanbench.request import Request, point_of

__all__ = ["counted", "document_scale", "doubled"]


def counted(request: Request, read: Prompt | None = None) -> Record:
    """Count the point of a request and return its record; `read` is its prompt where that was read before."""
    point, prompt, convention = point_of(request, read)
    return run.count(point, prompt, convention)


def document_scale(request: Request, read: Prompt) -> tuple[Record | None, str | None]:
    """Return the documents' sizes (none of them changed) on the same ids and span, or why they cannot be built.

    Nothing where that is the point itself.
    """
    if request.preset == "document" and not request.shape:
        return None, None
    shape = {} if request.tokenizer is None else {"vocab": PRESETS["document"].vocab}  # a tokenizer would bring its own
    try:
        return counted(replace(request, preset="document", shape=shape), read), None
    except UsageError as error:  # a look-up whose span does not divide 4096, or ids beyond the vocabulary
        return None, f"The documents' scale is not shown: {error}."


def doubled(request: Request, read: Prompt) -> Record:
    """Return the same point at twice the tokens: how the cost grows."""
    return counted(replace(request, tokens=2 * read.tokens), read)
