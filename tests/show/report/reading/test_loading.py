from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spanbench.errors import NothingMeasured, UsageError
from spanbench.record import Record, SchemaMismatch
from spanbench.show.report.reading.digest import Digest, Wanted
from spanbench.show.report.reading.loading import load
from spanbench.show.report.sections.build import build, summarise
from tests.show.report.records import counted, measured, series

EVERYTHING = Wanted(tidy=True, wide=True)


def written(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(lines).encode())
    return path


def loaded(*paths: Path) -> tuple[list[Digest], list[str]]:
    notes: list[str] = []
    return load(paths, EVERYTHING, notes.append), notes


def changed(record: Record, **measure: Any) -> str:
    plain = record.to_json()
    plain["measures"][0] |= measure
    return json.dumps(plain) + "\n"


def test_reading_lines_gives_what_checked_records_give(tmp_path: Path) -> None:
    records = [*series(), counted(1024)]
    digests, notes = loaded(written(tmp_path / "a", *(record.to_line() for record in records)))
    assert build(digests) == summarise(records)
    assert notes == []


def test_a_line_written_in_another_way_is_read_by_the_full_check(tmp_path: Path) -> None:
    plain = counted().to_json()
    for measure in plain["measures"]:
        del measure["low"], measure["high"], measure["steps"]  # they have defaults
    (digest,), _ = loaded(written(tmp_path / "a", json.dumps(plain) + "\n"))
    (usual,), _ = loaded(written(tmp_path / "b", counted().to_line()))
    assert (digest.tidy, digest.wide) == (usual.tidy, usual.wide)


def test_a_half_written_last_line_is_left_out_with_a_note_and_stays_on_disk(tmp_path: Path) -> None:
    path = written(tmp_path / "a", counted(64).to_line(), counted(128).to_line()[:500])
    before = path.read_bytes()
    digests, notes = loaded(path)
    assert [digest.tokens for digest in digests] == [64]
    assert notes == [f"{path}: line 2 is half-written and was left out"]
    assert path.read_bytes() == before


def test_a_half_written_line_that_a_later_run_went_on_behind_is_left_out_too(tmp_path: Path) -> None:
    digests, notes = loaded(written(tmp_path / "a", counted(64).to_line(), counted(128).to_line()[:500] + "\n", counted(256).to_line()))
    assert [digest.tokens for digest in digests] == [64, 256]
    assert len(notes) == 1


def test_a_last_line_cut_within_a_letter_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(counted(64).to_line().encode() + '{"schema":1,"id":"×'.encode()[:-1])
    assert len(loaded(path)[0]) == 1


def test_records_given_twice_are_told_of(tmp_path: Path) -> None:
    path = written(tmp_path / "a", *(record.to_line() for record in series()))
    digests, notes = loaded(path, path)
    assert (len(digests), notes) == (4, ["4 records were given more than once and are shown once"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "12"}, "measures.0.value"),
        ({"value": True}, "measures.0.value"),
        ({"value": None, "reason": None}, "a null value needs a reason"),
        ({"source": "guessed"}, "measures.0.source"),
        ({"arm": "other"}, "measures.0.arm"),
        ({"more": 1}, "measures.0.more"),
        ({"low": "x"}, "measures.0.low"),
    ],
)
def test_a_wrong_measure_is_refused_with_its_line_and_place(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = written(tmp_path / "a", counted(64).to_line(), changed(counted(128), **change), counted(256).to_line())
    with pytest.raises(UsageError, match=f"line 2: .*{message}"):
        loaded(path)


def test_a_changed_point_is_refused_because_the_id_is_no_more_its_hash(tmp_path: Path) -> None:
    plain = counted().to_json()
    plain["point"]["tokens"] += 1
    with pytest.raises(UsageError, match="is not the hash"):
        loaded(written(tmp_path / "a", json.dumps(plain) + "\n"))


def test_a_point_that_no_report_can_place_is_refused_in_one_line(tmp_path: Path) -> None:
    record = Record(point={"tokens": 5}, convention="dense", measures=counted().measures)
    with pytest.raises(UsageError, match=r"line 1: its point is not one that a report can place \(KeyError: "):
        loaded(written(tmp_path / "a", record.to_line()))


def test_a_record_of_another_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="schema 2"):
        loaded(written(tmp_path / "a", json.dumps(measured().to_json() | {"schema": 2}) + "\n"))


@pytest.mark.parametrize("content", ["", "\n\n", '{"schema":1,'])
def test_no_record_is_nothing_to_report(tmp_path: Path, content: str) -> None:
    with pytest.raises(NothingMeasured, match="no record in"):
        loaded(written(tmp_path / "a", content))


@pytest.mark.parametrize("name", ["missing", ".", "nul\0"])
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot read records from"):
        loaded(tmp_path / name)
