"""`spanbench verify` and `schema`: what is right passes, whatever is changed by one is named, and the exit code says which."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.count.recorded import Texts, audit_file
from spanbench.record import Record, read
from spanbench.record.findings import CHECKS, Finding, Place
from spanbench.record.lines import lines_of
from spanbench.record.schema import schema_text
from tests.cli.running import TINY, Cli, python

FIXTURES = Path(__file__).parents[1] / "record_fixtures"
COUNTED, MEASURED, FIRST, PAIRED = (FIXTURES / f"v1_{name}.jsonl" for name in ("counted", "measured", "first", "paired"))
PANGRAM = FIXTURES / "pangram.txt"
RESULTS = Path(__file__).parents[2] / "results"
Plain = dict[str, Any]


@cache
def texts() -> Texts:
    return Texts.load([str(PANGRAM)], None)


def plain(path: Path, line: int = 1) -> Plain:
    found: Plain = json.loads(path.read_text(encoding="utf-8").splitlines()[line - 1])
    return found


def written(folder: Path, *lines: Plain | str) -> Path:
    path = folder / "changed.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def findings(folder: Path, changed: Plain) -> list[Finding]:
    return audit_file(written(folder, changed), texts()).findings


def place(row: Mapping[str, Any]) -> Place:
    return Place(row["quantity"], row["arm"], row["regime"], row["stage"])


def row_of(record: Plain, **wanted: str) -> Plain:
    return next(row for row in record["measures"] if wanted.items() <= row.items())


# ---- what is right --------------------------------------------------------------------------------------------------


def test_every_record_ever_written_holds(cli: Cli) -> None:
    ran = cli("verify", FIXTURES, "--prompt", PANGRAM, "--format", "json")
    assert ran.code == 0, ran
    found = json.loads(ran.out)
    checked = {check["check"]: check["checked"] for file in found["files"] for check in file["checks"]}
    assert found["findings"] == []
    assert {name for name, count in checked.items() if not count} == {"ledger"}
    assert {left["check"] for file in found["files"] for left in file["left"]} == {"counts"}


def test_the_committed_results_hold(cli: Cli) -> None:
    assert "Every figure that was checked is what it should be" in cli.data("verify", RESULTS)


def test_a_record_counted_now_holds_as_well(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "now.jsonl"
    cli.data("count", *TINY, "--out", kept)
    assert json.loads(cli.data("verify", kept, "--format", "json"))["files"][0]["records"] == 1


@pytest.mark.slow
def test_a_record_measured_now_holds_as_well(cli: Cli, tmp_path: Path) -> None:
    kept, every = tmp_path / "now.jsonl", "score,prefill,decode,decode_worst,request"
    cli.data("compare", *TINY, "--regime", every, "--max-time", "3", "--stages", "--co2", "FRA", "--meter", "model", "--out", kept)
    assert json.loads(cli.data("verify", kept, "--deep", "--format", "json"))["files"][0]["records"] == 1


def test_every_count_of_a_record_is_derived() -> None:
    """Each counted row of the arms is checked or left: none is passed over."""
    for path in (COUNTED, FIRST, MEASURED):
        for record, audit in zip(read(path), audit_file(path, texts()).audits, strict=True):
            rows = [row for row in record.measures if row.source == "counted"]
            own = [row for row in rows if row.arm != "pair" and row.quantity not in {"flops_other", "bytes_per_token"}]
            stages = {(row.arm, row.regime, row.stage) for row in own}
            absent = audit.checked["counts"] - len(own)  # the bridge that cross-attention replaces has no rows where all are 0
            bridges = sum(("latent", regime, "bridge") not in stages for regime in record.point["regimes"])  # type: ignore[union-attr]  # a list in every record
            assert absent == 11 * bridges
            assert audit.left["counts", "element-wise work has no closed form (--deep runs the ledger)"] == sum(
                row.quantity.removeprefix("ratio:") == "flops_other" for row in rows
            )


# ---- what is changed by one -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("path", [COUNTED, FIRST, MEASURED, PAIRED], ids=lambda path: path.stem)
def test_each_count_changed_by_one_is_named_with_what_it_should_be(path: Path, by: int, tmp_path: Path) -> None:
    """All at once: each is held against its own closed form, so none is noticed by another's being wrong."""
    for number in range(1, len(read(path)) + 1):
        record = plain(path, number)
        counts = [row for row in record["measures"] if row["source"] == "counted" and row["arm"] != "pair" and row["value"] is not None]
        derived = [row for row in counts if row["quantity"] not in {"flops_other", "bytes_per_token"}]
        before = {place(row): row["value"] for row in derived}
        for row in counts:
            row["value"] += by
        named = {one.place: (one.recorded, one.derived) for one in findings(tmp_path, record) if one.check == "counts"}
        assert named == {where: (value + by, value) for where, value in before.items()}
        assert len(before) > 50


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize(
    ("stage", "quantity"), [("decoder", "flops"), ("total", "bytes_compulsory"), ("mixer", "state_bytes"), ("head", "macs")]
)
def test_one_count_changed_by_one_is_named_alone_but_for_what_it_adds_up_to(by: int, stage: str, quantity: str, tmp_path: Path) -> None:
    record = plain(FIRST)
    row = row_of(record, arm="latent", regime="prefill", stage=stage, quantity=quantity)
    before, row["value"] = row["value"], row["value"] + by
    found = findings(tmp_path, record)
    assert ("counts", place(row), before + by, before) in {(one.check, one.place, one.recorded, one.derived) for one in found}
    assert {one.place.quantity.removeprefix("ratio:") for one in found} == {quantity}
    assert {one.check for one in found} <= {"counts", "sums", "ratios"}


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("stage", ["embedding", "encoder", "mixer", "bridge", "decoder", "head"])
def test_element_wise_work_changed_by_one_is_named_by_its_sum(by: int, stage: str, tmp_path: Path) -> None:
    record = plain(COUNTED)
    row, total = (row_of(record, arm="latent", regime="prefill", stage=name, quantity="flops_other") for name in (stage, "total"))
    row["value"] += by
    (found,) = (one for one in findings(tmp_path, record) if one.check == "sums")
    assert (found.place, found.recorded, found.derived) == (place(total), total["value"], total["value"] + by)


