"""`spanbench ratio`: exit codes, where gates come from, and that both ways of counting give the same figures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import TINY, Cli, python

POINT = TINY[:-2]
"""The point without its regime."""

GATES = """\
[point]
preset = "tiny"
tokens = 42
span = 8

[[gate]]
quantity = "flops"
regime = "prefill"
min = 1

[[gate]]
name = "few cells"
quantity = "cells_dense"
regime = "prefill"
min = {cells}

[[gate]]
quantity = "params"
regime = "prefill"
max = 2
shape.decoder.layers = 2
"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def gates(cli: Cli, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cli("ratio", *arguments, "--format", "json").out)["gates"]
    return found


def test_a_gate_that_holds_is_exit_code_0(cli: Cli) -> None:
    assert "1 gate: 1 holds" in cli.data("ratio", *TINY, "--min", "1")


def test_a_gate_that_fails_is_exit_code_1_and_its_message_passes_when_followed(cli: Cli) -> None:
    ran = cli("ratio", *TINY, "--min", "1000", "--closed-form")
    assert ran.code == 1
    assert "must be at least 1000" in ran.err
    found = re.search(r"--min [0-9.]+$", ran.err.strip())
    assert found is not None
    assert cli("ratio", *TINY, *found[0].split(), "--closed-form").code == 0


def test_the_executed_count_and_the_closed_form_give_the_same_figures(cli: Cli) -> None:
    both = [gates(cli, *TINY, "--min", "1", *flag) for flag in ([], ["--closed-form"])]
    assert both[0] == both[1]
    counted = json.loads(cli("count", *TINY, "--format", "json").out)
    totals = {row["arm"]: row["value"] for row in counted["measures"] if (row["stage"], row["quantity"]) == ("total", "flops")}
    assert (both[0][0]["token"], both[0][0]["latent"]) == (totals["token"], totals["latent"])


@pytest.mark.parametrize("regime", ["score", "prefill", "decode", "decode_worst", "request"])
def test_the_gates_regime_decides_what_is_counted(cli: Cli, regime: str) -> None:
    (gate,) = gates(cli, *POINT, "--regime", regime, "--min", "0.001", "--closed-form")
    assert (gate["regime"], gate["holds"]) == (regime, True)


def test_several_regimes_are_a_gate_each_and_both_must_hold(cli: Cli) -> None:
    both = gates(cli, *POINT, "--regime", "score,prefill", "--min", "0.001", "--closed-form")
    assert [gate["regime"] for gate in both] == ["score", "prefill"]
    least = max(gate["ratio"] for gate in both)
    assert cli("ratio", *POINT, "--regime", "score,prefill", "--min", f"{least - 1e-6:.6f}", "--closed-form").code == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--quantity", "state_bytes", "--regime", "score"), "score keeps no state"),
        (("--quantity", "flops", "--stage", "embedding", "--regime", "score"), "flops is 0"),
        (("--quantity", "flops_other", "--regime", "score"), "only the ledger counts element-wise work"),
    ],
)
def test_a_ratio_that_does_not_exist_is_exit_code_3(cli: Cli, arguments: tuple[str, ...], why: str) -> None:
    ran = cli("ratio", *POINT, *arguments, "--min", "1", "--closed-form")
    assert ran.code == 3
    assert why in ran.err


