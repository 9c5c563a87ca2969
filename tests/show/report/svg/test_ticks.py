from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.show.report.svg.ticks import limits, log_ticks, tick_text, token_ticks

POSITIVE = st.floats(1e-12, 1e18)


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_an_axis_holds_all_its_values_with_room_beyond_them(values: list[float]) -> None:
    low, high = limits(values)
    assert 0 < low < min(values)
    assert max(values) < high
    assert high / low > 3


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_an_axis_has_two_to_six_ticks_in_order_within_its_ends(values: list[float]) -> None:
    low, high = limits(values)
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0]
    assert ticks[-1] <= high


@given(st.lists(st.floats(1e-6, 1e15), min_size=1, max_size=20), st.sampled_from(["flops", "seconds", "joules", "ratio:flops", "number"]))
def test_no_two_ticks_of_an_axis_read_the_same(values: list[float], quantity: str) -> None:
    texts = [tick_text(quantity, tick) for tick in log_ticks(*limits(values))]
    assert len(set(texts)) == len(texts)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40))
def test_ticks_at_prompts_are_some_of_them_apart_and_hold_the_longest(values: list[int]) -> None:
    ticks = token_ticks(values, 0.15)
    assert set(ticks) <= set(values)
    assert len(ticks) <= 8
    assert {min(values), max(values)} <= set(ticks)


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        ("flops", 1e10, "10 G"),
        ("cells_dense", 300.0, "300"),
        ("seconds", 1e-3, "1 ms"),
        ("seconds", 1.5, "1.5 s"),
        ("joules", 100.0, "100 J"),
        ("ratio:flops", 0.1, "0.1×"),
        ("ratio:flops", 1000.0, "1000×"),
        ("tokens", 16384, "16,384"),
        ("number", 0.3, "0.3"),
    ],
)
def test_a_tick_has_no_digit_that_says_nothing(quantity: str, value: float, text: str) -> None:
    assert tick_text(quantity, value) == text
