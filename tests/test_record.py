from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spanbench.errors import UsageError
from spanbench.record import (
    SCHEMA,
    Measure,
    Record,
    SchemaMismatch,
    append,
    check_writable,
    counted_measures,
    pair_ratio,
    read,
    record_id,
    weakest,
)
from spanbench.tally import Tally, total

COUNTED = {"arm": "token", "regime": "score", "stage": "total", "quantity": "flops", "unit": "FLOP", "source": "counted", "by": "ledger"}


def measure(**changes: Any) -> Measure:
    return Measure.model_validate(COUNTED | {"value": 29_124_173_234_176} | changes)


def record(**changes: Any) -> Record:
    point = {"tokens": 2048, "span": 32, "preset": "document"}
    return Record.model_validate({"point": point, "convention": "dense", "measures": [measure()]} | changes)


# ---- a measure is never bare ----------------------------------------------------------------------------------------


def test_null_needs_a_reason() -> None:
    with pytest.raises(ValidationError, match="a null value needs a reason"):
        measure(value=None)
    assert measure(value=None, reason="not run").value is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "12", True])
def test_a_value_is_a_finite_number(value: object) -> None:
    with pytest.raises(ValidationError):
        measure(value=value)


@pytest.mark.parametrize("change", [{"source": "guessed"}, {"stage": "middle"}, {"steps": 0}, {"vlaue": 3}])
def test_unknown_names_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        measure(**change)


def test_the_weakest_source_wins() -> None:
    assert weakest(["counted", "estimated", "measured"]) == "estimated"
    assert weakest(["counted"]) == "counted"


# ---- lines ----------------------------------------------------------------------------------------------------------


@given(st.one_of(st.integers(0, 10**80), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_line_keeps_every_digit_and_the_type(value: int | float) -> None:
    line = record(measures=[measure(value=value)]).to_line()
    back = Record.from_line(line).measures[0].value
    assert back == value
    assert type(back) is type(value)
    assert line.count("\n") == 1


def test_a_line_has_the_names_of_the_schema() -> None:
    plain = json.loads(record().to_line())
    assert list(plain) == ["schema", "id", "point", "convention", "environment", "warnings", "verified", "measures"]
    names = ["arm", "regime", "stage", "quantity", "value", "unit", "steps", "source", "low", "high", "by", "reason"]
    assert list(plain["measures"][0]) == names


def test_id_depends_on_the_question_and_never_on_results() -> None:
    plain = record()
    assert record(measures=[measure(value=1)], environment={"cpu": "x"}, warnings=["w"]).id == plain.id
    assert record(convention="useful").id != plain.id
    assert record(point={**plain.point, "tokens": 2049}).id != plain.id
    assert record_id(dict(reversed(plain.point.items())), "dense") == plain.id
    assert record_id(plain.point, "dense", SCHEMA + 1) != plain.id


def test_id_is_a_frozen_value() -> None:
    # printf '{"convention":"dense","point":{"span":8,"tokens":24},"schema":1}' | sha256sum
    assert record_id({"tokens": 24, "span": 8}, "dense", 1) == "358c9b613b990739"


def test_an_edited_point_is_noticed() -> None:
    with pytest.raises(UsageError, match=r"line 3: .*is not the hash"):
        Record.from_line(record().to_line().replace('"tokens":2048', '"tokens":2049'), "line 3")


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "not JSON"), ("[]", "not a spanbench record"), ("{}", "no 'schema'"), ('{"schema": 1}', "point: Field required")],
)
def test_a_broken_line_is_one_clear_line(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Record.from_line(line, "f.jsonl, line 7")
    assert str(caught.value).startswith("f.jsonl, line 7: ")
    assert "\n" not in str(caught.value)


def test_another_schema_is_refused_with_its_own_exit_code() -> None:
    with pytest.raises(SchemaMismatch, match="schema 99") as caught:
        Record.from_line('{"schema": 99}')
    assert caught.value.exit_code == 3


# ---- files ----------------------------------------------------------------------------------------------------------


def test_append_adds_lines_and_read_returns_them(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    first, second = record(), record(convention="useful")
    append(path, first)
    before = path.read_bytes()
    append(path, second)
    assert path.read_bytes().startswith(before)
    assert read(path) == [first, second]


def test_a_half_written_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    append(path, record())
    with path.open("a") as file:
        file.write('{"schema":1,"id":')
    noted: list[str] = []
    assert read(path, noted.append) == [record()]
    assert len(noted) == 1
    assert "line 2 is half-written" in noted[0]


def test_append_does_not_join_a_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"schema":1')
    append(path, record())
    lines = path.read_text().splitlines()
    assert lines[0] == '{"schema":1'
    assert Record.from_line(lines[1]) == record()
    with pytest.raises(UsageError, match="line 1: not JSON"):
        read(path)


def test_check_writable_leaves_no_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "new.jsonl")
    assert list(tmp_path.iterdir()) == []
    append(tmp_path / "old.jsonl", record())
    before = (tmp_path / "old.jsonl").read_bytes()
    check_writable(tmp_path / "old.jsonl")
    assert (tmp_path / "old.jsonl").read_bytes() == before


def test_a_null_device_is_a_place_to_write_to() -> None:
    append(Path(os.devnull), record())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "is a folder; name a file in it"),
        ("missing/run.jsonl", "the folder .* does not exist"),
        ("notes.md", "holds something other than records"),
        ("notes.md/run.jsonl", "does not exist"),
        ("x" * 300, "cannot write .*too long"),
        ("nul\0.jsonl", "cannot write"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "notes.md").write_text("# not records\n")
    with pytest.raises(UsageError, match=message) as caught:
        check_writable(tmp_path / name)
    assert str(caught.value).startswith("--out: ")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "notes.md").read_text() == "# not records\n"


