"""Arms against the limit: rows, their ratio, and plain words on what became of the saved FLOPs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spanbench.judge.stats import Estimate, unknown
from spanbench.measure.limits.bandwidth import Bandwidth
from spanbench.measure.limits.limits import Gemm, Limits
from spanbench.run.limit import Reached, reached, roofline_cautions, roofline_measures, why_not
from spanbench.tally import Tally

LIMITS = Limits("cpu", "float32", 1, 1e9, Gemm(1, 1, 1), Bandwidth("copy", 1e8, 1 << 28))
TOTALS = {
    "token": Tally(matrix_flops=8 * 10**9, attention_flops=4 * 10**9, attention_flops_useful=2 * 10**9, bytes_compulsory=10**8),
    "latent": Tally(matrix_flops=10**9, attention_flops=2 * 10**9, attention_flops_useful=10**9, bytes_compulsory=4 * 10**8),
}
SECONDS = {"token": Estimate(20.0, 16.0, 25.0), "latent": Estimate(8.0, 5.0, 10.0)}


def arms(token: Estimate = SECONDS["token"], latent: Estimate = SECONDS["latent"]) -> dict[str, Reached]:
    return reached(TOTALS, {"token": token, "latent": latent}, LIMITS)


def test_the_limit_is_of_useful_flops_and_its_side_is_named() -> None:
    found = arms()
    assert (found["token"].roofline.seconds, found["token"].roofline.bound) == (10.0, "compute")
    assert (found["latent"].roofline.seconds, found["latent"].roofline.bound) == (4.0, "memory")


def test_the_fraction_has_the_slots_range_turned_round() -> None:
    assert arms()["token"].fraction == Estimate(0.5, 10 / 25, 10 / 16)


def test_rows_are_modelled_and_say_the_limits_and_which_side_binds() -> None:
    rows = {(row.arm, row.quantity): row for row in roofline_measures(arms(), "score", LIMITS)}
    assert {key: row.value for key, row in rows.items()} == {
        ("token", "roofline_seconds"): 10.0,
        ("latent", "roofline_seconds"): 4.0,
        ("pair", "ratio:roofline_seconds"): 2.5,
        ("token", "roofline_fraction"): 0.5,
        ("latent", "roofline_fraction"): 0.5,
    }
    assert {row.source for row in rows.values()} == {"modelled"}
    assert rows["token", "roofline_seconds"].by == "roofline: 1 GFLOP/s, 0.1 GB/s, measured in this run; compute binds"
    assert rows["latent", "roofline_fraction"].by.endswith("memory binds")
    assert (rows["latent", "roofline_fraction"].low, rows["latent", "roofline_fraction"].high) == (0.4, 0.8)


def test_an_arm_that_was_not_timed_keeps_its_limit_and_says_why_it_has_no_share_of_it() -> None:
    rows = {row.quantity: row for row in roofline_measures(arms(token=unknown("stopped early")), "score", LIMITS) if row.arm == "token"}
    assert rows["roofline_seconds"].value == 10.0
    assert (rows["roofline_fraction"].value, rows["roofline_fraction"].reason) == (None, "stopped early")


def test_an_arm_without_any_seconds_has_no_rows() -> None:
    assert list(reached(TOTALS, {"token": SECONDS["token"]}, LIMITS)) == ["token"]


def test_a_limit_that_was_beaten_is_a_caution() -> None:
    (caution,) = roofline_cautions(arms(token=Estimate(8.0, 7.0, 9.0)), "prefill")
    assert caution.code == "limit-exceeded"
    assert "prefill: the token arm" in caution.text
    assert roofline_cautions(arms(), "prefill") == []


def test_saved_flops_that_became_saved_seconds_are_said_in_one_sentence() -> None:
    sentences = why_not(arms(), "score", flops_ratio=2.5, seconds=Estimate(2.4, 2.3, 2.5))
    expected = (
        "score: 2.50× in FLOPs became 2.40× (2.30–2.50×) in time; "
        "token reached 50% of its limit (compute), latent reached 50% of its limit (memory)."
    )
    assert sentences == (expected,)


def test_bytes_that_bind_are_named_where_time_shrank_less() -> None:
    first, second = why_not(arms(), "score", flops_ratio=4.0, seconds=Estimate(2.5, 2.4, 2.6))
    assert "at these limits it could be 2.50×" in first
    assert second == "score: the bytes of the latent arm are waited for, and they shrink less than FLOPs."


def test_an_arm_that_is_further_from_its_limit_is_named() -> None:
    totals = {arm: replace(tally, bytes_compulsory=0) for arm, tally in TOTALS.items()}
    found = reached(totals, {"token": Estimate(20.0, 20.0, 20.0), "latent": Estimate(8.0, 8.0, 8.0)}, LIMITS)
    (_, second) = why_not(found, "score", flops_ratio=5.0, seconds=Estimate(2.5, 2.4, 2.6))
    assert second == "score: the latent arm loses more to what no FLOP counts: smaller products, element-wise work, calls."


@pytest.mark.parametrize(("flops", "seconds"), [(None, Estimate(2.0, 1.9, 2.1)), (2.0, unknown("lost")), (0.0, Estimate(1.0, 0.9, 1.1))])
def test_nothing_is_said_of_what_is_unknown(flops: float | None, seconds: Estimate) -> None:
    assert why_not(arms(), "score", flops, seconds) == ()
    assert why_not(arms(latent=unknown("lost")), "score", 2.0, Estimate(1.0, 0.9, 1.1)) == ()
    assert why_not({}, "score", 2.0, Estimate(1.0, 0.9, 1.1)) == ()
