"""Annotations as GitHub's runner reads them, a summary that it takes, and data that github-action-benchmark draws."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.judge.baseline.result import Checked, PairRatio
from spanbench.show.check import github
from spanbench.show.check.benchmark import benchmark, benchmark_bigger
from spanbench.show.check.github import ANNOTATIONS, SUMMARY_BYTES, summary
from spanbench.show.check.page import render_checked
from spanbench.show.check.words import sentence
from tests.show.checks import CHANGED, CHECKS, NOTHING, TINY, UNCHANGED, WHOLE, encoder_change, many_rows


@dataclass(frozen=True)
class Command:
    """A workflow command as the runner understands it."""

    name: str
    properties: dict[str, str]
    message: str


def understood(line: str) -> Command:
    """Read a command as the runner does (`ActionCommand.TryParseV2` of actions/runner): split first, unescape then, `%25` last."""
    assert "\n" not in line
    assert "\r" not in line
    _, head, message = line.split("::", 2)
    name, _, listed = head.partition(" ")
    pairs = [pair.split("=", 1) for pair in listed.split(",")]
    return Command(name, {key: unescaped(value) for key, value in pairs}, unescaped(message))


def unescaped(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


@pytest.fixture(autouse=True)
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


# ---- annotations ----------------------------------------------------------------------------------------------------


def test_an_annotation_stands_on_the_rows_line_and_says_the_whole_sentence() -> None:
    first, missing, extra = map(understood, github.annotations(CHANGED))
    assert first.name == "error"
    assert first.properties == {"file": "models/base.jsonl", "line": "5", "title": "spanbench check: changed, fewer FLOPs"}
    assert first.message == sentence(CHANGED.changes[0], "models/base.jsonl", CHANGED.accept)
    assert [one.properties["title"] for one in (missing, extra)] == ["spanbench check: row missing", "spanbench check: row extra"]


def test_an_unchanged_check_has_no_annotation() -> None:
    assert github.annotations(UNCHANGED) == github.annotations(NOTHING) == []


@pytest.mark.parametrize(("rows", "shown"), [(1, 1), (9, 9), (10, 10), (11, 10), (10_000, 10)])
def test_there_are_at_most_ten_annotations_and_the_last_counts_the_rest(rows: int, shown: int) -> None:
    found = [understood(line) for line in github.annotations(many_rows(rows))]
    assert len(found) == shown <= ANNOTATIONS
    assert [one.properties["line"] for one in found] == [str(line) for line in range(2, 2 + shown)]
    if rows > ANNOTATIONS:
        assert f"… and {rows - 9:,} more rows changed, see the job summary" in found[-1].message
    else:
        assert "more row" not in found[-1].message


def test_a_baseline_is_named_from_the_root_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "checkout" / "sub"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    named = {path: understood(github.annotations(replace(CHANGED, path=path))[0]).properties["file"] for path in ("b.jsonl", "../b.jsonl")}
    assert named == {"b.jsonl": "b.jsonl", "../b.jsonl": (tmp_path / "checkout/b.jsonl").as_posix()}
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "checkout"))
    for path in ("b.jsonl", "./b.jsonl", str(folder / "b.jsonl")):
        assert understood(github.annotations(replace(CHANGED, path=path))[0]).properties["file"] == "sub/b.jsonl"


@pytest.mark.parametrize("name", ["a, b.jsonl", "x::y=1%2C.jsonl", "Ähre/größe 50%.jsonl", "line\nbreak.jsonl", "::error file=x::y"])
def test_a_path_of_odd_characters_comes_through(name: str) -> None:
    assert understood(github.annotations(replace(CHANGED, path=name))[0]).properties["file"] == name


@given(row=st.text(), accept=st.text(min_size=1), by=st.integers(1, 2**63))
def test_whatever_a_row_is_called_the_runner_reads_the_sentence(row: str, accept: str, by: int) -> None:
    change = encoder_change(row=row, by=by)
    (line,) = github.annotations(replace(CHANGED, changes=[change], accept=accept))
    assert understood(line).message == sentence(change, "models/base.jsonl", accept)


# ---- summary --------------------------------------------------------------------------------------------------------


def test_a_summary_is_the_markdown_view_where_that_is_small_enough() -> None:
    assert summary(CHANGED) == render_checked(CHANGED, "markdown")


def test_a_summary_of_ten_thousand_rows_is_cut_to_what_github_takes_and_says_so() -> None:
    checked = many_rows(10_000)
    text = summary(checked)
    assert SUMMARY_BYTES * 0.99 < len(text.encode()) < SUMMARY_BYTES < len(render_checked(checked, "markdown").encode())
    shown = len(re.findall(r"^\| [\d,]+ \| row ", text, re.MULTILINE))
    left = re.search(r"^and ([\d,]+) more rows", text, re.MULTILINE)
    assert left is not None
    assert shown + int(left[1].replace(",", "")) == 10_000
    assert checked.accept in text


@settings(max_examples=60)
@given(checked=CHECKS, limit=st.integers(200, 5000))
def test_a_summary_is_strictly_below_its_limit_whatever_is_in_it(checked: Checked, limit: int) -> None:
    text = summary(checked, limit)
    assert len(text.encode()) < limit
    assert text


def test_a_summary_whose_names_alone_are_too_long_is_cut_between_characters() -> None:
    text = summary(replace(CHANGED, path="größe" * SUMMARY_BYTES))
    assert len(text.encode()) < SUMMARY_BYTES
    assert text.endswith("The rest was left out: a job summary holds less than 1 MiB.\n")


# ---- github-action-benchmark ----------------------------------------------------------------------------------------


def test_the_chart_has_the_total_of_each_point_regime_and_arm() -> None:
    entries = json.loads(benchmark(UNCHANGED))
    assert entries[0] == {"name": f"{TINY}, score: token FLOP", "unit": "FLOP", "value": 70, "extra": "70 FLOP"}
    assert [entry["value"] for entry in entries] == [70, 10] * 3


def test_the_chart_of_ratios_is_one_of_each_point_and_regime() -> None:
    entries = json.loads(benchmark_bigger(UNCHANGED))
    assert entries[0] == {"name": f"{TINY}, score: FLOP, token ÷ latent", "unit": "×", "value": 7.0, "extra": "70 ÷ 10"}
    assert len(entries) == 3


def test_a_chart_has_what_is_counted_now_and_nothing_of_what_is_not() -> None:
    gone, new = PairRatio("gone", "score", "flops", (8, 2), None), PairRatio("new", "score", "flops", None, (9, 0))
    checked = replace(CHANGED, ratios=[gone, new])
    assert [entry["value"] for entry in json.loads(benchmark(checked))] == [9, 0]
    assert json.loads(benchmark_bigger(checked)) == []
    assert json.loads(benchmark(NOTHING)) == json.loads(benchmark_bigger(NOTHING)) == []


def test_a_count_beyond_what_javascript_holds_is_whole_beside_the_chart() -> None:
    entries = json.loads(benchmark(replace(CHANGED, ratios=[PairRatio("p", "score", "flops", None, (2**63 + 1, WHOLE))])))
    assert entries[0]["value"] == 2**63 + 1
    assert entries[0]["extra"] == f"{2**63 + 1:,} FLOP"


@given(checked=CHECKS)
def test_charts_are_lists_that_the_action_reads(checked: Checked) -> None:
    for text in (benchmark(checked), benchmark_bigger(checked)):
        for entry in json.loads(text):
            assert set(entry) == {"name", "unit", "value", "extra"}
            assert isinstance(entry["value"], (int, float))
