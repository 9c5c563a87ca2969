"""From how many queries on one strategy is no dearer than another: exact arithmetic in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from spanbench.judge.reuse.cost import Cost, Strategy, overlap

__all__ = ["BreakEven", "break_even", "break_even_seconds"]

Number = int | Fraction

EACH_DEARER = "never: each query costs more"
DEARER_FOR_EVER = "never: each query costs the same, and the document more"
FROM_THE_FIRST = "from the first query on"
NOT_TOLD = "about the same: the ranges of a query's seconds overlap"


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The smallest number of queries from which on `strategy` costs no more than `baseline`, for any number after it.

    Attributes:
        strategy: name of what is asked about.
        baseline: name of what it is held against.
        quantity: 'flops' or 'seconds' (of medians).
        queries: at least 1; None where there is no such number.
        reason: in words; of a null why there is none.
        low, high: of seconds, the least and the most queries that the ranges of the slots allow; None in FLOPs, and of a null.
        ahead_through: where each query costs more, the last number of queries up to which it costs no more all the same; else None.
    """

    strategy: str
    baseline: str
    quantity: str
    queries: int | None
    reason: str
    ahead_through: int | None = None
    low: int | None = None
    high: int | None = None


def break_even(strategy: Strategy, baseline: Strategy) -> BreakEven:
    """Return the break-even of two strategies in FLOPs, of which the document is read once and each query added."""
    mine, other = (strategy.once.flops, strategy.query.flops), (baseline.once.flops, baseline.query.flops)
    return _named(strategy, baseline, "flops", mine, other)


def break_even_seconds(strategy: Strategy, baseline: Strategy) -> BreakEven:
    """Return the break-even in median seconds, from the least to the most queries that the ranges of the slots allow.

    A null with its reason where one of the two was not measured, or where the ranges of a query overlap: which of the two
    is quicker for many queries is not told then.
    """
    mine, other = _corners(strategy), _corners(baseline)
    if mine is None or other is None:
        return BreakEven(strategy.name, baseline.name, "seconds", None, "not measured")
    if overlap((mine.least[1], mine.most[1]), (other.least[1], other.most[1])):
        return BreakEven(strategy.name, baseline.name, "seconds", None, NOT_TOLD)
    found = _named(strategy, baseline, "seconds", mine.middle, other.middle)
    if found.queries is None:
        return found
    best, worst = (_solved(a[0] - b[0], b[1] - a[1])[0] for a, b in ((mine.least, other.most), (mine.most, other.least)))
    return replace(found, low=best, high=worst)


Pair = tuple[Fraction, Fraction]


@dataclass(frozen=True, slots=True)
class _Corners:
    """Seconds once and of a query: medians, and both ends of their ranges."""

    middle: Pair
    least: Pair
    most: Pair


def _corners(strategy: Strategy) -> _Corners | None:
    once, query = _three(strategy.once), _three(strategy.query)
    return None if once is None or query is None else _Corners(*zip(once, query, strict=True))


def _three(cost: Cost) -> tuple[Fraction, Fraction, Fraction] | None:
    found = cost.seconds
    if found.value is None:
        return None
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    return Fraction(found.value), Fraction(low), Fraction(high)


def _named(strategy: Strategy, baseline: Strategy, quantity: str, mine: tuple[Number, Number], other: tuple[Number, Number]) -> BreakEven:
    return BreakEven(strategy.name, baseline.name, quantity, *_solved(mine[0] - other[0], other[1] - mine[1]))


def _solved(extra: Number, saved: Number) -> tuple[int | None, str, int | None]:
    """Solve extra ≤ Q · saved for Q ≥ 1, `extra` being what the document costs more and `saved` what each query costs less."""
    if saved < 0:
        through = extra // saved  # Q · |saved| ≤ |extra|
        return None, _lost(int(through)), int(through) if through >= 1 else None
    if saved == 0:
        return (1, FROM_THE_FIRST, None) if extra <= 0 else (None, DEARER_FOR_EVER, None)
    queries = max(1, int(-(-extra // saved)))
    return queries, FROM_THE_FIRST if queries == 1 else f"from {queries:,} queries on", None


def _lost(through: int) -> str:
    return f"{EACH_DEARER}; no dearer through {through:,}" if through >= 1 else EACH_DEARER
