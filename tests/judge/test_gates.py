"""Gates: decided by whole numbers alone, refused where they cannot be decided, and told with digits that show it."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.errors import UsageError
from spanbench.judge.gates import (
    GATED,
    Gate,
    GateFailed,
    Judged,
    NoRatio,
    check_quantity,
    check_stage,
    judge,
    parse_limit,
    refuse,
    sentence,
)
from spanbench.judge.gates.judged import places, rounded
from spanbench.point import ALL_REGIMES, Point
from spanbench.presets import resolve
from spanbench.record import Measure, counted_measures
from spanbench.request import Request
from spanbench.units import QUANTITIES

POINT = Point(resolve("tiny", "lean", {}, 8), 24, 8, regimes=ALL_REGIMES)
COUNTS = st.integers(min_value=1, max_value=2**70)
LIMITS = st.decimals(min_value="0.0001", max_value="1e9", places=6).filter(lambda limit: limit > 0)


def judged(token: int | None, latent: int | None, least: str | None = None, most: str | None = None, path: str | None = None) -> Judged:
    low, high = (None if text is None else Decimal(text) for text in (least, most))
    return Judged(
        Gate(Request(), "flops", "prefill", least=low, most=high, path=path), POINT, token, latent, "ledger", "" if latent else "it is 0"
    )


# ---- the decision ---------------------------------------------------------------------------------------------------


@given(token=COUNTS, latent=COUNTS, limit=LIMITS)
def test_a_gate_is_decided_by_whole_numbers_alone(token: int, latent: int, limit: Decimal) -> None:
    scaled = int(limit.scaleb(6))  # the oracle: token ÷ latent ≥ limit, multiplied out
    assert judged(token, latent, least=str(limit)).holds is (token * 10**6 >= scaled * latent)
    assert judged(token, latent, most=str(limit)).holds is (token * 10**6 <= scaled * latent)


@given(latent=st.integers(1, 2**62), numerator=st.integers(1, 10**9), places_=st.integers(0, 9))
def test_the_limit_itself_passes_and_one_count_beyond_it_does_not(latent: int, numerator: int, places_: int) -> None:
    limit = str(Decimal(numerator).scaleb(-places_))
    below, at = latent * 10**places_, numerator * latent  # at ÷ below is the limit exactly
    assert judged(at, below, least=limit, most=limit).holds is True
    assert judged(at - 1, below, least=limit).holds is False
    assert judged(at + 1, below, most=limit).holds is False


def test_a_limit_that_no_float_can_hold_is_held_exactly() -> None:
    assert judged(2246, 100, least="22.46").holds is True
    assert Fraction(22.46) != Fraction(2246, 100)
    assert judged(2246 * 10**20 - 1, 100 * 10**20, least="22.46").holds is False


def test_the_margin_is_that_of_the_nearer_limit() -> None:
    assert judged(30, 1, least="20", most="60").margin == Fraction(1, 2)
    assert judged(45, 1, least="20", most="60").margin == Fraction(1, 4)
    assert judged(10, 1, least="20", most="60").margin == Fraction(-1, 2)


# ---- what is said ---------------------------------------------------------------------------------------------------


@given(ratio=st.fractions(min_value=0, max_value=10**6), limit=LIMITS)
def test_the_digits_that_are_shown_are_on_the_side_of_the_limit_on_which_the_ratio_is(ratio: Fraction, limit: Decimal) -> None:
    shown = Decimal(rounded(ratio, places(ratio, limit)))
    assert (shown > limit, shown < limit) == (ratio > Fraction(limit), ratio < Fraction(limit))


@given(token=COUNTS, latent=COUNTS, limit=LIMITS, low=st.booleans(), in_file=st.booleans())
def test_the_limit_that_a_failing_gate_names_is_one_that_passes(token: int, latent: int, limit: Decimal, low: bool, in_file: bool) -> None:
    sides = {"least" if low else "most": str(limit)}
    one = judged(token, latent, **sides, path="gates.toml" if in_file else None)
    text = sentence(one)
    found = re.search(r"accept it with (?:--(?P<flag>min|max) |(?P<key>min|max) = )(?P<limit>\S+)", text)
    if one.holds:
        assert found is None
        return
    assert found is not None
    assert (found["key"] if in_file else found["flag"]) == ("min" if low else "max")
    assert judged(token, latent, **{"least" if low else "most": found["limit"]}).holds is True


def test_a_failing_gate_says_the_figure_the_limit_the_gap_and_what_to_change() -> None:
    with pytest.raises(GateFailed) as failed:
        refuse([judged(180, 10, least="20")])
    assert failed.value.exit_code == 1
    assert str(failed.value) == (
        "the gate fails: token ÷ latent of flops in prefill is 18.0000, must be at least 20: 2.0000 (10.00%) too low; "
        "have the latent arm do less or the token arm more, or accept it with --min 18.00"
    )


def test_a_gate_without_a_ratio_is_told_before_one_that_fails() -> None:
    with pytest.raises(NoRatio, match=r"gate 1 of 2 'flops in prefill' has no ratio: it is 0"):
        refuse([judged(1, 2, least="20"), judged(1, 0, least="20")])
    assert NoRatio.exit_code == 3


def test_the_first_of_several_that_fail_is_named_and_the_others_counted() -> None:
    with pytest.raises(GateFailed, match=r"fails \(and 2 more fail\): .* is 5\.0000"):
        refuse([judged(9, 1, least="8"), judged(5, 1, least="8"), judged(6, 1, least="8"), judged(7, 1, least="8")])


# ---- what is judged -------------------------------------------------------------------------------------------------


def measures(regime: str) -> list[Measure]:
    counts = closed_form(POINT, regime, Distinct(9, 9, {"score": 9, "prefill": 1}, ()))  # type: ignore[arg-type]  # one of ALL_REGIMES
    return counted_measures(counts, None, regime, "dense", by="closed form")


@pytest.mark.parametrize("quantity", [name for name in GATED if name != "flops_other"])
@pytest.mark.parametrize("stage", ["total", "head"])
def test_every_exact_quantity_is_the_quotient_of_its_two_counts(quantity: str, stage: str) -> None:
    counts = closed_form(POINT, "prefill", Distinct(9, 9, {"score": 9, "prefill": 1}, ()))
    values = []
    for arm in ("token", "latent"):
        tally = counts[arm][stage]
        values.append({"flops": tally.flops(), "macs": tally.flops() // 2}.get(quantity) or getattr(tally, quantity, 0))
    one = judge(Gate(Request(), quantity, "prefill", stage, Decimal(1)), POINT, measures("prefill"))
    assert [one.token, one.latent] == values
    assert one.ratio == (Fraction(values[0], values[1]) if values[1] else None)


@pytest.mark.parametrize(
    ("quantity", "regime", "stage", "why"),
    [
        ("state_bytes", "score", "total", "score keeps no state"),
        ("flops_other", "prefill", "total", "only the ledger counts element-wise work"),
        ("flops", "prefill", "embedding", "flops is 0"),
        ("flops", "decode", "total", "was not counted"),
    ],
)
def test_a_ratio_that_does_not_exist_has_a_reason(quantity: str, regime: str, stage: str, why: str) -> None:
    counted = measures(regime) if regime != "decode" else []
    one = judge(Gate(Request(), quantity, regime, stage, Decimal(1)), POINT, counted)
    assert (one.holds, one.ratio) == (None, None)
    assert why in one.reason


def test_no_noisy_quantity_gates_and_every_exact_one_but_the_derived_does() -> None:
    for name, quantity in QUANTITIES.items():
        if name in GATED:
            assert check_quantity(name, "--quantity") == name
            assert quantity.exact
        else:
            with pytest.raises(UsageError, match=r"^--quantity"):
                check_quantity(name, "--quantity")
    assert [name for name, quantity in QUANTITIES.items() if quantity.exact and name not in GATED] == ["bytes_per_token"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("seconds", "is measured, and never gates here; use check --against for seconds"),
        ("joules", "is energy, measured or estimated, and never gates"),
        ("grams_co2e", "never gates"),
        ("peak_bytes", "is measured or modelled, and never gates"),
        ("bytes_per_token", "gate bytes_compulsory in decode"),
        ("flop", "did you mean 'flops'?"),
        ("", "known: "),
    ],
)
def test_a_quantity_that_cannot_gate_is_refused_with_what_can(name: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_quantity(name, "--quantity")
    assert told in str(refused.value)


@pytest.mark.parametrize(("name", "told"), [("mixer", "only the latent arm"), ("layers", "only the token arm"), ("totl", "'total'")])
def test_a_stage_that_both_arms_do_not_have_is_refused(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_stage(name, "--stage")


@pytest.mark.parametrize(
    "text", ["0", "0.0", "-1", "+2", "20x", "1e3", "nan", "inf", "", " 2", "2,5", "٢", "1_0", "9" * 31, "0." + "0" * 30 + "1", "2" * 31]
)
def test_a_limit_that_is_no_positive_decimal_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--min"):
        parse_limit(text, "--min")


@given(limit=LIMITS)
def test_a_limit_is_read_to_its_last_digit(limit: Decimal) -> None:
    assert parse_limit(f"{limit:f}", "--min") == limit
