"""Other points that a view sets beside the one that was asked for, counted only."""

from __future__ import annotations

from dataclasses import replace

from spanbench import run
from spanbench.errors import UsageError
from spanbench.record import Record
from spanbench.request import DEFAULT_TOKENS, Request, point_of

__all__ = ["counted", "document_scale", "doubled"]


def counted(request: Request) -> Record:
    """Count the point of a request and return its record."""
    point, prompt, convention = point_of(request)
    return run.count(point, prompt, convention)


def document_scale(request: Request) -> Record | None:
    """Return the documents' sizes on the same tokens and span; None where that is the point itself, or cannot be built."""
    if request.preset == "document" or request.prompt == "-":
        return None
    try:
        return counted(replace(request, preset="document", shape={}))
    except UsageError:  # a look-up allocation whose span does not divide 4096, or ids beyond the vocabulary
        return None


def doubled(request: Request) -> Record | None:
    """Return the same point at twice the tokens: how the cost grows."""
    if request.prompt == "-":
        return None
    point, _, _ = point_of(request)
    return counted(replace(request, tokens=2 * point.tokens))
