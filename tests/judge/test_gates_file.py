"""Gates from TOML files: read exactly, with their points and lines, and refused by file and number."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from spanbench.errors import NothingMeasured, SpanbenchError, UsageError
from spanbench.judge.gates import Gate, read_gates
from spanbench.request import Request

THREE = """\
[point]
preset = "document"
tokens = 4096
shape.layers = 4

[[gate]]  # the first
name = "prefill stays cheap"
quantity = "flops"
regime = "prefill"
min = 22.46

[[gate]]
quantity = "state_bytes"
regime = "decode"
stage = "total"
min = 2
max = 1_000
tokens = 64
[gate.shape]
decoder.layers = 2

[[gate]]
quantity = "params"
regime = "score"
max = 1e1
batch = 2
convention = "useful"
"""
ONE = '[[gate]]\nquantity = "flops"\nregime = "prefill"\n'


def written(folder: Path, text: str, name: str = "gates.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def fields(gate: Gate) -> tuple[object, ...]:
    return gate.name, gate.quantity, gate.regime, gate.stage, gate.least, gate.most, gate.number, gate.line


def test_gates_are_read_in_their_order_with_their_lines(tmp_path: Path) -> None:
    first, second, third = read_gates(written(tmp_path, THREE))
    assert fields(first) == ("prefill stays cheap", "flops", "prefill", "total", Decimal("22.46"), None, 1, 6)
    assert fields(second) == ("", "state_bytes", "decode", "total", Decimal(2), Decimal(1000), 2, 12)
    assert fields(third) == ("", "params", "score", "total", None, Decimal(10), 3, 22)


def test_a_gates_own_keys_win_over_those_of_all_and_sizes_are_merged(tmp_path: Path) -> None:
    requests = [gate.request for gate in read_gates(written(tmp_path, THREE))]
    common = Request(preset="document", tokens=4096, shape={"layers": 4})
    assert requests == [
        common.with_flags(regimes=("prefill",)),
        common.with_flags(regimes=("decode",), tokens=64, shape={"decoder.layers": 2}),
        common.with_flags(regimes=("score",), batch=2, convention="useful"),
    ]


def test_pyproject_holds_the_same_under_tool_spanbench(tmp_path: Path) -> None:
    inside = THREE.replace("[point]", "[tool.spanbench.point]").replace("[[gate]]", "[[tool.spanbench.gate]]")
    text = '[project]\nname = "mine"\n' + inside.replace("[gate.shape]", "[tool.spanbench.gate.shape]")
    ours = read_gates(written(tmp_path, text, "pyproject.toml"))
    theirs = read_gates(written(tmp_path, THREE))
    assert [gate.request for gate in ours] == [gate.request for gate in theirs]
    assert [gate.line for gate in ours] == [8, 14, 24]


def test_equal_limits_demand_one_ratio(tmp_path: Path) -> None:
    (gate,) = read_gates(written(tmp_path, ONE + "min = 2\nmax = 2.0"))
    assert gate.least == gate.most == 2


def test_gates_written_as_an_array_have_no_lines(tmp_path: Path) -> None:
    (gate,) = read_gates(written(tmp_path, 'gate = [{quantity = "flops", regime = "prefill", min = 1}]'))
    assert gate.line is None


@pytest.mark.parametrize("name", ["pyproject.toml", "gates.toml"])
@pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1\n", "[tool]\n"])
def test_a_file_without_a_gate_compares_nothing(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(NothingMeasured, match=name):
        read_gates(written(tmp_path, text, name))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ONE, "gate 1: has neither min nor max"),
        (ONE + "min = 3\nmax = 2.99", "gate 1: min 3 is above max 2.99"),
        (ONE + "min = 0", "gate 1: min = 0: must be above 0"),
        (ONE + "min = -1.5", "gate 1: min = -1.5: must be above 0"),
        (ONE + "min = inf", "gate 1: min = Infinity: must be above 0"),
        (ONE + "max = nan", "gate 1: max = NaN: must be above 0"),
        (ONE + "min = 1e999999999", "must be above 0 and at most"),
        (ONE + "min = 1e-999999999", "must be above 0"),
        (ONE + "min = true", "gate 1: min = True is not a number"),
        (ONE + 'min = "20"', "gate 1: min = '20' is not a number; write it without quotes"),
        (ONE + "min = 1\nmni = 2", "gate 1: unknown key 'mni' — did you mean 'min'?"),
        (ONE + "min = 1\nregimes = ['score']", "gate 1: unknown key 'regimes' — did you mean 'regime'?"),
        (ONE + "min = 1\ntokens = 1.5", "gate 1: tokens = 1.5 is not a whole number"),
        (ONE + "min = 1\ntokens = true", "gate 1: tokens = True is not a whole number"),
        (ONE + 'min = 1\nbatch = "max"', "gate 1: batch = 'max' depends on the machine's memory"),
        (ONE + "min = 1\n[gate.shape]\nlayerz = 2", "gate 1: [shape]: unknown key 'layerz'"),
        (ONE + "min = 1\nprompt = '-'", "gate 1: prompt = '-' is standard input"),
        (ONE + "min = 1\nname = 3", "gate 1: name = 3 is not a line of text"),
        (ONE + 'min = 1\nname = "a\\nb"', "is not a line of text"),
        (ONE + "min = 1\n" + ONE + "max = 2\nstage = 'mixer'", "gate 2: stage mixer: only the latent arm"),
        (ONE.replace("flops", "seconds") + "min = 1", "gate 1: quantity seconds: is measured, and never gates here; use check --against"),
        (ONE.replace("flops", "joules") + "min = 1", "gate 1: quantity joules: is energy"),
        (ONE.replace("flops", "flop") + "min = 1", "gate 1: quantity: unknown value 'flop' — did you mean 'flops'?"),
        (ONE.replace("prefill", "prefil") + "min = 1", "gate 1: regime: unknown value 'prefil' — did you mean 'prefill'?"),
        ("[[gate]]\nregime = 'score'\nmin = 1", "gate 1: has no quantity"),
        ("[[gate]]\nquantity = 'flops'\nmin = 1", "gate 1: has no regime"),
        ("[gate]\nmin = 1", "gate is no list of tables"),
        ("gate = [1]", "gate is no list of tables"),
        ("preset = 'tiny'", "unknown key 'preset'; keys of a point stand in its table [point]"),
        ("[points]\n" + ONE, "unknown key 'points' — did you mean 'point'?"),
        ("[point]\nregime = 'score'\n" + ONE + "min = 1", "[point]: unknown key 'regime'"),
        ("point = 3\n" + ONE + "min = 1", "[point]: is no table"),
        ("[[gate]", "is not TOML"),
        ("min = 1e99999999999999999999999", "is not TOML"),
        ("x = " + "[" * 3000 + "]" * 3000, "is not TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_the_file_and_the_gate(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        read_gates(path)
    assert str(refused.value).startswith(path)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused_as_the_option(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for path in (str(tmp_path / "none.toml"), str(tmp_path), str(binary), "a\0b"):
        with pytest.raises(SpanbenchError, match="--gates"):
            read_gates(path)
