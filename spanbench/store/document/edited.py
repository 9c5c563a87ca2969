"""What writing or editing a document cost."""

from __future__ import annotations

from dataclasses import dataclass

from spanbench.store.document.encoding import Sorted
from spanbench.store.document.narrow import Narrowed

__all__ = ["Edited", "edited"]


@dataclass(frozen=True, slots=True)
class Edited:
    """What writing or editing a document cost; spans = kept + found + encoded."""

    spans: int
    """K, the complete spans of the text as it is now."""
    open: int
    """Tokens of the span that is not complete: ids only."""
    kept: int
    """Spans that stand where they stood."""
    found: int
    """Spans whose latent was found by content: shifted, of another document, or equal to one before them."""
    encoded: int
    """Spans that the encoder ran on."""
    mixed: int
    """Mixer rows that were computed; 0 where no state is kept, and a session mixes all K rows each time it is opened."""
    behind: int
    """Mixer rows from the first span on that changed: those that whoever keeps mixer state must compute again."""
    dropped: int
    """Spans of the old text whose content the new one has no more; their records stay until they are evicted."""
    narrowed: Narrowed
    """Reconstruction error of what was encoded now."""


def edited(spans: Sorted, opened: int, lost: Narrowed, mixed: int) -> Edited:
    """Put together what was done for the spans of a text."""
    encoded, count = len(spans.encode), len(spans.keys)
    return Edited(
        spans=count,
        open=opened,
        kept=spans.kept,
        found=count - spans.kept - encoded,
        encoded=encoded,
        mixed=mixed,
        behind=count - spans.same,
        dropped=spans.dropped,
        narrowed=lost,
    )
