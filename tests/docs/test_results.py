"""What is shown of the committed records is what the records give, to the last byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


def test_the_readmes_show_what_the_records_give() -> None:
    ran = subprocess.run([sys.executable, RESULTS / "generate.py", "--check"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("preset", ["document", "small"])
def test_the_committed_reports_are_what_the_records_give(tmp_path: Path, preset: str) -> None:
    kept = RESULTS / "report" / preset
    command = [sys.executable, "-m", "spanbench", "report", *map(str, sorted(RESULTS.glob(f"{preset}*.jsonl"))), "--out", str(tmp_path)]
    subprocess.run([*command, "--formats", "wide,markdown,svg,html"], capture_output=True, check=True)
    made, there = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in (tmp_path, kept)
    )
    assert made.keys() == there.keys()
    assert [str(name) for name in made if made[name] != there[name]] == []


def test_every_file_of_records_is_in_a_report() -> None:
    assert {path.name.replace("_", "-").partition("-")[0] for path in RESULTS.glob("*.jsonl")} == {"document", "small"}


def test_every_committed_count_is_derived_again() -> None:
    ran = subprocess.run([sys.executable, "-m", "spanbench", "verify", RESULTS], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