def test_a_named_pipe_without_a_reader_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="cannot write"):
        check_writable(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match="No space left"):
        append(Path("/dev/full"), record())


@pytest.mark.parametrize("content", [None, b"\xff\xfe\n"])
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "run.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot read records from"):
        read(path)


# ---- counts as measures ---------------------------------------------------------------------------------------------

LAYERS = Tally(100, 40, 25, 20, 10, 6, 20, 3, 7, 90, 95, 8)
HEAD = Tally(matrix_flops=50, params=2, bytes_compulsory=30, bytes_fused=33)
MIXER = Tally(20, 4, 4, 2, 1, 1, 2, 1, 5, 50, 55, 0)


def counts() -> dict[str, dict[str, Tally]]:
    return {"token": {"layers": LAYERS, "head": HEAD, "total": total([LAYERS, HEAD])}, "latent": {"mixer": MIXER, "total": MIXER}}


def found(rows: list[Measure], arm: str, quantity: str, stage: str = "total") -> Measure:
    (row,) = [m for m in rows if (m.arm, m.quantity, m.stage) == (arm, quantity, stage)]
    return row


@pytest.mark.parametrize(("convention", "flops"), [("dense", 190), ("useful", 175), ("causal-half", 170)])
def test_flops_and_macs_follow_the_convention_and_cells_do_not(convention: Any, flops: int) -> None:
    rows = counted_measures(counts(), None, "prefill", convention)
    assert found(rows, "token", "flops").value == flops
    assert found(rows, "token", "macs").value == flops // 2
    assert found(rows, "token", "cells_dense").value == 10
    assert found(rows, "token", "flops", "head").value == 50


def test_every_stage_has_every_quantity_and_a_pair_has_the_totals() -> None:
    rows = counted_measures(counts(), None, "prefill", "dense")
    quantities = {m.quantity for m in rows if m.arm == "token"}
    assert len(quantities) == 11
    assert len(rows) == 5 * 11 + 11
    assert {m.stage for m in rows if m.arm == "pair"} == {"total"}
    assert {m.source for m in rows} == {"counted"}


def test_ratios_are_token_over_latent_and_null_where_the_latent_has_none() -> None:
    rows = counted_measures(counts(), None, "prefill", "dense")
    assert found(rows, "pair", "ratio:flops").value == 190 / 24
    state = found(rows, "pair", "ratio:state_bytes")
    assert state.value is None
    assert state.reason == "the latent arm's state_bytes is 0"


def test_score_keeps_no_state_and_says_so_rather_than_zero() -> None:
    rows = counted_measures(counts(), None, "score", "dense")
    for arm, name in (("token", "state_bytes"), ("latent", "state_bytes"), ("pair", "ratio:state_bytes")):
        assert found(rows, arm, name).value is None
        assert found(rows, arm, name).reason == "score keeps no state"


def test_element_wise_work_is_null_unless_the_ledger_counted_it() -> None:
    other = {"token": {"layers": 60, "head": 3, "total": 63}, "latent": {"mixer": 9, "total": 9}}
    rows = counted_measures(counts(), other, "score", "dense")
    assert found(rows, "token", "flops_other").value == 63
    assert found(rows, "pair", "ratio:flops_other").value == 7.0
    unknown = found(counted_measures(counts(), None, "score", "dense"), "token", "flops_other")
    assert unknown.value is None
    assert unknown.reason is not None


def test_a_ratio_carries_the_weaker_source_and_both_meters() -> None:
    ratio = pair_ratio(measure(source="measured", by="rapl"), measure(arm="latent", value=2, source="estimated", by="codecarbon"))
    assert ratio.source == "estimated"
    assert ratio.by == "rapl, codecarbon"
    assert ratio.quantity == "ratio:flops"


def test_a_ratio_of_a_missing_figure_says_why_it_is_missing() -> None:
    ratio = pair_ratio(measure(), measure(arm="latent", value=None, reason="does not fit in memory"))
    assert (ratio.value, ratio.reason) == (None, "does not fit in memory")


def test_records_need_neither_torch_nor_pandas() -> None:
    code = "import sys, spanbench.record; print([m for m in ('torch', 'pandas', 'numpy', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
