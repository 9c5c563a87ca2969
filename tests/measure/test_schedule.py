"""The run order, and that it cancels what it is there to cancel."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.measure.schedule import choose_blocks, order


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
