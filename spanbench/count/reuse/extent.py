"""Tokens read after a document: which spans they close, which window they end in, which ids they look up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spanbench.count.distinct import StepRows
from spanbench.point import Point, Windows

__all__ = ["Extent", "extent_rows"]


@dataclass(frozen=True, slots=True)
class Extent:
    """`read` tokens a lane, q ≥ 1, read at once after `before` of them, n ≥ 0 (0: there is no state yet)."""

    point: Point
    before: int
    read: int

    def __post_init__(self) -> None:
        if self.before < 0 or self.read < 1:
            raise ValueError(f"an extension reads at least 1 token after 0 or more, got {self.read} after {self.before}")

    @property
    def whole(self) -> Point:
        """The point of all n + q tokens."""
        return replace(self.point, tokens=self.before + self.read)

    @property
    def windows(self) -> Windows:
        """The windows of all n + q tokens."""
        return self.whole.windows

    @property
    def known(self) -> int:
        """K0 = ⌊n/S⌋, the spans complete before."""
        return self.before // self.point.span

    @property
    def spans(self) -> int:
        """K1 = ⌊(n+q)/S⌋, the spans complete after."""
        return self.windows.complete

    @property
    def closed(self) -> int:
        """The r = K1 - K0 spans that these tokens complete."""
        return self.spans - self.known

    @property
    def open_before(self) -> int:
        """Tokens of the open span before: n mod S."""
        return self.before % self.point.span

    @property
    def carried(self) -> int:
        """Tokens of span K1-1 that a fresh window K1 begins with."""
        return self.point.shape.carry if self.spans else 0

    @property
    def rows_before(self) -> int:
        """Rows that window K0 holds before: P + w·[K0>0] + o0."""
        return self.point.shape.prefix + (self.point.shape.carry if self.known else 0) + self.open_before

    @property
    def token_rows(self) -> int:
        """Rows of the decoder that are tokens, where window K1 is run from its beginning: w·[K1>0] + o1."""
        return self.carried + self.windows.open


def extent_rows(extent: Extent, texts: Sequence[Sequence[int]], *, fresh: bool = False) -> StepRows:
    """Return how many distinct rows each embedding table is asked for; `texts` are all n + q ids of each lane.

    `fresh` runs window K1 from its beginning, whether or not a span was closed (`from_u`).

    Raises:
        ValueError: a text has another length.
    """
    end, span = extent.before + extent.read, extent.point.span
    if any(len(text) != end for text in texts):
        raise ValueError(f"texts must have {end} ids each, got {sorted({len(text) for text in texts})}")
    start = extent.spans * span - extent.carried if fresh or extent.closed else extent.before
    return StepRows(
        token=_count(text[extent.before :] for text in texts),
        encoder=_count(text[extent.known * span : extent.spans * span] for text in texts),
        decoder=_count(text[start:] for text in texts),
    )


def _count(parts: Iterable[Sequence[int]]) -> int:
    return len(set().union(*parts))
