"""The run order, and that it cancels what it is there to cancel."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.measure.pair.schedule import choose_blocks, order, parts, rests_for, slots_of


def test_the_order_is_abba_baab() -> None:
    assert order(2) == ("ABBA", "BAAB")
    assert order(6) == ("ABBA", "BAAB", "ABBA", "BAAB", "ABBA", "BAAB")


@pytest.mark.parametrize("blocks", [-2, 0, 1, 3, 7])
def test_odd_or_missing_blocks_are_refused(blocks: int) -> None:
    with pytest.raises(ValueError, match="even and at least 2"):
        order(blocks)


@given(st.integers(1, 8).map(lambda pairs: 2 * pairs))
def test_linear_drift_cancels_in_each_block_and_quadratic_drift_over_all(blocks: int) -> None:
    letters = "".join(order(blocks))
    for power, step in ((1, 4), (2, 8)):
        for start in range(0, len(letters), step):
            part = range(start, start + step)
            sides = {side: sum(Fraction(slot) ** power for slot in part if letters[slot] == side) for side in "AB"}
            assert sides["A"] == sides["B"]


@pytest.mark.parametrize(
    ("block_seconds", "max_seconds", "most", "chosen"),
    [
        (4.0, 17.0, 12, 4),
        (4.0, 16.0, 12, 4),
        (4.0, 23.9, 12, 4),
        (4.0, 24.0, 12, 6),
        (4.0, 1.0, 12, 2),
        (4.0, 1e9, 12, 12),
        (4.0, 1e9, 7, 6),
        (4.0, 1e9, 2, 2),
        (0.0, 10.0, 8, 8),
    ],
)
def test_blocks_fit_the_time_come_in_pairs_and_are_never_fewer_than_two(
    block_seconds: float, max_seconds: float, most: int, chosen: int
) -> None:
    assert choose_blocks(block_seconds, max_seconds, most) == chosen


@given(st.integers(1, 20).map(lambda pairs: 2 * pairs), st.booleans(), st.integers(0, 9))
def test_a_run_has_its_blocks_a_null_behind_every_second_and_its_rests_with_the_last_at_the_end(
    blocks: int, null: bool, rests: int
) -> None:
    run = parts(blocks, null=null, rests=rests)
    assert tuple(part.letters for part in run if part.kind == "pair") == order(blocks)
    kinds = "".join({"pair": "p", "null": "n", "rest": ""}[part.kind] for part in run)
    assert kinds == ("ppn" if null else "pp") * (blocks // 2)
    assert run[-1].kind == ("rest" if rests else "null" if null else "pair")
    assert sum(part.kind == "rest" for part in run) == min(rests, len(kinds))
    assert slots_of(run) == 4 * len(kinds)


@given(st.integers(2, 20).map(lambda pairs: 2 * pairs), st.integers(2, 9))
def test_rests_are_spread_evenly(blocks: int, rests: int) -> None:
    run = parts(blocks, null=True, rests=rests)
    gaps = [len(gap) for gap in "".join("r" if part.kind == "rest" else "b" for part in run).split("r")[:-1]]
    assert max(gaps) - min(gaps) <= 1


def test_null_blocks_take_both_orders_in_turn() -> None:
    run = parts(8, null=True, rests=0)
    assert [part.letters for part in run if part.kind == "null"] == ["ABBA", "BAAB"] * 2


def test_parts_are_named_by_their_kind_but_for_the_pairs_own() -> None:
    assert [str(part) for part in parts(2, null=True, rests=1)] == ["ABBA", "BAAB", "null ABBA", "rest"]


@pytest.mark.parametrize(
    ("rest_seconds", "max_seconds", "rests"), [(1.0, 24.0, 3), (0.2, 10.0, 5), (0.2, 1e6, 9), (2.0, 1.0, 3), (0.0, 5.0, 3)]
)
def test_rests_take_a_tenth_of_the_time_but_are_at_least_three(rest_seconds: float, max_seconds: float, rests: int) -> None:
    assert rests_for(rest_seconds, max_seconds) == rests