def test_no_gate_at_all_is_exit_code_5(cli: Cli, empty_folder: Path) -> None:
    assert "give --min or --max" in cli.fails("ratio", *TINY, code=5)
    (empty_folder / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    assert "pyproject.toml: has no gate" in cli.fails("ratio", code=5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--min", "2", "--quantity", "seconds"), "--quantity seconds: is measured, and never gates here; use check --against for seconds"),
        (("--min", "2", "--quantity", "flop"), "--quantity: unknown value 'flop' — did you mean 'flops'?"),
        (("--min", "2", "--regime", "prefil"), "--regime: unknown value 'prefil'"),
        (("--min", "2", "--stage", "mixer"), "--stage mixer: only the latent arm has it"),
        (("--min", "two"), "--min 'two': must be a positive decimal number"),
        (("--max", "0"), "--max 0: must be above 0"),
        (("--min", "3", "--max", "2"), "min 3 is above max 2"),
        (("--min", "3", "--batch", "max"), "--batch max: depends on the machine's memory"),
        (("--min", "3", "--gates", "x.toml"), "--gates: does not go with --min and --max"),
        (("--min", "3", "--verify", "--closed-form"), "--verify: runs the witnesses"),
        (("--gates", "x.toml"), "--gates 'x.toml': there is no such file"),
        (("--gates", ""), "--gates ''"),
        (("--min", "2", "--span", "0"), "--span 0: must be at least 1"),
        (("--min", "2", "--format", "xml"), "--format: unknown value 'xml'"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(cli: Cli, arguments: tuple[str, ...], told: str) -> None:
    assert told in cli.fails("ratio", *arguments)


# ---- files ----------------------------------------------------------------------------------------------------------


def written(folder: Path, cells: str = "1", name: str = "spanbench.toml") -> Path:
    path = folder / name
    path.write_text(GATES.format(cells=cells), encoding="utf-8")
    return path


def test_all_gates_of_a_file_are_shown_and_the_first_that_fails_is_named(cli: Cli, empty_folder: Path) -> None:
    written(empty_folder, "100000")
    ran = cli("ratio", "--closed-form", "--format", "json")
    assert ran.code == 1
    assert [gate["holds"] for gate in json.loads(ran.out)["gates"]] == [True, False, True]
    assert "gate 2 of 3 'few cells' in spanbench.toml, line 11 fails: " in ran.err
    assert "accept it with min = " in ran.err


def test_the_gates_of_one_point_are_counted_together_and_those_of_another_apart(cli: Cli, empty_folder: Path) -> None:
    written(empty_folder)
    ran = cli("ratio", "--format", "json")
    first, second, third = json.loads(ran.out)["gates"]
    assert ran.code == 0
    assert (first["changed"], second["changed"], third["changed"]) == ([], [], ["decoder.layers=2"])
    assert json.loads(cli("ratio", "--closed-form", "--format", "json").out)["gates"] == [first, second, third]


def test_spanbench_toml_is_looked_for_before_pyproject(cli: Cli, empty_folder: Path) -> None:
    (empty_folder / "pyproject.toml").write_text('[[tool.spanbench.gate]]\nquantity = "params"\nregime = "score"\nmin = 0.01\n')
    assert [gate["file"] for gate in gates(cli, "--closed-form")] == ["pyproject.toml"]
    written(empty_folder)
    assert {gate["file"] for gate in gates(cli, "--closed-form")} == {"spanbench.toml"}


def test_options_of_a_point_do_not_go_with_a_file(cli: Cli, empty_folder: Path) -> None:
    path = written(empty_folder, name="g.toml")
    assert "--set: goes with --min or --max" in cli.fails("ratio", "--gates", path, "--set", "layers=2")
    assert "--regime: goes with" in cli.fails("ratio", "--gates", path, "--regime", "score")
    assert "--tokens: goes with" in cli.fails("ratio", "--gates", path, "--tokens", "24")


def test_on_github_a_gate_that_fails_is_annotated_and_data_stay_whole(
    cli: Cli, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    written(empty_folder, "100000")
    ran = cli("ratio", "--closed-form", "--format", "json")
    assert json.loads(ran.out)["holds"] is False
    assert [line for line in ran.err.splitlines() if line.startswith("::error file=spanbench.toml,line=11,")]


def test_the_closed_form_needs_no_torch(empty_folder: Path) -> None:
    written(empty_folder)
    ran = python("import sys; sys.modules['torch'] = None; from spanbench.cli.main import main; sys.exit(main(['ratio', '--closed-form']))")
    assert (ran.returncode, ran.stderr) == (0, "")
