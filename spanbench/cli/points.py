"""Other points that a view sets beside the one that was asked for, counted only, on the same text."""

from __future__ import annotations

from dataclasses import replace

from spanbench import run
from spanbench.errors import UsageError
from spanbench.prompt import Prompt
from spanbench.record import Record
from spanbench.request import Request, point_of

__all__ = ["counted", "document_scale", "doubled"]


def counted(request: Request, read: Prompt | None = None) -> Record:
    """Count the point of a request and return its record; `read` is its prompt where that was read before."""
    point, prompt, convention = point_of(request, read)
    return run.count(point, prompt, convention)


def document_scale(request: Request, read: Prompt) -> Record | None:
    """Return the documents' sizes on the same ids and span; None where that is the point itself, or cannot be built."""
    if request.preset == "document" and not request.shape:
        return None
    try:
        return counted(replace(request, preset="document", shape={}), read)
    except UsageError:  # a look-up allocation whose span does not divide 4096
        return None


def doubled(request: Request, read: Prompt) -> Record:
    """Return the same point at twice the tokens: how the cost grows."""
    return counted(replace(request, tokens=2 * read.tokens), read)
