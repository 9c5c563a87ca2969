"""Break-even and crossover, against plain enumeration of queries."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.reuse import Cost, Strategy, break_even, break_even_seconds, crossover, overlap
from spanbench.judge.stats import Estimate

MANY = 400
COSTS = st.tuples(st.integers(0, 60), st.integers(0, 60))


def strategy(name: str, once: float, query: float, *, timed: bool = False) -> Strategy:
    costs = [Cost(int(value), 0, Estimate(value, value, value)) if timed else Cost(int(value), 0) for value in (once, query)]
    return Strategy(name, name, "latent", "disk", costs[0], costs[1], 0, 0)


@given(COSTS, COSTS)
def test_break_even_is_the_first_number_of_queries_from_which_on_no_number_is_dearer(mine: tuple[int, int], other: tuple[int, int]) -> None:
    found = break_even(strategy("a", *mine), strategy("b", *other))
    cheap = [mine[0] + q * mine[1] <= other[0] + q * other[1] for q in range(1, MANY)]
    for_ever = next((q for q in range(1, MANY) if all(cheap[q - 1 :])), None)
    assert found.queries == for_ever
    if for_ever is None:
        assert found.reason.startswith("never")
        assert found.ahead_through == (cheap.index(False) if mine[1] > other[1] and cheap[0] else None)


@given(COSTS, COSTS)
def test_seconds_break_even_as_exactly_as_flops(mine: tuple[int, int], other: tuple[int, int]) -> None:
    scaled = [[value / 8 for value in pair] for pair in (mine, other)]
    seconds = break_even_seconds(strategy("a", *scaled[0], timed=True), strategy("b", *scaled[1], timed=True))
    flops = break_even(strategy("a", *mine), strategy("b", *other))
    assert (seconds.queries, seconds.reason, seconds.ahead_through) == (flops.queries, flops.reason, flops.ahead_through)


def test_numbers_beyond_doubles_break_even_exactly() -> None:
    big = 2**70
    assert break_even(strategy("a", big + 1, 0), strategy("b", 0, big)).queries == 2
    assert break_even(strategy("a", big, 0), strategy("b", 0, big)).queries == 1


def ranged(name: str, once: tuple[float, float, float], query: tuple[float, float, float]) -> Strategy:
    """Return a strategy of which each cost is its median between two ends."""
    costs = [Cost(0, 0, Estimate(middle, low, high)) for low, middle, high in (once, query)]
    return Strategy(name, name, "latent", "disk", costs[0], costs[1], 0, 0)


def test_queries_whose_ranges_overlap_have_no_break_even_in_seconds() -> None:
    zero = (0.0, 0.0, 0.0)
    found = break_even_seconds(ranged("a", (1, 1, 1), (2, 3, 5)), ranged("b", zero, (4, 6, 7)))
    assert found.queries is found.low is found.high is None
    assert found.reason == "about the same: the ranges of a query's seconds overlap"
    apart = break_even_seconds(ranged("a", (1, 1, 1), (2, 3, 4)), ranged("b", zero, (4, 6, 7)))
    assert apart.queries == 1


SIXTEENTHS = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)).map(lambda three: tuple(sorted(three)))


@given(SIXTEENTHS, SIXTEENTHS, SIXTEENTHS, SIXTEENTHS)
def test_a_break_even_in_seconds_has_the_range_that_any_times_within_the_slots_ranges_give(
    once: tuple[float, ...], query: tuple[float, ...], other_once: tuple[float, ...], other_query: tuple[float, ...]
) -> None:
    found = break_even_seconds(ranged("a", once, query), ranged("b", other_once, other_query))  # type: ignore[arg-type]  # three each
    if found.queries is None or query[2] >= other_query[0]:
        return
    ends = [
        break_even(strategy("a", first, each), strategy("b", theirs, their_each)).queries
        for first in once for each in query for theirs in other_once for their_each in other_query
    ]  # fmt: skip
    assert None not in ends
    assert (found.low, found.high) == (min(ends), max(ends))  # type: ignore[type-var]  # no None is in it
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.queries <= found.high


@pytest.mark.parametrize(
    ("first", "second", "shared"), [((0, 2), (1, 3), True), ((0, 1), (1, 2), False), ((1, 1), (0, 2), True), ((2, 3), (0, 1), False)]
)
def test_ranges_that_touch_at_an_end_do_not_overlap(first: tuple[float, float], second: tuple[float, float], shared: bool) -> None:
    assert overlap(first, second) is overlap(second, first) is shared


def test_what_was_not_measured_has_no_break_even_in_seconds() -> None:
    found = break_even_seconds(strategy("a", 1, 1, timed=True), strategy("b", 1, 1))
    assert (found.queries, found.reason) == (None, "not measured")


@given(st.integers(1, 10**15), st.integers(1, 10**18), st.integers(1, 10**15))
def test_at_the_crossover_loading_takes_as_long_as_computing(size: int, flops: int, rate: int) -> None:
    found = crossover("a", "b", size, flops, float(rate))
    assert found.bytes_per_second is not None
    assert found.bytes_per_second == pytest.approx(float(Fraction(size * rate, flops)))
    assert size / found.bytes_per_second == pytest.approx(flops / rate)
    assert found.bytes_per_gigaflop == pytest.approx(1e9 * size / flops)


@pytest.mark.parametrize(("flops", "rate", "reason"), [(0, 1.0, "saves no FLOPs"), (-5, 1.0, "saves no FLOPs"), (5, None, "no FLOP/s")])
def test_a_crossover_that_is_not_there_is_null_with_a_reason(flops: int, rate: float | None, reason: str) -> None:
    found = crossover("a", "b", 10, flops, rate)
    assert found.bytes_per_second is None
    assert found.reason is not None
    assert reason in found.reason


def test_seconds_of_some_queries_are_unknown_where_one_part_is() -> None:
    assert strategy("a", 1, 2, timed=True).seconds(3) == 7
    assert strategy("a", 1, 2, timed=True).first_token_seconds == 3
    assert strategy("a", 1, 2).seconds(3) is None
