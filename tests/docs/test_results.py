"""What is shown of the committed records is what the records give, to the last byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
RECORDS = sorted(RESULTS.glob("*.jsonl"))


def test_the_readmes_show_what_the_records_give() -> None:
    ran = subprocess.run([sys.executable, RESULTS / "generate.py", "--check"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_committed_report_is_what_the_records_give(tmp_path: Path) -> None:
    formats = "wide,markdown,svg,html"
    command = [sys.executable, "-m", "spanbench", "report", *map(str, RECORDS), "--out", str(tmp_path), "--formats", formats]
    subprocess.run(command, capture_output=True, check=True)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(RESULTS / "report"): path.read_bytes() for path in (RESULTS / "report").rglob("*") if path.is_file()}
    assert made.keys() == kept.keys()
    assert [str(name) for name in made if made[name] != kept[name]] == []


def test_every_committed_count_is_derived_again() -> None:
    ran = subprocess.run([sys.executable, "-m", "spanbench", "verify", RESULTS], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
