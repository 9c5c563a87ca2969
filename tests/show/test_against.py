"""How base and head are shown: every verdict, at 80 columns, and with every digit for programs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from spanbench.judge.stats import Estimate
from spanbench.judge.verdict import AgainstResult, AgainstRow, Verdict, judge
from spanbench.show.against import page, render_against, sentence
from spanbench.show.formats import FORMATS

QUIET = [0.0005, -0.0005] * 4


def row(
    log_ratio: float, arm: str = "latent", flops: tuple[int | None, int | None] = (1000, 1000), nulls: list[float] = QUIET
) -> AgainstRow:
    judged = judge([log_ratio + noise for noise in QUIET], nulls, 0.02)
    return AgainstRow(arm, "prefill", 7, Estimate(0.0125, 0.0124, 0.0127), Estimate(0.013, 0.0129, 0.0131), judged, *flops)


def result(*rows: AgainstRow) -> AgainstResult:
    sizes = "tiny lean, 64 tokens in spans of 8"
    return AgainstResult("origin/main", "a" * 40, "b" * 12, sizes, "seconds", "perf_counter", 0.02, rows, ("One note.",))


@pytest.mark.parametrize(("log_ratio", "verdict"), [(0.05, "worse"), (-0.05, "better"), (0.0, "same"), (0.0198, "inconclusive")])
@pytest.mark.parametrize("fmt", FORMATS)
def test_every_verdict_is_printed_in_every_format(log_ratio: float, verdict: Verdict, fmt: str) -> None:
    assert verdict in render_against(result(row(log_ratio)), fmt)


def test_a_table_of_all_verdicts_fits_80_columns() -> None:
    loud = row(0.0, nulls=[0.9, -0.9] * 4)
    text = render_against(result(row(0.05), row(-0.05, "token"), row(0.0198), row(0.0, flops=(10**13, 10**13 + 1)), loud), "table", 80)
    assert max(map(len, text.splitlines())) <= 80
    for word in ("worse", "better", "same", "inconclusive", "head/base", "99% interval", "floor"):
        assert word in text


def test_json_and_csv_have_every_digit_of_a_ratio_with_its_floor_and_its_verdict() -> None:
    found = result(row(0.05))
    judged = found.rows[0].judged
    data = json.loads(render_against(found, "json"))
    assert data["verdict"] == "worse"
    assert data["rows"][0]["judged"]["ratio"]["value"] == judged.ratio.value
    (plain,) = csv.DictReader(io.StringIO(render_against(found, "csv")))
    assert (float(plain["low"]), float(plain["floor"]), plain["verdict"]) == (judged.ratio.low, judged.floor, "worse")


@pytest.mark.parametrize(
    ("flops", "told"),
    [
        ((1000, 1014), "latent prefill: head does 1.40% more FLOPs, 1,000 → 1,014"),
        ((1000, 900), "10.00% fewer"),
        ((0, 5), "head does more"),
    ],
)
def test_counts_that_differ_are_told_beside_the_verdict(flops: tuple[int, int], told: str) -> None:
    assert told in render_against(result(row(0.0, flops=flops)), "markdown")


@pytest.mark.parametrize("flops", [(1000, 1000), (None, 1000), (1000, None)])
def test_counts_that_are_equal_or_unknown_are_not_told(flops: tuple[int | None, int | None]) -> None:
    assert "FLOPs," not in render_against(result(row(0.0, flops=flops)), "markdown")


def test_a_row_without_an_interval_says_why_and_shows_no_number() -> None:
    judged = judge([0.1], [0.0], 0.02)
    bare = replace(row(0.0), judged=judged, base=Estimate(None, None, None, "nothing was measured"))
    text = render_against(result(bare), "table")
    assert "–" in text
    assert "no interval from 1 block" in text
    assert json.loads(render_against(result(bare), "json"))["rows"][0]["base"]["value"] is None


def test_the_sentence_of_a_verdict_names_arm_regime_ratio_and_reason() -> None:
    assert sentence(row(0.05)).startswith("latent prefill: worse, head/base 1.0513 (99%: 1.05")
    assert "both sides of the tolerance" in sentence(row(0.0198))


def test_the_whole_verdict_is_the_worst_of_the_rows() -> None:
    assert page(result(row(0.0), row(0.05, "token"))).data["verdict"] == "worse"
