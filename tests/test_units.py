from __future__ import annotations

import doctest
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench import units
from spanbench.errors import UsageError
from spanbench.units import QUANTITIES, full, interval, quantity, ratio_text, short

POWERS = {" k": 3, " M": 6, " G": 9, " T": 12, " P": 15, " E": 18, " Z": 21, " Y": 24}
BINARY = {" B": 0, " KiB": 10, " MiB": 20, " GiB": 30, " TiB": 40, " PiB": 50, " EiB": 60}


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(units).failed == 0


@given(st.integers(0, 10**60))
def test_full_keeps_every_digit(value: int) -> None:
    assert int(full("flops", value).replace(",", "")) == value
    assert int(full("bytes_fused", value).removesuffix(" B").replace(",", "")) == value


@given(st.integers(10_000, 10**26))
def test_short_count_is_within_half_a_unit_of_its_third_digit(value: int) -> None:
    text = short("flops", value)
    shown = Fraction(text[:-2]) * 10 ** POWERS[text[-2:]]
    assert abs(shown - value) <= Fraction(value, 200)
    assert len(text[:-2].replace(".", "")) == 3


@given(st.integers(1000, 2**69))
def test_short_bytes_have_at_most_three_digits_and_the_right_size(value: int) -> None:
    number, _, unit = short("state_bytes", value).partition(" ")
    shown = Fraction(number) * 2 ** BINARY[f" {unit}"]
    assert abs(shown - value) <= Fraction(value, 150)
    assert len(number.replace(".", "")) == 3


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("flops", 9_999, "9,999"),
        ("flops", 999_600, "1.00 M"),
        ("state_bytes", 999, "999 B"),
        ("state_bytes", 1023, "1.00 KiB"),
        ("state_bytes", 1023 * 2**20, "1.00 GiB"),
        ("seconds", 0.9996, "1.00 s"),
        ("seconds", 0.0004412, "441 µs"),
        ("seconds", 0.0, "0 s"),
        ("joules", 1234.5, "1,234 J"),
        ("ratio:flops", 22.4561, "22.46×"),
        ("ratio:flops", 1024.0, "1024×"),
        ("ratio:params", 0.98765, "0.988×"),
    ],
)
def test_short_at_its_edges(name: str, value: int | float, text: str) -> None:
    assert short(name, value) == text


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_ratio_without_decimals_is_exactly_whole(token: int, latent: int) -> None:
    whole = token % latent == 0
    assert ("." in ratio_text(token / latent)) is not whole


def test_interval_names_its_unit_once_and_its_ends_in_one_scale() -> None:
    assert interval("seconds", 0.9994, 1.0005) == "1.00–1.00 s"
    assert interval("seconds", 0.09, 2.0) == "90.0 ms–2.00 s"
    assert interval("ratio:seconds", 99.2, 101.3) == "99.2–101.3×"


def test_a_ratio_of_costs_is_better_when_higher() -> None:
    assert quantity("flops").better == "lower"
    assert quantity("ratio:flops").better == "higher"
    assert quantity("ratio:watts").better == "neither"
    assert not quantity("ratio:seconds").exact


def test_unknown_quantity_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'flops'"):
        quantity("flop")


def test_every_quantity_of_a_tally_is_known() -> None:
    names = {"flops", "macs", "flops_other", "cells_dense", "cells_useful", "scores_dense", "params", "mlp_rows"}
    assert names < set(QUANTITIES)
    assert all(QUANTITIES[name].exact for name in names)