@pytest.mark.parametrize("line", [1, 2, 3])
def test_every_figure_changed_to_beyond_its_ends_is_named(line: int, tmp_path: Path) -> None:
    record = plain(MEASURED, line)
    ended = [row for row in record["measures"] if row["low"] is not None and row["high"] is not None]
    for row in ended:
        row["value"] += row["high"] - row["low"] + 1
    assert {one.place for one in findings(tmp_path, record) if one.check == "intervals"} == {place(row) for row in ended}
    assert {row["source"] for row in ended} >= {"measured", "modelled"}


@pytest.mark.parametrize("by", [1, -1])
def test_every_ratio_changed_by_one_is_named(by: int, tmp_path: Path) -> None:
    """A median over blocks may have so wide a range of slots that one more is still within it: then its interval is told."""
    record = plain(MEASURED)
    ratios = [row for row in record["measures"] if row["quantity"].startswith("ratio:") and row["value"] is not None]
    for row in ratios:
        row["value"] += by
    named = {one.place for one in findings(tmp_path, record) if one.check in {"ratios", "intervals"}}
    blocks = [row for row in ratios if row["quantity"] in {"ratio:seconds", "ratio:joules", "ratio:first_token_seconds"}]
    ended = [row for row in blocks if row["low"] is not None]
    assert {place(row) for row in ratios if row not in blocks} <= named
    assert {place(row) for row in ended if not row["low"] <= row["value"] <= row["high"]} <= named
    assert {row["source"] for row in ratios} == {"counted", "measured", "modelled"}


def test_a_ratio_of_rates_is_a_quotient_only_where_it_says_nothing_of_blocks(tmp_path: Path) -> None:
    """The first records have bare quotients; a median over blocks has its interval, or the reason for none."""
    first, paired = plain(FIRST, 2), plain(PAIRED)
    old, new = (row_of(record, regime="decode", quantity="ratio:tokens_per_second") for record in (first, paired))
    assert (old["low"], old["reason"]) == (None, None)
    assert new["low"] < new["value"] < new["high"]
    old["value"] *= 1.001
    new["low"] = new["high"] = None
    for record, row in ((first, old), (paired, new)):
        assert [(one.check, one.place) for one in findings(tmp_path, record)] == [("ratios", place(row))]


