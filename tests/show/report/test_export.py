from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spanbench.cli.report import EXPORT_NAMES, USUAL_NAMES
from spanbench.errors import UsageError
from spanbench.record import Record
from spanbench.show.formats import FORMATS
from spanbench.show.report.export import EXPORTS, check_folder, export, wanted_of
from spanbench.show.report.page import MOST_ROWS, page, render_report, thinned
from spanbench.show.report.reading.digest import digest, distinct
from spanbench.show.report.sections.build import build, summarise
from spanbench.show.report.tables.frame import read_tidy_csv, tidy_frame
from spanbench.show.report.written import render_written
from tests.show.report.records import LAPTOP, SERVER, counted, series

DATA = ("csv", "wide", "markdown")
PROGRAM = "import sys; from spanbench.cli.main import main; sys.exit(main(sys.argv[1:]))"


def exported(folder: Path, records: list[Record], formats: tuple[str, ...] = DATA) -> dict[str, bytes]:
    check_folder(folder, formats)
    digests = distinct([digest(record, wanted_of(formats)) for record in records])
    written = export(digests, build(digests), folder, formats)
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {one.file: one.bytes for one in written} == {name: len(content) for name, content in found.items()}
    return found


def test_equal_records_in_another_order_give_byte_identical_files(tmp_path: Path) -> None:
    records = [*series(environment=LAPTOP), *series(environment=SERVER), counted(1024)]
    assert exported(tmp_path / "a", records) == exported(tmp_path / "b", records[::-1])


def test_other_processes_folders_and_hash_seeds_give_byte_identical_files(tmp_path: Path) -> None:
    digests = set()
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        (folder / f"{seed}.jsonl").write_text("".join(record.to_line() for record in series()), encoding="utf-8")
        arguments = ("report", f"{seed}.jsonl", "--out", "report", "--formats", "csv,wide,parquet,markdown,svg,html")
        pytest.importorskip("pyarrow", reason="needs the extra spanbench[parquet]")
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        files = sorted(path for path in (folder / "report").rglob("*") if path.is_file())
        digests.add(tuple((str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files))
    (only,) = digests
    assert {name for name, _ in only} > {
        "report/records.csv",
        "report/points.csv",
        "report/report.md",
        "report/report.html",
        "report/points.parquet",
    }


def test_records_csv_reads_back_as_the_frame_of_its_records(tmp_path: Path) -> None:
    records = series()
    exported(tmp_path, records, ("csv",))
    assert read_tidy_csv(tmp_path / "records.csv").equals(tidy_frame(sorted(records, key=lambda record: int(str(record.point["tokens"])))))


def test_a_second_report_replaces_the_first_and_leaves_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    first = exported_beside(tmp_path, series())
    second = exported_beside(tmp_path, series(lengths=(64, 128)))
    assert first != second
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def exported_beside(folder: Path, records: list[Record]) -> bytes:
    digests = distinct([digest(record, wanted_of(DATA)) for record in records])
    export(digests, build(digests), folder, DATA)
    return (folder / "report.md").read_bytes()


def test_a_folder_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="--out: cannot write into"):
        check_folder(tmp_path / "a", DATA)


def test_a_file_in_the_way_of_plots_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "plots").write_text("mine", encoding="utf-8")
    digests = [digest(record) for record in series()]
    with pytest.raises(UsageError, match=r"--out: cannot write .*plots"):
        export(digests, build(digests), tmp_path, ("svg",))


def test_the_command_knows_the_exporters_there_are() -> None:
    assert tuple(EXPORTS) == EXPORT_NAMES
    assert set(USUAL_NAMES) == set(EXPORT_NAMES) - {"parquet", "png"}


def test_the_markdown_report_says_splits_exponents_and_every_digit() -> None:
    text = render_report(summarise([*series(environment=LAPTOP), *series(environment=SERVER)]))
    flops = next(m.value for m in series()[3].measures if (m.arm, m.stage, m.quantity) == ("token", "total", "flops"))
    assert "measured on 2 machines" in text
    assert f"| 512 | {flops:,} |" in text
    assert "grows as | N^2.00 [2.00, 2.00] | N^1.00 [1.00, 1.00] |" in text
    assert "512× (460.8–563.2×) |" in text  # 512² µs ÷ 512 µs, and its interval


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_prints_an_empty_report_and_a_full_one(fmt: str) -> None:
    assert render_report(summarise([]), fmt) is not None
    assert render_report(summarise(series()), fmt).endswith("\n")
    assert render_written((summarise([]), []), fmt) is not None


def test_long_tables_are_thinned_evenly_with_both_ends_and_say_so() -> None:
    assert thinned(range(1, 1000), 5) == [1, 251, 500, 749, 999]
    assert thinned([3, 4], 5) == [3, 4]
    many = [counted(8 * n) for n in range(1, MOST_ROWS + 6)]
    titles = [block.title for block in page(summarise(many), "table").blocks if hasattr(block, "title")]
    assert any(f"{MOST_ROWS} of {MOST_ROWS + 5} lengths" in title for title in titles)
