"""A record's figures computed once more from its schedule, with nothing of spanbench: what the documents say, in plain statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

__all__ = ["Figure", "Schedule"]

T_95 = (math.nan, 12.706204736, 4.302652730, 3.182446305, 2.776445105, 2.570581836, 2.446911851, 2.364624252, 2.306004135, 2.262157163)
"""Student's t at 97.5%, by degrees of freedom, from a table: a run without a pilot has at most ten blocks."""

Slot = tuple[str, float, float | None]
"""Letter, seconds and joules of one forward."""


@dataclass(frozen=True)
class Figure:
    """A value and the ends that stand beside it; all None where the schedule does not hold it."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Schedule:
    """One regime's `environment.schedule`; arm 'token' is A, 'latent' is B."""

    def __init__(self, written: Mapping[str, Any]) -> None:
        self._written = written
        self._watts = [watts for watts in written["rests"] if watts is not None]

    def arm(self, arm: str, quantity: str) -> Figure:
        """Return the median of an arm's slots with the smallest and the largest: of 'seconds', 'joules', 'joules_dynamic'."""
        own = [slot for slot in self._each("slots", "order") if slot[0] == {"token": "A", "latent": "B"}[arm]]
        values = [value for slot in own if (value := self._value(quantity, fmean(self._watts) if self._watts else None)(slot)) is not None]
        return Figure(median(values), min(values), max(values)) if values else Figure()

    def ratio(self, quantity: str, kind: str = "") -> Figure:
        """Return the median over blocks with Student's interval of their mean log-ratio; `kind` 'null' is of the A/A blocks."""
        blocks = self._blocks(f"{kind}_slots" if kind else "slots", kind or "order")
        value = self._value(quantity, None)
        return _estimate([log for block in blocks if (log := _geometric(block, value)) is not None])

    def dynamic_ratio(self) -> Figure:
        """Return the ratio above rest: the value by the mean rest, the ends the widest by mean, smallest and largest rest."""
        if not self._watts:
            return Figure()
        found = [self._above(watts) for watts in (fmean(self._watts), min(self._watts), max(self._watts))]
        ends = [end for figure in found for end in (figure.low, figure.high)]
        known = [end for end in ends if end is not None]
        return Figure(found[0].value, min(known), max(known)) if len(known) == len(ends) else Figure(found[0].value)

    def _above(self, watts: float) -> Figure:
        blocks = self._blocks("slots", "order")
        return _estimate([log for block in blocks if (log := _arithmetic(block, self._value("joules_dynamic", watts))) is not None])

    def _each(self, slots: str, order: str) -> list[Slot]:
        letters = "".join(self._written[order])
        rows = zip(letters, self._written[slots], strict=True)
        repeats = self._written["repeats"]
        return [(letter, s / repeats[arm], None if j is None else j / repeats[arm]) for letter, (arm, s, j) in rows]

    def _blocks(self, slots: str, order: str) -> list[list[Slot]]:
        rows = self._each(slots, order)
        return [rows[first : first + 4] for first in range(0, len(rows), 4)]

    @staticmethod
    def _value(quantity: str, watts: float | None) -> Callable[[Slot], float | None]:
        if quantity == "seconds":
            return lambda slot: slot[1]
        if quantity == "joules":
            return lambda slot: slot[2]
        return lambda slot: None if slot[2] is None or watts is None else slot[2] - watts * slot[1]


def _sides(block: Sequence[Slot], value: Callable[[Slot], float | None]) -> tuple[list[float], list[float]] | None:
    found = [(slot[0], value(slot)) for slot in block]
    sides = [[figure for letter, figure in found if letter == side and figure is not None] for side in "AB"]
    return (sides[0], sides[1]) if len(sides[0]) == len(sides[1]) == 2 else None


def _geometric(block: Sequence[Slot], value: Callable[[Slot], float | None]) -> float | None:
    sides = _sides(block, value)
    return None if sides is None else math.log(math.sqrt(math.prod(sides[0])) / math.sqrt(math.prod(sides[1])))


def _arithmetic(block: Sequence[Slot], value: Callable[[Slot], float | None]) -> float | None:
    sides = _sides(block, value)
    return None if sides is None else math.log(fmean(sides[0]) / fmean(sides[1]))


def _estimate(logs: Sequence[float]) -> Figure:
    if not logs:
        return Figure()
    ratio = math.exp(median(logs))
    if len(logs) == 1:
        return Figure(ratio)
    half = T_95[len(logs) - 1] * stdev(logs) / math.sqrt(len(logs))
    return Figure(ratio, min(ratio, math.exp(fmean(logs) - half)), max(ratio, math.exp(fmean(logs) + half)))