CHANGES: Mapping[str, tuple[str, str, Callable[[Plain, Plain], object]]] = {
    "a unit": ("names", "seconds (unit)", lambda _, row: row.update(unit="ms")),
    "steps": ("names", "seconds (steps)", lambda _, row: row.update(steps=2)),
    "a regime that was not asked for": ("names", "seconds (regime)", lambda _, row: row.update(regime="decode_worst")),
    "an arm": ("names", "seconds (arm)", lambda _, row: row.update(arm="pair")),
    "an unknown quantity": ("names", "minutes", lambda _, row: row.update(quantity="minutes")),
    "a figure twice": ("names", "seconds (rows)", lambda record, row: record["measures"].append(dict(row))),
    "a counted second": ("sources", "seconds (source)", lambda _, row: row.update(source="counted", low=None, high=None)),
    "a second below zero": ("values", "seconds", lambda _, row: row.update(value=-1.0, low=-2.0, high=0.0)),
    "one end": ("reasons", "seconds (ends)", lambda _, row: row.update(low=None)),
    "ends of a null": ("reasons", "seconds (ends)", lambda _, row: row.update(value=None, reason="lost")),
    "no commit": ("environment", "commit", lambda record, _: record["environment"].pop("commit")),
    "a prompt of no name": ("environment", "prompt", lambda record, _: record["environment"].update(prompt=None)),
    "no version of torch": ("environment", "packages.torch", lambda record, _: record["environment"]["packages"].pop("torch")),
    "a time without a zone": ("environment", "time_utc", lambda record, _: record["environment"].update(time_utc="2026-11-21T23:15:47")),
    "no order of the slots": ("environment", "schedule", lambda record, _: record["environment"].pop("schedule")),
    "a hash that is another's": ("id", "id", lambda record, _: record.update(id="0" * 16)),
    "a figure that is gone": ("counts", "flops", lambda record, _: record["measures"].remove(row_of(record, quantity="flops"))),
    "a count of no stage": ("counts", "flops", lambda record, _: row_of(record, stage="layers", quantity="flops").update(stage="mixer")),
    "a count that is a float": ("values", "flops", lambda record, _: row_of(record, stage="total", quantity="flops").update(value=1.5)),
    "a seed": ("id", "id", lambda record, _: record["point"].update(seed=1)),
    "a prompt that is another": ("prompt", "prompt", lambda record, _: record["point"].update(prompt="0" * 64)),
    "a convention": ("counts", "flops", lambda record, _: record.update(convention="useful")),
    "a width": ("counts", "params", lambda record, _: record["point"]["shape"]["token"].update(mlp=255)),
}


@pytest.mark.parametrize(("check", "named", "change"), CHANGES.values(), ids=CHANGES)
def test_every_other_change_is_named(check: str, named: str, change: Callable[[Plain, Plain], object], tmp_path: Path) -> None:
    record = plain(MEASURED, 3)
    assert findings(tmp_path, record) == []
    change(record, row_of(record, arm="latent", quantity="seconds"))
    assert (check, named) in {(finding.check, finding.place.quantity) for finding in findings(tmp_path, record)}


# ---- the prompt -----------------------------------------------------------------------------------------------------


def test_without_its_text_a_record_has_its_bytes_left_and_all_else_checked(cli: Cli, tmp_path: Path) -> None:
    path = written(tmp_path, plain(COUNTED, 6))
    (with_it, without) = (
        {check["check"]: check for check in json.loads(cli.data("verify", path, *more, "--format", "json"))["files"][0]["checks"]}
        for more in (("--prompt", PANGRAM), ())
    )
    assert (with_it["prompt"]["left"], without["prompt"]["left"]) == (0, 1)
    assert without["counts"]["left"] - with_it["counts"]["left"] == with_it["counts"]["checked"] - without["counts"]["checked"] + 5
    assert without["counts"]["checked"] > 0.9 * with_it["counts"]["checked"]


