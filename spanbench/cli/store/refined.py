"""`spanbench store edit --refine`: extra mixer passes over a document, each over the outputs of the one before."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from spanbench.cli.output import put
from spanbench.cli.store.opened import library, read_text
from spanbench.errors import UsageError
from spanbench.request import Request
from spanbench.show.store import render_refine

if TYPE_CHECKING:
    from spanbench.point import Point
    from spanbench.store.document import Library

__all__ = ["refine"]


def refine(request: Request, store: str, doc: str, passes: int, weights: str | None, kept: str | None, fmt: str) -> None:
    """Store the mixer rows of extra passes, and tell which had to be computed.

    Raises:
        UsageError: fewer than one pass, or no complete span.
        MissingLatents, SpaceMismatch: the store has not what is to be mixed, or another mixer's rows.
    """
    if passes < 1:
        raise UsageError(f"--refine {passes}: must be at least 1 extra pass")
    point = read_text(replace(request, tokens=1), None, built_in=True).point
    with library(store, point, weights, kept, state=False, create=False) as held:
        there = _held(held, doc, passes)
        done = held.refine(doc, passes)
        put(render_refine, _told(store, doc, point, held, there, done), fmt)


def _held(library: Library, doc: str, passes: int) -> list[int]:
    """Return how many rows are stored from the first span on, for the first pass and each extra one."""
    from spanbench.store.keys import chain_keys

    ids = library.manifest(doc).ids
    chains = (chain_keys(ids, library.model.span, number) for number in range(passes + 1))
    return [sum(1 for _ in takewhile(bool, library.store.has(library.state_space, keys))) for keys in chains]


def _told(store: str, doc: str, point: Point, library: Library, there: list[int], done: int) -> dict[str, Any]:
    from spanbench.count.reuse.extension import mixing

    def flops(begins: list[int]) -> int:
        return sum(mixing(point, begin, held.spans).flops("dense") for begin in begins if begin < held.spans)

    held = library.manifest(doc)
    return {
        "store": store,
        "document": doc,
        "operation": "refine",
        "tokens": len(held.ids),
        "spans": held.spans,
        "open": held.open,
        "passes": held.passes,
        "rows": held.spans * (held.passes + 1),
        "mixed": done,
        "flops_mixer": flops(there),
        "flops_mixer_anew": flops([0] * len(there)),
        "dtype": library.dtype,
        "point": point.to_json(),
    }
