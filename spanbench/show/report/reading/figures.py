"""The figures that a report keeps of a record, in columns: thousands of records share what their figures are of.

A dictionary a figure would be most of a large report's memory, and most of what goes from one process to another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

__all__ = ["Figures", "Number", "Place"]

Number = int | float | None

_FIELDS = ("arm", "regime", "stage", "quantity", "unit", "source", "by", "reason")
_place, _value, _low, _high = itemgetter(*_FIELDS), itemgetter("value"), itemgetter("low"), itemgetter("high")


class Place(NamedTuple):
    """What a figure is of, and who gave it; `reason` says why it is null."""

    arm: str
    regime: str
    stage: str
    quantity: str
    unit: str
    source: str
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one record; the columns are equally long."""

    places: tuple[Place, ...]
    values: tuple[Number, ...]
    lows: tuple[Number, ...]
    highs: tuple[Number, ...]

    @classmethod
    def of(cls, measures: Sequence[Mapping[str, Any]]) -> Figures:
        """Return the columns of measures as plain JSON."""
        places = _shared(tuple(map(_place, measures)))
        return cls(places, tuple(map(_value, measures)), tuple(map(_low, measures)), tuple(map(_high, measures)))


@lru_cache(maxsize=4096)
def _shared(places: tuple[tuple[Any, ...], ...]) -> tuple[Place, ...]:
    """Return the places, the same object for all records that have the same."""
    return tuple(map(Place._make, places))