def test_another_text_is_not_taken_for_it(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Quite another text, which is as long as it needs to be.")
    said = cli.data("verify", written(tmp_path, plain(COUNTED, 6)), "--prompt", other)
    assert "the record's prompt is not at hand" in said


# ---- lines ----------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.data())
def test_any_beginning_of_a_line_is_one_that_breaks_off(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = FIRST.read_bytes().split(b"\n")[0]
    end = data.draw(st.integers(1, len(whole) - 1))
    path = tmp_path_factory.mktemp("cut") / "cut.jsonl"
    path.write_bytes(whole[:end])
    (line,) = lines_of(path)
    assert line.cut
    assert line.plain is None


@pytest.mark.parametrize("text", ['{"a": "é', '{"a": "\\', '{"a": "\\u00', '{"a": -', '{"a": 1.', '{"a": 1e', '{"a": tr', '{"a": [', "{"])
def test_a_line_may_break_off_within_anything(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_bytes(text.encode()[: -1 if text.endswith("é") else None])
    assert [line.cut for line in lines_of(path)] == [True]


@pytest.mark.parametrize(
    "text", ["hello", "[1", '{"a": 1} n', '{"a": nul}', "{'a': 1}", '{"a": NaN}', '{"a": \xff}', "1" * 5000, "[" * 100_000]
)
def test_a_line_of_anything_else_is_wrong_and_not_cut(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_bytes(text.encode("latin-1") + b"\n")
    (line,) = lines_of(path)
    assert not line.cut
    assert line.problem


def test_a_line_that_breaks_off_is_noted_and_the_rest_is_checked(cli: Cli, tmp_path: Path) -> None:
    whole = json.dumps(plain(FIRST))
    path = written(tmp_path, whole[: len(whole) // 2], whole, whole[:100])
    ran = cli("verify", path)
    assert ran.code == 0
    told = " ".join(ran.out.split())
    assert "line 1 breaks off" in told
    assert "line 3 breaks off" in told
    assert "1 record in 1 file" in told


# ---- exit codes -----------------------------------------------------------------------------------------------------


def test_a_wrong_figure_is_exit_1_and_is_named_on_both_streams(cli: Cli, tmp_path: Path) -> None:
    record = plain(FIRST)
    row_of(record, arm="latent", regime="score", stage="mixer", quantity="cells_dense")["value"] += 1
    ran = cli("verify", written(tmp_path, {"schema": 99}, record))
    assert ran.code == 1
    wanted = "line 2: latent score mixer cells_dense: recorded 32,769, should be 32,768 [counts]"
    assert wanted in " ".join(ran.out.split())
    assert "spanbench: error: verify: 2 wrong; " in ran.err


@pytest.mark.parametrize(
    "line", ['{"schema": 2}', "{}", "[]", "hello", '{"schema": 1}', '{"schema": 1, "point": {}, "convention": "dense", "measures": []}']
)
def test_a_line_that_is_no_record_is_exit_3(cli: Cli, line: str, tmp_path: Path) -> None:
    ran = cli("verify", written(tmp_path, plain(FIRST), line))
    assert ran.code == 3
    assert ran.err.splitlines()[-1].startswith("spanbench: error: verify: 1 not as the schema says; ")
    assert "line 2: " in ran.err


@pytest.mark.parametrize("change", [{"shape": None}, {"tokens": "24"}, {"span": 0}, {"regimes": 3}, {"dtype": "int8"}, {"colour": "red"}])
def test_a_point_that_cannot_be_is_exit_3(cli: Cli, change: Plain, tmp_path: Path) -> None:
    record = plain(FIRST)
    record["point"] |= change
    assert cli("verify", written(tmp_path, record)).code == 3


def test_a_missing_key_of_the_environment_is_named_and_exit_3(cli: Cli, tmp_path: Path) -> None:
    record = plain(FIRST)
    del record["environment"]["commit"]
    ran = cli("verify", written(tmp_path, record))
    assert ran.code == 3
    assert "line 1: commit: recorded missing, should be named [environment]" in ran.err


def test_nothing_to_verify_is_exit_5(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    written(tmp_path, '{"schema":1,"id')
    for path in (tmp_path, tmp_path / "empty.jsonl"):
        ran = cli("verify", path)
        assert (ran.code, ran.err.splitlines()[-1].startswith("spanbench: error: verify: no record in ")) == (5, True)


def test_a_path_that_is_not_there_is_exit_2(cli: Cli, tmp_path: Path) -> None:
    assert "there is no such file or folder" in cli.fails("verify", tmp_path / "none.jsonl")
    assert "there is no such file" in cli.fails("verify", FIRST, "--prompt", tmp_path / "none.txt")


# ---- formats, folders, weight ---------------------------------------------------------------------------------------


def test_folders_are_searched_and_no_file_is_read_twice(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b.jsonl").write_bytes(FIRST.read_bytes())
    (tmp_path / "notes.txt").write_text("no record")
    found = json.loads(cli.data("verify", tmp_path, tmp_path / "inner", "--format", "json"))
    assert [file["file"] for file in found["files"]] == [str(tmp_path / "inner" / "b.jsonl")]


def test_csv_has_a_row_for_each_file_and_check(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli.data("verify", FIRST, RESULTS, "--format", "csv"))))
    files = {row["file"] for row in rows}
    assert str(FIRST) in files
    assert [row["check"] for row in rows] == list(CHECKS) * len(files)


def test_a_table_fits_80_columns_and_markdown_has_the_same_figures(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    shown, marked = cli.data("verify", FIRST.name), cli.data("verify", FIRST.name, "--format", "markdown")
    assert max(map(len, shown.splitlines())) <= 80
    (held,) = (line.split()[-3:] for line in shown.splitlines() if line.startswith("counts"))
    assert f"| {' | '.join(held)} |" in next(line for line in marked.splitlines() if line.startswith("| counts"))


@pytest.mark.parametrize("command", [("verify", str(FIXTURES)), ("schema",)])
def test_neither_command_loads_torch(command: tuple[str, ...]) -> None:
    code = "import sys; from spanbench.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    ran = python(code, *command)
    assert "spanbench.cli.app" in ran.stderr
    assert {name.partition(".")[0] for name in ran.stderr.split()} & {"torch", "numpy", "pandas", "fvcore"} == set()


def test_schema_prints_the_committed_schema(cli: Cli) -> None:
    assert cli.data("schema") == schema_text()
    assert cli.data("schema", "--format", "json") == schema_text()


def test_schema_as_a_table_names_every_field(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli.data("schema", "--format", "csv"))))
    assert {row["field"] for row in rows if row["of"] == "Measure"} == set(plain(FIRST)["measures"][0])
    shown = cli.data("schema", "--format", "table")
    assert max(map(len, shown.splitlines())) <= 80


# ---- the ledger -----------------------------------------------------------------------------------------------------


def test_deep_holds_element_wise_work_and_names_what_differs(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "now.jsonl"
    cli.data("count", *TINY, "--out", kept)
    record = plain(kept)
    found = json.loads(cli.data("verify", kept, "--deep", "--format", "json"))
    assert next(check for check in found["files"][0]["checks"] if check["check"] == "ledger")["checked"] == sum(
        row["arm"] != "pair" for row in record["measures"] if row["source"] == "counted"
    )
    stage, total = (row_of(record, arm="latent", stage=name, quantity="flops_other") for name in ("mixer", "total"))
    stage["value"], total["value"] = stage["value"] + 1, total["value"] + 1
    row_of(record, quantity="ratio:flops_other")["value"] = (
        row_of(record, arm="token", stage="total", quantity="flops_other")["value"] / total["value"]
    )
    path = written(tmp_path, record)
    assert cli("verify", path).code == 0  # sum and ratio were mended with it: only the ledger knows
    named = [
        (one["check"], one["stage"], one["recorded"] - one["derived"])
        for one in json.loads(cli("verify", path, "--deep", "--format", "json").out)["findings"]
    ]
    assert sorted(named) == [("ledger", "mixer", 1), ("ledger", "total", 1)]


def test_deep_leaves_element_wise_work_that_another_torch_counted(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "now.jsonl"
    cli.data("count", *TINY, "--out", kept)
    record = plain(kept)
    record["environment"]["packages"]["torch"] = "1.0.0"
    said = " ".join(cli.data("verify", written(tmp_path, record), "--deep").split())
    assert "element-wise work was counted by torch 1.0.0" in said


def test_deep_needs_no_prompt_for_what_does_not_depend_on_it(cli: Cli, tmp_path: Path) -> None:
    text, kept = tmp_path / "mine.txt", tmp_path / "mine.jsonl"
    text.write_text("Every good boy does fine, and every other boy as well as he can.")
    cli.data("count", *TINY, "--prompt", text, "--out", kept)
    checks = {check["check"]: check for check in json.loads(cli.data("verify", kept, "--deep", "--format", "json"))["files"][0]["checks"]}
    assert checks["ledger"]["wrong"] == 0
    assert 0 < checks["ledger"]["left"] < checks["ledger"]["checked"] / 10


def test_a_record_read_back_is_the_record_that_was_checked() -> None:
    assert [Record.from_line(line.decode()).id for line in FIRST.read_bytes().splitlines()] == [plain(FIRST, n)["id"] for n in (1, 2, 3)]
