"""Records by what their figures are of: what the places of figures say is found once a group, not once a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from spanbench.show.report.reading.digest import Digest
from spanbench.show.report.reading.figures import Place

__all__ = ["Alike", "groups_of", "said_in"]


@dataclass(frozen=True, slots=True)
class Alike:
    """Records with figures of the same places, and with answers of the same length, each with its place in the section."""

    places: tuple[Place, ...]
    generate: int
    records: list[tuple[int, Digest]] = field(default_factory=list)


def groups_of(digests: Sequence[Digest]) -> list[Alike]:
    """Return the groups of a section's sorted records, in the order of each group's first."""
    found: dict[tuple[tuple[Place, ...], int], Alike] = {}
    for order, record in enumerate(digests):
        key = record.figures.places, int(record.point["generate"])
        if key not in found:
            found[key] = Alike(*key)
        found[key].records.append((order, record))
    return list(found.values())


def said_in(regime: str, generate: int) -> int | None:
    """Return how many tokens a figure of a regime says; only a request says any."""
    return generate if regime == "request" else None
