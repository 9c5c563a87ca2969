from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from spanbench.record import Record
from tests.cli.running import Cli, python
from tests.cli.test_report import NO_TORCH
from tests.show.report.records import SERVER, counted, measured


def written(path: Path, *records: Record) -> Path:
    path.write_text("".join(record.to_line() for record in records), encoding="utf-8")
    return path


def off_by_one(record: Record) -> Record:
    first = record.measures[0]
    assert isinstance(first.value, int)
    return record.model_copy(update={"measures": [first.model_copy(update={"value": first.value + 1}), *record.measures[1:]]})


def test_equal_counts_are_exit_code_0_whatever_the_noise(cli: Cli, tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", measured()), written(tmp_path / "b", measured(seconds=(2.0, 1.0), environment=SERVER))
    text = cli.data("diff", a, b)
    assert "0 differ" in text
    assert "≠" in text
    assert "cpu.model" in text


def test_a_count_that_differs_is_exit_code_1_and_still_data(cli: Cli, tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", counted()), written(tmp_path / "b", off_by_one(counted()))
    ran = cli("diff", a, b, "--format", "json")
    (pair,) = json.loads(ran.out)["pairs"]
    assert (ran.code, ran.err, pair["same_counts"]) == (1, "", False)
    assert [(row["difference"], row["judged"]) for row in pair["count"]] == [(1, "≠")]


def test_the_csv_has_one_row_a_difference(cli: Cli, tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", counted()), written(tmp_path / "b", off_by_one(counted()))
    (row,) = csv.DictReader(io.StringIO(cli("diff", a, b, "--format", "csv").out))
    assert int(row["b"]) - int(row["a"]) == int(row["difference"]) == 1


def test_a_record_is_named_by_its_line_or_its_id(cli: Cli, tmp_path: Path) -> None:
    path = written(tmp_path / "a", counted(64), counted(128), counted(256))
    by_line = json.loads(cli("diff", f"{path}:1", f"{path}:3", "--format", "json").out)
    by_id = json.loads(cli("diff", f"{path}:{counted(64).id}", f"{path}:{counted(256).id}", "--format", "json").out)
    assert by_line == by_id
    assert [row["name"] for row in by_line["pairs"][0]["point"]] == ["tokens"]


def test_a_file_whose_name_looks_like_a_line_is_a_file(cli: Cli, tmp_path: Path) -> None:
    path = written(tmp_path / "records:12", counted())
    assert "0 differ" in cli.data("diff", path, path)


def test_files_are_compared_record_by_record(cli: Cli, tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", counted(64), counted(128)), written(tmp_path / "b", counted(128), counted(256))
    text = cli.data("diff", a, b)
    assert f"Only in A: {counted(64).id}." in text
    assert f"Only in B: {counted(256).id}." in text


def test_comparing_loads_no_torch(tmp_path: Path) -> None:
    path = written(tmp_path / "a", measured())
    done = python(NO_TORCH, "diff", str(path), str(path))
    assert done.returncode == 0, done.stderr


def test_two_conventions_are_exit_code_3(cli: Cli, tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", counted()), written(tmp_path / "b", counted(convention="useful"))
    assert "conventions dense and useful" in cli.fails("diff", a, b, code=3)


def test_another_schema_is_exit_code_3(cli: Cli, tmp_path: Path) -> None:
    path = written(tmp_path / "a", counted())
    (tmp_path / "b").write_text(json.dumps(counted().to_json() | {"schema": 99}) + "\n", encoding="utf-8")
    assert "schema 99" in cli.fails("diff", path, tmp_path / "b", code=3)
    assert "schema 99" in cli.fails("diff", path, f"{tmp_path / 'b'}:1", code=3)


@pytest.mark.parametrize(
    ("second", "code", "message"),
    [
        ("PATH:9", 2, "line 9: there is no record; the file has 2 lines"),
        ("PATH:0123456789abcdef", 5, "has no record of id 0123456789abcdef"),
        ("missing", 2, "cannot read records from"),
        ("missing:1", 2, "cannot read records from"),
        ("EMPTY", 5, "no record in"),
        ("OTHER", 5, "no record's id is in both"),
    ],
)
def test_what_cannot_be_compared_is_one_line(cli: Cli, tmp_path: Path, second: str, code: int, message: str) -> None:
    path = written(tmp_path / "a", counted(64), counted(128))
    (tmp_path / "empty").touch()
    other = written(tmp_path / "other", counted(512))
    named = second.replace("PATH", str(path)).replace("EMPTY", str(tmp_path / "empty")).replace("OTHER", str(other))
    assert message in cli.fails("diff", path, named, code=code)
