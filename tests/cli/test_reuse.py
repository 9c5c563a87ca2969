"""`spanbench reuse`: what is printed, what is written, and what is refused in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
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
    assert "Measured: the document, read and kept" in ran.out
    assert "Measured: each later query" in ran.out
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
        (("--queries", "1,,2"), "--queries '1,,2': must be whole numbers from 1 to 1,000,000,000,000 with a comma between two"),
        (("--queries", "10,1,1"), "--queries '10,1,1': 1 is given twice; give each number once"),
        (("--documents", "-1"), "--documents '-1': must be"),
        (("--documents", "0"), "--documents '0': must be whole numbers from 1 to 10,000 with a comma between two, such as 1,2,4"),
        (("--documents", "1000000000"), "--documents '1000000000': must be whole numbers from 1 to 10,000"),
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


def test_a_failing_command_leaves_no_empty_plot_and_an_old_one_as_it_was(cli: Cli, tmp_path: Path) -> None:
    new, old = tmp_path / "new.svg", tmp_path / "old.svg"
    old.write_text("drawn before", encoding="utf-8")
    for plot in (new, old):
        cli.fails(*COUNT, "--kv-heads", "3", "--plot", plot)
    assert not new.exists()
    assert old.read_text(encoding="utf-8") == "drawn before"


def test_the_documents_scale_has_break_even_crossover_and_compositions_too(cli: Cli) -> None:
    out = cli.data(*COUNT, "--flops-per-second", "9.9e14")
    _, document = out.split("preset document")
    assert "Break-even: fewest queries" in document
    assert "at 990 TFLOP/s" in document
    assert "one query behind several stored documents" in document
    assert "FLOP/s of the crossover: 990 TFLOP/s, --flops-per-second." in document


def test_causal_half_says_that_it_ranks_unlike_things(cli: Cli) -> None:
    told = "rank them under dense or useful"
    assert told in " ".join(cli.data(*COUNT, "--convention", "causal-half").split())
    assert told not in " ".join(cli.data(*COUNT).split())


def test_one_token_is_no_tokens(cli: Cli) -> None:
    text = " ".join(cli.data("reuse", "--preset", "tiny", "--tokens", "40", "--span", "8", "--query-tokens", "1", "--no-run").split())
    assert "each query reads 1 token behind it" in text
    assert "not counted, for the query closes no span" in text
    assert "Sparse activation" not in text


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_files_behind(sent: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spanbench", *COUNT[:-1], "--max-time", "60", "--meter", "none"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as ran:
        assert ran.stderr is not None
        while not (line := ran.stderr.readline()).startswith("timing queries"):
            assert line, "ended before that moment"
        assert [one.name for one in tmp_path.iterdir() if one.name.startswith("spanbench-reuse-")] != []
        ran.send_signal(sent)
        out, err = ran.communicate(timeout=120)
    assert (ran.returncode, out) == (130, "")
    assert err == "spanbench: error: interrupted; what was not finished is not kept\n"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("spanbench-reuse-")] == []
