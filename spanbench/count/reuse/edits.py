"""Edits of a document that was kept: which spans are encoded and what of the state is made anew, beside the dense arm's KV.

An edit at token p leaves the spans before ⌊p/S⌋ alone. A latent depends on its own span only, so of the spans behind p those
that still hold the same tokens are found by content; mixer rows are contextual, so all from ⌊p/S⌋ on are made anew. A kept
session also holds the open window behind the last row: where that row is made anew, so are the bridge's slots and the window;
an edit in the open span makes the window's rows from there on anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spanbench.count.reuse.extension import encoding, extension
from spanbench.judge.reuse import Edit
from spanbench.point import Point
from spanbench.tally import Convention, total

__all__ = ["edits"]


@dataclass(frozen=True, slots=True)
class _Change:
    """One edit: spans from `first` on change their place or content; `encoded` of them are new ones."""

    name: str
    position: int
    tokens: int
    encoded: int
    first: int


def edits(point: Point, convention: Convention = "dense") -> tuple[Edit, ...]:
    """Return what replacing, appending and inserting cost at the point's N tokens, for tokens that no other span holds."""
    return tuple(_counted(point, change, convention) for change in _changes(point))


def _changes(point: Point) -> Iterator[_Change]:
    span, tokens, spans = point.span, point.tokens, point.windows.complete
    middle = spans // 2 * span
    if spans:
        for name, position in (
            ("replace, first", 0),
            ("replace, middle", middle),
            ("replace, last", spans * span - 1),
        ):
            yield _Change(name, position, tokens, 1, position // span)
    if point.windows.open:
        yield _Change("replace, open span", tokens - 1, tokens, 0, spans)
    yield _Change(f"append {span:,}", tokens, tokens + span, 1, spans)
    if spans:
        yield _Change(f"insert {span:,}, aligned", middle, tokens + span, 1, middle // span)
    if spans and span > 1:
        yield _Change("insert 1, unaligned", middle + 1, tokens + 1, (tokens + 1) // span - middle // span, middle // span)


def _counted(point: Point, change: _Change, convention: Convention) -> Edit:
    spans = change.tokens // point.span
    encoder = encoding(point, change.encoded)
    start = change.first * point.span if spans > change.first else change.position
    behind = extension(point, start, change.tokens - start)["latent"]  # reads the changed spans, of which some were found
    state = total([encoder, *(behind[stage] for stage in ("mixer", "bridge", "decoder"))])
    layers = [extension(point, start, change.tokens - start)["token"]["layers"] for start in (change.position, 0)]
    return Edit(
        change.name,
        change.position,
        change.tokens,
        encoded=change.encoded,
        found=spans - change.encoded,
        mixed=spans - change.first,
        flops_u=encoder.flops(convention),
        flops_state=state.flops(convention),
        flops_kv=layers[0].flops(convention),
        flops_anew=layers[1].flops(convention),
    )
