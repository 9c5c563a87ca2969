"""A check on a terminal, in Markdown, as JSON and CSV, and in words. Goldens: see test_golden.py."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.judge.baseline.result import Checked, Figure, PairRatio, RowChange
from spanbench.show.check.page import MOST, render_checked
from spanbench.show.check.words import sentence, short_verdict, verdict
from spanbench.show.formats import FORMATS
from tests.show.checks import ACCEPT, CHANGED, CHECKS, EXTRA, MISSING, NOTHING, UNCHANGED, WHOLE, encoder_change, many_rows

GOLDEN = Path(__file__).parent.parent / "golden"

VIEWS: dict[str, Callable[[], str]] = {
    "check-80.txt": lambda: render_checked(CHANGED),
    "check-unchanged-80.txt": lambda: render_checked(UNCHANGED),
    "check.md": lambda: render_checked(CHANGED, "markdown"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_view_of_a_check_is_as_it_was(name: str) -> None:
    text = VIEWS[name]()
    if os.environ.get("SPANBENCH_WRITE_GOLDEN"):
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_a_table_at_the_documents_scale_has_every_digit_in_80_columns() -> None:
    text = render_checked(CHANGED)
    assert max(map(len, text.splitlines())) <= 80
    assert f"{WHOLE:,}" in text
    assert f"{WHOLE - 1:,}" in text


# ---- words ----------------------------------------------------------------------------------------------------------


def test_the_sentence_names_file_line_row_place_both_figures_and_the_command() -> None:
    change = encoder_change(old=1_296_384, by=-196_384, total=5_000_000)
    assert sentence(change, "models/base.jsonl", ACCEPT) == (
        "models/base.jsonl:5: document lean, 2048 tokens in spans of 32, latent: first differs in score, encoder, from layer 1: "
        "FLOP 1,296,384 → 1,100,000 (-196,384, -15.1%); in all 5,000,000 → 4,803,616 (-196,384, -3.93%); accept with: " + ACCEPT
    )


def test_a_sentence_of_a_missing_or_extra_row_says_which_side_lacks_it() -> None:
    assert "it is no longer counted" in sentence(MISSING, "b", ACCEPT)
    assert "the baseline has no such row" in sentence(EXTRA, "b", ACCEPT)


def test_a_sentence_counts_the_other_rows_before_the_command() -> None:
    assert sentence(MISSING, "b", ACCEPT, more=1).endswith(f"; and 1 more row; accept with: {ACCEPT}")
    assert sentence(MISSING, "b", more=1200).endswith("; and 1,200 more rows")


@given(old=st.integers(1, 2**63), by=st.integers(-(2**63), 2**63).filter(bool))
def test_a_change_of_any_size_is_told_exactly_and_never_as_none(old: int, by: int) -> None:
    told = sentence(encoder_change(old, by), "b", ACCEPT)
    assert f"{old:,} → {old + by:,} ({by:+,}, " in told
    assert not any(f"{zero}%" in told for zero in ("+0", "-0", " 0"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([encoder_change(by=-1)], "changed, fewer FLOPs"),
        ([encoder_change(by=3)], "changed, more FLOPs"),
        ([encoder_change(by=3), encoder_change(by=-1)], "changed, fewer and more FLOPs"),
        ([RowChange("changed", "r", "latent", 2, [Figure("score", "mixer", "cells_dense", 9, 8)])], "changed, fewer (attention cells)"),
        ([RowChange("changed", "r", "latent", 2, [Figure("score", "mixer", "flops", None, 8)])], "changed"),
        ([MISSING], "changed"),
    ],
)
def test_the_direction_is_told_plainly(changes: list[RowChange], said: str) -> None:
    assert short_verdict(changes) == said


def test_the_total_decides_the_direction_where_stages_moved_both_ways() -> None:
    figures = [
        Figure("score", "encoder", "flops", 10, 90),
        Figure("score", "mixer", "flops", 90, 5),
        Figure("score", "total", "flops", 100, 95),
    ]
    assert short_verdict([RowChange("changed", "r", "latent", 2, figures)]) == "changed, fewer FLOPs"


@pytest.mark.parametrize(
    ("checked", "said"),
    [
        (UNCHANGED, "unchanged: 12 rows, 1,296 figures"),
        (CHANGED, "changed, fewer FLOPs: 1 of 12 rows; 1 row missing; 1 row extra"),
        (replace(CHANGED, changes=[EXTRA, EXTRA]), "changed: 2 rows extra"),
        (NOTHING, "nothing was compared"),
    ],
)
def test_the_verdict_is_one_line(checked: Checked, said: str) -> None:
    assert verdict(checked) == said


# ---- what is shown, and what is data --------------------------------------------------------------------------------


def test_json_holds_every_row_ratio_and_digit() -> None:
    many = replace(many_rows(10_000), figures=2**63)
    data = json.loads(render_checked(many, "json"))
    assert [change["line"] for change in data["changes"]] == list(range(2, 10_002))
    assert data["figures"] == 2**63
    assert data["changes"][-1]["figures"][-1] == {
        "regime": "score", "stage": "total", "layer": None, "quantity": "flops",
        "old": WHOLE, "new": WHOLE - 1, "difference": -1, "relative": -1 / WHOLE,
    }  # fmt: skip
    assert data["ratios"][-1]["new"] == {"token": 3, "latent": 1, "ratio": 3.0}
    assert data["accept"] == ACCEPT


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_row_a_figure_and_one_for_a_row_without_figures() -> None:
    rows = read_csv(render_checked(CHANGED, "csv"))
    assert [(row["kind"], row["stage"], row["layer"], row["difference"]) for row in rows] == [
        ("changed", "encoder", "1", "-1"),
        ("changed", "encoder", "", "-1"),
        ("changed", "total", "", "-1"),
        ("missing", "", "", ""),
        ("extra", "", "", ""),
    ]


def test_csv_of_an_unchanged_check_is_its_heading() -> None:
    assert render_checked(UNCHANGED, "csv") == render_checked(CHANGED, "csv").splitlines()[0] + "\n"


def test_a_terminal_shows_some_of_ten_thousand_rows_and_counts_the_others() -> None:
    text = render_checked(many_rows(10_000))
    assert sum(line.startswith("line ") for line in text.splitlines()) == MOST
    assert f"and {10_000 - MOST:,} more rows; --format json lists all" in text


def test_markdown_shows_all_rows() -> None:
    assert sum(line.startswith("| ") and "row 7" in line for line in render_checked(many_rows(100), "markdown").splitlines()) == 11


def test_the_command_that_accepts_stands_on_one_line_however_long() -> None:
    command = f"spanbench baseline update '{'a folder/' * 40}base.jsonl' --reason \"…\""
    for fmt in ("table", "markdown"):
        assert command in render_checked(replace(CHANGED, accept=command), fmt).splitlines()


def test_ratios_that_differ_never_look_equal() -> None:
    (row,) = [line for line in render_checked(CHANGED).splitlines() if line.startswith("  score ")]
    old, new = row.split()[1:]
    assert old != new
    assert [float(side.removesuffix("×")) for side in (old, new)] == [WHOLE / 10**12, WHOLE / (10**12 - 2)]


def test_a_ratio_of_one_side_shows_the_other_as_unknown() -> None:
    text = render_checked(replace(CHANGED, ratios=[PairRatio("p", "score", "flops", None, (7, 2))]))
    assert [line.split() for line in text.splitlines() if line.startswith("  score ")] == [["score", "–", "3.50×"]]


@given(checked=CHECKS)
def test_any_check_is_printed_in_every_format(checked: Checked) -> None:
    texts = {fmt: render_checked(checked, fmt) for fmt in FORMATS}
    assert all(text.endswith("\n") for text in texts.values())
    data: dict[str, Any] = json.loads(texts["json"])
    assert len(data["changes"]) == len(checked.changes)
    assert len(read_csv(texts["csv"])) == sum(max(1, len(change.figures)) for change in checked.changes)
