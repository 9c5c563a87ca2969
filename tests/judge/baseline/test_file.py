"""Bad baselines are refused in one line that names the file and the line; harmless ones are read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from spanbench.errors import SpanbenchError
from spanbench.judge.baseline.file import BASELINE, SCHEMA, Baseline, read_baseline
from spanbench.judge.baseline.writing import check_new, write_text
from spanbench.record import SCHEMA as RECORDS
from tests.judge.baseline.answers import answers, committed, question


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "baseline.jsonl"


def refused(file: Path, text: str | bytes) -> tuple[int, str]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpanbenchError) as caught:
        read_baseline(str(file))
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return caught.value.exit_code, str(caught.value)


def header(**changed: object) -> str:
    return "\n".join([json.dumps(json.loads(committed()[0]) | changed), *committed()[1:]])


def row(**changed: object) -> str:
    return "\n".join([committed()[0], json.dumps(json.loads(committed()[1]) | changed), *committed()[2:]])


def test_a_missing_file_is_a_mistake_of_the_user(file: Path) -> None:
    with pytest.raises(SpanbenchError, match="there is no such baseline; make one with spanbench baseline create") as caught:
        read_baseline(str(file))
    assert caught.value.exit_code == 2


def test_a_folder_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(SpanbenchError, match="cannot be read") as caught:
        read_baseline(str(tmp_path))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", "=======", ">>>>>>> main", "||||||| base"])
def test_conflict_markers_are_named_with_their_line(file: Path, line: str) -> None:
    code, said = refused(file, "\n".join([*committed()[:2], line, *committed()[2:]]))
    assert code == 3
    assert f"line 3: a merge conflict ({line.split(maxsplit=1)[0]})" in said
    code, said = refused(file, "\n".join([line, *committed()]))
    assert code == 3
    assert "take either side" in said


@pytest.mark.parametrize("key", ["baseline", "schema"])
def test_a_newer_file_says_that_it_was_written_by_a_newer_version(file: Path, key: str) -> None:
    code, said = refused(file, header(**{key: 2}))
    assert code == 3
    assert "line 1" in said
    assert "written by a newer version" in said


@pytest.mark.parametrize("value", [0, -1, "1", 1.0, True, None])
def test_a_version_that_is_none_is_refused(file: Path, value: object) -> None:
    assert refused(file, header(baseline=value))[0] == 3
    assert refused(file, header(schema=value))[0] == 3


@pytest.mark.parametrize("value", ["sparse", None, 1])
def test_a_convention_that_is_not_known_is_refused_with_those_known(file: Path, value: object) -> None:
    code, said = refused(file, header(convention=value))
    assert (code, "known: dense, useful, causal-half" in said) == (3, True)


@pytest.mark.parametrize("points", [None, {}, 3, [3], [{"tokenz": 3}], [{"tokens": 2.0}], [{"tokens": True}], [{"set": {"layerz": 1}}]])
def test_points_that_are_none_are_refused(file: Path, points: object) -> None:
    code, said = refused(file, header(points=points))
    assert (code, "line 1" in said) == (3, True)


def test_a_point_asked_twice_is_refused_and_so_is_one_that_is_not_in_its_one_form(file: Path) -> None:
    point = json.loads(committed()[0])["points"][0]
    code, said = refused(file, header(points=[point, point]))
    assert (code, "is asked for twice" in said) == (3, True)
    code, said = refused(file, header(points=[point | {"batch": 1}]))
    assert (code, "the point is written" in said) == (3, True)


@pytest.mark.parametrize("text", ["{}", "[]", "3", "null", "hello", '{"schema": 1}', "{", '{"a":1,"a":2}', "[" * 100_000])
def test_what_is_no_baseline_is_refused(file: Path, text: str) -> None:
    code, said = refused(file, text)
    assert (code, "line 1" in said) == (3, True)


@pytest.mark.parametrize("value", [1.0, "1", True, None, -1, [], {}, 1e300, float("nan")])
def test_counts_that_are_no_whole_numbers_are_refused_by_name(file: Path, value: object) -> None:
    plain = json.loads(committed()[1])
    regime = next(iter(plain["counts"]))
    plain["counts"][regime]["total"]["bytes_compulsory"] = value
    code, said = refused(file, row(counts=plain["counts"]))
    assert code == 3
    assert f"counts {regime} total bytes_compulsory" in said
    assert "line 2" in said


def test_a_total_that_is_not_the_sum_of_its_stages_was_edited_by_hand(file: Path) -> None:
    plain = json.loads(committed()[1])
    plain["counts"]["score"]["head"]["flops"] += 1
    code, said = refused(file, row(counts=plain["counts"]))
    assert (code, "the total flops of score" in said, "edited by hand" in said) == (3, True, True)


@pytest.mark.parametrize("keep", [1, 10, -1, -30])
def test_a_broken_last_line_is_refused(file: Path, keep: int) -> None:
    code, said = refused(file, "\n".join([*committed()[:-1], committed()[-1][:keep]]))
    assert (code, f"line {len(committed())}" in said) == (3, True)


def test_bytes_that_are_no_text_are_named_by_their_line(file: Path) -> None:
    code, said = refused(file, b"\n".join([committed()[0].encode(), b"\xff\xfe"]))
    assert (code, "line 2: is not UTF-8" in said) == (3, True)


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_are_let_pass(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*committed(), "", ""]).encode())
    assert [row.to_line() for row in read_baseline(str(file)).rows] == [f"{line}\n" for line in committed()[1:]]


def test_a_tolerant_reading_needs_the_header_alone_and_tells_what_it_left(file: Path) -> None:
    file.write_text("\n".join([committed()[0], "<<<<<<< a", committed()[1], "=======", committed()[1], ">>>>>>> b", "{"]), encoding="utf-8")
    read = read_baseline(str(file), tolerant=True)
    assert len(read.rows) == 1
    assert [problem.partition(": ")[0].rpartition(" ")[2] for problem in read.problems if "merge" in problem] == ["2", "4", "6"]
    assert len(read.problems) == 5


def test_what_is_written_is_read_back_and_written_the_same(file: Path) -> None:
    text = Baseline.text(question(), answers())
    write_text(str(file), text)
    read = read_baseline(str(file))
    assert Baseline.text(read.header, reversed(read.rows)) == text == file.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")
    assert read.in_order


def test_a_file_is_replaced_whole_and_keeps_its_permissions(file: Path) -> None:
    file.write_text("old")
    file.chmod(0o640)
    write_text(str(file), "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_new_file_is_refused_where_one_is(file: Path) -> None:
    file.write_text("old")
    with pytest.raises(SpanbenchError, match="is there already"):
        check_new(str(file), "--out", force=False)
    check_new(str(file), "--out", force=True)


def test_the_schema_is_that_of_records() -> None:
    assert (BASELINE, SCHEMA) == (1, RECORDS)


@pytest.mark.parametrize("key", ["tokens", "span", "batch"])
@pytest.mark.parametrize("value", [0, -1, 2**24 + 1, 10**30])
def test_a_number_that_slipped_is_told_before_anything_is_counted(file: Path, key: str, value: int) -> None:
    asked = json.loads(committed()[0])["points"]
    code, said = refused(file, header(points=[{**asked[0], key: value}]))
    assert code == 3
    assert "line 1, point 1: " in said
    assert f"{key} = " in said


def test_a_row_of_another_convention_is_refused(file: Path) -> None:
    code, said = refused(file, row(convention="useful"))
    assert code == 3
    assert "its FLOPs are by the convention useful, the header's by dense" in said


def test_a_new_file_replaces_none_that_appeared_meanwhile(file: Path) -> None:
    file.write_text("another's")
    with pytest.raises(SpanbenchError, match="File exists"):
        write_text(str(file), "mine", new=True)
    assert file.read_text() == "another's"
    assert list(file.parent.iterdir()) == [file]


def test_what_is_no_ordinary_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SpanbenchError, match="no ordinary file"):
        check_new(str(pipe), "--out", force=True)
