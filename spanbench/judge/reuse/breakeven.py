"""From how many queries on one strategy is no dearer than another: exact arithmetic in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from spanbench.judge.reuse.cost import Strategy

__all__ = ["BreakEven", "break_even", "break_even_seconds"]

Number = int | Fraction

EACH_DEARER = "never: each query costs more"
DEARER_FOR_EVER = "never: each query costs the same, and the document more"
FROM_THE_FIRST = "from the first query on"


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The smallest number of queries from which on `strategy` costs no more than `baseline`, for any number after it.

    Attributes:
        strategy: name of what is asked about.
        baseline: name of what it is held against.
        quantity: 'flops' or 'seconds' (of medians).
        queries: at least 1; None where there is no such number.
        reason: in words; of a null why there is none.
        ahead_through: where each query costs more, the last number of queries up to which it costs no more all the same; else None.
    """

    strategy: str
    baseline: str
    quantity: str
    queries: int | None
    reason: str
    ahead_through: int | None = None


def break_even(strategy: Strategy, baseline: Strategy) -> BreakEven:
    """Return the break-even of two strategies in FLOPs, of which the document is read once and each query added."""
    mine, other = (strategy.once.flops, strategy.query.flops), (baseline.once.flops, baseline.query.flops)
    return _named(strategy, baseline, "flops", mine, other)


def break_even_seconds(strategy: Strategy, baseline: Strategy) -> BreakEven:
    """Return the break-even in median seconds; a null with its reason where one of the two was not measured."""
    known = [_seconds(one) for one in (strategy, baseline)]
    if known[0] is None or known[1] is None:
        return BreakEven(strategy.name, baseline.name, "seconds", None, "not measured")
    return _named(strategy, baseline, "seconds", known[0], known[1])


def _seconds(strategy: Strategy) -> tuple[Fraction, Fraction] | None:
    once, query = strategy.once.seconds.value, strategy.query.seconds.value
    return None if once is None or query is None else (Fraction(once), Fraction(query))


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
