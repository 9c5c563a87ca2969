from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import SECONDS, TINY, Cli, python
from tests.show.report.records import SERVER, counted, series

NO_TORCH = """
import sys
from spanbench.cli.main import main
code = main(sys.argv[1:])
loaded = sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'fvcore', 'codecarbon'})
sys.exit(code if not loaded else f'loaded {loaded}')
"""


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(record.to_line() for record in series()), encoding="utf-8")
    return path


def test_without_a_folder_the_markdown_report_is_printed(cli: Cli, records: Path) -> None:
    text = cli.data("report", records)
    assert text.startswith("## spanbench report · 4 records in 1 section\n")
    assert "not near-constant" in text


def test_a_folder_gets_the_usual_files_and_they_are_listed(cli: Cli, records: Path, tmp_path: Path) -> None:
    listed = json.loads(cli.data("report", records, "--out", tmp_path / "out", "--format", "json"))
    names = [one["file"] for one in listed["written"]]
    assert {"records.csv", "points.csv", "report.md", "report.html"} < set(names)
    assert [name for name in names if name.startswith("plots/") and name.endswith(".svg")]
    assert {name: (tmp_path / "out" / name).stat().st_size for name in names} == {one["file"]: one["bytes"] for one in listed["written"]}


def test_only_the_formats_asked_for_are_written(cli: Cli, records: Path, tmp_path: Path) -> None:
    cli.data("report", records, "--out", tmp_path / "out", "--formats", "wide, markdown")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["points.csv", "report.md"]


def test_a_record_that_count_writes_is_reported(cli: Cli, tmp_path: Path) -> None:
    cli.data("count", *TINY, "--out", tmp_path / "a.jsonl")
    report = json.loads(cli.data("report", tmp_path / "a.jsonl", "--format", "json"))["report"]
    assert [section["setup"]["preset"] for section in report["sections"]] == ["tiny"]


def test_several_machines_are_split_and_it_is_said(cli: Cli, records: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("".join(record.to_line() for record in series(environment=SERVER)), encoding="utf-8")
    assert "measured on 2 machines" in cli.data("report", records, other)


def test_a_half_written_last_line_is_a_note_on_standard_error(cli: Cli, records: Path) -> None:
    with records.open("a", encoding="utf-8") as file:
        file.write(counted(2048).to_line()[:300])
    ran = cli("report", records)
    assert ran.code == 0
    assert ran.err == f"note: {records}: line 5 is half-written and was left out\n"
    assert "half-written" not in ran.out


def test_reporting_loads_no_torch(records: Path, tmp_path: Path) -> None:
    done = python(NO_TORCH, "report", str(records), "--out", str(tmp_path / "out"), "--formats", "csv,wide,markdown,svg,html")
    assert done.returncode == 0, done.stderr


def test_a_report_asked_for_as_a_module_prints_the_same(records: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spanbench", "report", str(records)], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_record_is_exit_code_5(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert "no record in" in cli.fails("report", tmp_path / "empty", code=5)


def test_another_schema_is_exit_code_3(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps(counted().to_json() | {"schema": 99}) + "\n", encoding="utf-8")
    assert "schema 99" in cli.fails("report", tmp_path / "a", code=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "OUT", "--formats", "csvv"), "--formats: unknown value 'csvv' — did you mean 'csv'?"),
        (("--out", "OUT", "--formats", ","), "no format given"),
        (("--formats", "csv"), "give their folder with --out DIR"),
        (("--out", "RECORDS"), "--out: cannot write into"),
        (("--format", "html"), "--format: unknown value 'html'"),
    ],
)
def test_what_cannot_be_is_one_line(cli: Cli, records: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    places = {"OUT": str(tmp_path / "out"), "RECORDS": str(records)}
    assert message in cli.fails("report", records, *(places.get(word, word) for word in arguments))


def test_a_missing_file_is_one_line(cli: Cli, tmp_path: Path) -> None:
    assert "cannot read records from" in cli.fails("report", tmp_path / "missing")
