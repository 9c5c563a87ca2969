"""`spanbench reuse`: what is printed, what is written, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Cli

COUNT = ("reuse", "--preset", "tiny", "--tokens", "42", "--span", "8", "--query-tokens", "11", "--no-run")


def points(cli: Cli, *more: str | Path) -> list[dict[str, Any]]:
    data = json.loads(cli.data(*COUNT, "--format", "json", *more))
    assert data["schema"] == "reuse/1"
    found: list[dict[str, Any]] = data["points"]
    return found


def test_counts_the_point_and_the_documents_scale_and_checks_both(cli: Cli) -> None:
    small, document = points(cli, "--queries", "7,1", "--documents", "3")
    assert (small["point"]["preset"], document["point"]["preset"]) == ("tiny", "document")
    assert small["queries"] == document["queries"] == [1, 7]
    assert [one["documents"] for one in small["compositions"]] == [3]
    assert small["verified"] == document["verified"] != []
    assert {one["query"]["seconds"]["value"] for one in small["strategies"]} == {None}
    assert small["crossovers"][0]["reason"] == "no FLOP/s given or measured"


def test_runs_where_it_fits_and_says_so(cli: Cli) -> None:
    ran = cli("reuse", "--preset", "tiny", "--tokens", "42", "--span", "8", "--query-tokens", "9", "--max-time", "0.2", "--meter", "none")
    assert ran.code == 0, ran
    assert "counted and run" in ran.out
    assert "Measured: medians" in ran.out
    assert ran.out.count("Text: built-in.") == 1
    assert [line for line in ran.out.splitlines() if len(line) > 80] == []


def test_the_documents_own_preset_is_counted_once(cli: Cli) -> None:
    data = json.loads(cli.data("reuse", "--preset", "document", "--no-run", "--dtype", "fp16", "--format", "json"))
    (document,) = data["points"]
    rows = {one["name"]: one for one in document["strategies"]}
    assert rows["dense-kv-disk"]["stored_bytes"] == 2048 * rows["latent-u"]["stored_bytes"] == 2**30


def test_options_are_taken_out_appends_one_line_and_plot_draws(cli: Cli, tmp_path: Path) -> None:
    text, out, plot = tmp_path / "text", tmp_path / "reuse.jsonl", tmp_path / "cost.svg"
    text.write_text("abcdefgh" * 20, encoding="utf-8")
    out.write_text("{}\n", encoding="utf-8")
    rate = ("--flops-per-second", "2e9")
    printed = points(cli, "--kv-heads", "2", *rate, "--prompt", text, "--out", out, "--plot", plot)
    first, line = out.read_text(encoding="utf-8").splitlines()
    assert first == "{}"
    assert json.loads(line)["points"] == printed
    assert printed[0]["point"]["shape"]["token"]["kv_heads"] == 2
    crossing = printed[0]["crossovers"][0]
    assert crossing["bytes_per_second"] == pytest.approx(2 * crossing["bytes_per_gigaflop"])
    assert any("Only 1 of 5 spans differ" in note for note in printed[0]["notes"])
    assert plot.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--queries", "0"), "--queries '0': must be whole numbers from 1"),
        (("--queries", "1,x"), "--queries 'x': must be a whole number"),
        (("--queries", ","), "--queries ',': must be whole numbers"),
        (("--documents", "-1"), "--documents '-1': must be"),
        (("--query-tokens", "0"), "--query-tokens 0: must be at least 1"),
        (("--flops-per-second", "fast"), "--flops-per-second 'fast': must be a number of FLOP/s"),
        (("--flops-per-second", "nan"), "--flops-per-second 'nan': must be a number of FLOP/s"),
        (("--plot", "cost.pdf"), "--plot 'cost.pdf': must end in .svg or .png"),
        (("--plot", "no/such/folder/cost.svg"), "--plot 'no/such/folder/cost.svg': cannot be written"),
        (("--out", "no/such/folder/out.jsonl"), "--out"),
        (("--kv-heads", "3"), "3 key-value heads do not divide"),
        (("--max-time", "0"), "--max-time '0': must be a positive number"),
        (("--format", "xml"), "--format: unknown value 'xml'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(cli: Cli, given: tuple[str, ...], told: str) -> None:
    assert told in cli.fails(*COUNT, *given)


def test_an_unknown_meter_is_refused_before_anything_is_counted(cli: Cli) -> None:
    assert "--meter" in cli.fails("reuse", "--preset", "tiny", "--meter", "wattmeter")


def test_a_batch_of_a_file_is_refused(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("batch = 2\n", encoding="utf-8")
    assert "--batch 2: reuse reads one document at a time" in cli.fails(*COUNT, "--config", config)


def test_what_does_not_fit_is_refused_where_it_must_run(cli: Cli) -> None:
    ran = cli("reuse", "--preset", "document", "--set", "layers=4000", "--tokens", "64", "--run")
    assert (ran.code, ran.out) == (2, "")
    assert "--run: not enough memory" in ran.err
