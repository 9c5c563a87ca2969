"""Standard output and --out that fail late: what was worked out is not lost, and the failure is one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spanbench.cli.output import keep
from spanbench.errors import UsageError
from spanbench.record import Record
from tests.cli.running import SECONDS

EXPLAIN = (sys.executable, "-m", "spanbench", "explain", "--preset", "document", "--tokens", "64")


def test_figures_are_shown_before_a_record_file_that_failed_is_told(tmp_path: Path) -> None:
    shown = []
    with pytest.raises(UsageError, match="--out"), keep(str(tmp_path), Record(point={}, convention="dense", measures=[])):
        shown.append("figures")
    assert shown == ["figures"]


def test_a_full_disk_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(EXPLAIN, stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ["spanbench: error: standard output cannot be written: No space left on device"],
    )


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(EXPLAIN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()  # as `| true` does
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(SECONDS) == 0
