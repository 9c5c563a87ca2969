"""`spanbench sweep`, `point` and `merge` as a user starts them."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanbench.record import read
from spanbench.sweep.grid import Grid
from spanbench.sweep.plan import plan_of
from tests.cli.processes import spanbench
from tests.cli.running import SECONDS, Cli, python

GRID = ("--preset", "tiny", "--tokens", "8,16", "--span", "4,7", "--allocation", "lean,mixer-only", "--regime", "prefill")
COUNT = ("sweep", *GRID, "--no-run", "--workers", "1")
QUICK = ("--max-time", "0.2", "--no-limits", "--no-peak", "--meter", "none")


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPANBENCH_RUNTIME", str(tmp_path_factory.mktemp("locks")))
        yield


def ids(path: Path) -> list[str]:
    return [record.id for record in read(path)]


# ---- what it would do -----------------------------------------------------------------------------------------------


def test_a_dry_run_lists_what_would_be_run_and_what_it_comes_to(cli: Cli) -> None:
    found = json.loads(cli.data("sweep", *GRID, "--dry-run", "--format", "json"))
    assert [(one["allocation"], one["span"], one["tokens"]) for one in found["points"]] == [
        ("lean", 4, 8), ("lean", 4, 16), ("lean", 7, 8), ("lean", 7, 16), ("mixer-only", 4, 8), ("mixer-only", 4, 16)
    ]  # fmt: skip
    assert found["sum"]["flops"] == sum(one["flops"] for one in found["points"])
    assert found["sum"]["memory_bytes"] == max(one["memory_bytes"] for one in found["points"])
    assert len(found["skipped"]) == 2
    assert all("needs a span that divides" in one["reason"] for one in found["skipped"])


def test_a_dry_run_as_a_table_says_what_is_assumed(cli: Cli) -> None:
    shown = cli.data("sweep", *GRID, "--dry-run")
    assert max(map(len, shown.splitlines())) <= 80
    assert "tiny lean 16/4" in shown
    assert "Time is modelled" in shown
    assert "Skipped: tiny mixer-only 8/7 and 1 more: --span 7" in shown


def test_a_parent_loads_no_torch(tmp_path: Path) -> None:
    code = "import sys; from spanbench.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    for more in (("--dry-run",), ("--out", str(tmp_path / "out.jsonl"))):
        loaded = {name.partition(".")[0] for name in python(code, *COUNT, *more).stderr.split()}
        assert "spanbench" in loaded
        assert loaded & {"torch", "pandas", "matplotlib", "fvcore", "codecarbon", "ray"} == set()


# ---- what it does ---------------------------------------------------------------------------------------------------


def test_a_counted_sweep_is_what_count_finds_and_is_not_done_twice(cli: Cli, tmp_path: Path) -> None:
    out, alone = tmp_path / "out.jsonl", tmp_path / "alone.jsonl"
    found = json.loads(cli.data(*COUNT, "--out", out, "--format", "json"))
    assert (found["before"], len(found["finished"]), found["failed"]) == (0, 6, [])
    assert sorted(found["finished"]) == sorted(ids(out)) == sorted(set(ids(out)))
    point = ("--preset", "tiny", "--tokens", "16", "--span", "4", "--allocation", "mixer-only", "--regime", "prefill")
    cli.data("count", *point, "--out", alone)
    (one,) = read(alone)
    (same,) = [record for record in read(out) if record.id == one.id]
    assert (same.point, same.measures, same.warnings, same.verified) == (one.point, one.measures, one.warnings, one.verified)
    before = out.read_bytes()
    assert json.loads(cli.data(*COUNT, "--out", out, "--format", "json"))["before"] == 6
    assert out.read_bytes() == before


def test_shards_merged_are_the_whole_sweep(cli: Cli, tmp_path: Path) -> None:
    shards = [tmp_path / f"{part}.jsonl" for part in (1, 2)]
    for part, shard in enumerate(shards, start=1):
        cli.data(*COUNT, "--shard", f"{part}/2", "--out", shard)
    found = json.loads(cli.data("merge", tmp_path / "all.jsonl", *shards, "--format", "json"))
    assert (found["read"], found["kept"], found["points"]) == (6, 6, 6)
    whole = plan_of(Grid.of(preset="tiny", tokens="8,16", span="4,7", allocation="lean,mixer-only", regimes="prefill").requests(), None)
    assert set(ids(tmp_path / "all.jsonl")) == {planned.job.key for planned in whole.points}


def test_a_measured_point_is_timed_although_it_was_counted_before(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    one = ("sweep", "--preset", "tiny", "--tokens", "8", "--span", "4", "--regime", "prefill", "--out", out, "--format", "json")
    cli.data(*one, "--no-run")
    found = json.loads(cli.data(*one, *QUICK))
    counted, measured = read(out)
    assert found["finished"] == [measured.id] == [counted.id]
    sources = {row.quantity: row.source for row in measured.measures if row.arm == "token"}
    assert sources["seconds"] == "measured"
    assert measured.environment["sweep"] == {"engine": "local", "attempts": 1, "key": measured.id, "asked": "measured"}
    assert json.loads(cli.data(*one, *QUICK))["before"] == 1
    assert json.loads(cli.data(*one, "--no-run"))["before"] == 1


def test_the_largest_batch_is_found_where_it_runs_and_resumed_by_what_was_asked(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    largest = ("sweep", "--preset", "gpt2", "--tokens", "8192", "--span", "64", "--regime", "decode", "--batch", "max", "--no-run")
    cli.data(*largest, "--out", out)
    (record,) = read(out)
    sweep: Any = record.environment["sweep"]
    assert sweep["key"].endswith("-max")
    assert record.warnings[0].startswith("Batch max: ")
    assert json.loads(cli.data(*largest, "--out", out, "--format", "json"))["before"] == 1


def test_a_point_that_fails_is_told_and_the_rest_is_kept(cli: Cli, tmp_path: Path) -> None:
    """A GPU that is not there: the parent cannot know without torch, the child says so."""
    out = tmp_path / "out.jsonl"
    ran = cli("sweep", "--preset", "tiny", "--tokens", "8", "--span", "4", "--device", "cuda:77", "--out", out, *QUICK)
    assert ran.code == 5
    assert "1 of 1 points have no record; the first: --device cuda:77: " in ran.err.splitlines()[-1]
    assert not out.exists()
    assert "No record: tiny lean 8/4 cuda:77: --device cuda:77:" in " ".join(ran.out.split())


def test_ctrl_c_keeps_what_was_finished(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "spanbench", "sweep", "--preset", "tiny", "--tokens", "8..800/8", "--no-run", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (out.exists() and out.read_bytes().count(b"\n") > 1):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        shown, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, shown) == (130, "")
    kept = ids(out)
    assert 2 <= len(kept) == len(set(kept))
    assert f"{len(kept)} points finished and are kept in {out}" in err
    assert err.splitlines()[-1] == "spanbench: error: interrupted; what was not finished is not kept"
    assert "Traceback" not in err


# ---- what it refuses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--tokens", ""), "--tokens '': names no value; an empty axis is an empty grid"),
        (("--span", "7", "--allocation", "mixer-only", "--dry-run"), "an empty grid: none of its 1 points can be built"),
        (("--tokens", "1..20000/1"), "the grid has 20,000 points, more than 10,000; give --yes"),
        (("--tokens", "1..500000/1", "--seed", "0..9/1", "--yes"), "the grid has 5,000,000 points, more than 1,000,000; take fewer values"),
        (("--preset", "tinny"), "--preset: unknown value 'tinny' — did you mean 'tiny'?"),
        ((), "--out: a sweep needs a file for its records"),
        (("--out", "none/out.jsonl"), "--out: the folder 'none' of 'none/out.jsonl' does not exist; make it first"),
        (("--out", "/dev/null"), "--out: '/dev/null' is no file that can be read again"),
        (("--out", "x", "--workers", "0"), "--workers 0: must be at least 1"),
        (("--out", "x", "--engine", "slurm"), "--engine: unknown value 'slurm'"),
        (("--out", "x", "--address", "here:1"), "--address: belongs to --engine ray"),
        (("--out", "x", "--shard", "3/2"), "--shard '3/2': must be i/n"),
        (("--out", "x", "--meter", "watts"), "--meter"),
        (("--grid", "none.toml"), "--grid 'none.toml': cannot be read"),
    ],
)
def test_a_slip_is_one_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], line: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.fails("sweep", *arguments).startswith(line)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_many_points_asks_for_nothing(cli: Cli) -> None:
    found = cli.data("sweep", "--preset", "tiny", "--tokens", "8", "--seed", "0..10000/1", "--dry-run", "--format", "csv")
    assert found.count("\n") == 10_002


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of a file's size")
def test_a_disk_that_fills_up_is_one_line_and_keeps_what_was_written(tmp_path: Path) -> None:
    """A limit of a file's size stands for the disk: the same error comes from the same call."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000));"
        "from spanbench.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "out.jsonl"
    done = python(code, *COUNT, "--out", str(out))
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, done.stdout) == (2, "")
    assert last == f"spanbench: error: --out: cannot write {str(out)!r}: {os.strerror(27)}"
    noted: list[str] = []
    assert len(read(out, noted.append)) >= 1


def test_what_the_child_is_given_must_be_a_job() -> None:
    command = [sys.executable, "-m", "spanbench", "point"]
    done = subprocess.run(command, input="no job", capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("spanbench: error: point: standard input is no job")


def test_a_merge_of_what_is_not_there_is_one_line(cli: Cli, tmp_path: Path) -> None:
    assert cli.fails("merge", tmp_path / "out.jsonl", tmp_path / "none.jsonl").startswith("cannot read records from")
    assert list(tmp_path.iterdir()) == []


def test_two_sweeps_on_one_file_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "spanbench", "sweep", "--preset", "tiny", "--tokens", "8..800/8", "--no-run", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as first:
        while not out.exists():
            assert first.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)  # made, and about to be locked
        second = spanbench(*COUNT, "--out", out)
        first.kill()
    assert second.code == 2
    assert second.err.splitlines()[-1].startswith("spanbench: error: --out: another sweep or merge is writing")
