"""The local engine: the suite of all engines, and what is its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from spanbench.errors import UsageError
from spanbench.sweep.device import device_name, folder, held
from spanbench.sweep.job import Engine
from spanbench.sweep.local import LocalEngine
from tests.sweep.conformance import CHILD, Conformance, job, silent, spans

posix = pytest.mark.skipif(sys.platform == "win32", reason="locks and signals of POSIX")


@posix
class TestLocal(Conformance):
    def engine(self, command: Sequence[str], workers: int, retries: int = 2) -> Engine:
        return LocalEngine(workers, command, retries)


def test_counted_jobs_share_workers_that_are_kept(tmp_path: Path) -> None:
    list(LocalEngine(2, CHILD).run([job(tmp_path, f"{n}") for n in range(20)], silent))
    assert len({entry["pid"] for entry in spans(tmp_path)}) <= 2


def test_nothing_runs_beside_a_job_that_times_the_cpu(tmp_path: Path) -> None:
    jobs = [job(tmp_path, f"{n}", device, 0.01) for n, device in enumerate([None, "cpu", "cuda:0", "cpu", None, "cuda:1", None])]
    list(LocalEngine(4, CHILD).run(jobs, silent))
    entries = spans(tmp_path)
    timed = [entry for entry in entries if entry["device"] == "cpu"]
    assert len(timed) == 2
    for one in timed:
        others = [entry for entry in entries if entry["key"] != one["key"]]
        assert all(entry["end"] <= one["begin"] or entry["begin"] >= one["end"] for entry in others)


def test_the_next_job_of_a_lane_begins_only_when_the_last_outcome_was_taken(tmp_path: Path) -> None:
    """So that no more than one point a lane is lost when the sweep is killed."""
    outcomes = LocalEngine(1, CHILD).run([job(tmp_path, f"{n}") for n in range(3)], silent)
    for done in range(1, 4):
        next(outcomes)
        time.sleep(0.05)  # long enough for a child that does not wait; a slow one can only make the test pass
        assert len(spans(tmp_path)) == done


def test_two_sweeps_take_turns_on_one_device_and_say_that_they_wait(tmp_path: Path) -> None:
    told: list[str] = []
    sweeps = [
        threading.Thread(
            target=lambda part: list(
                LocalEngine(1, CHILD).run(
                    [job(tmp_path, f"{part}{n}", "cuda:0", 0.05) for n in range(4)], lambda _, text: told.append(text)
                )
            ),
            args=(part,),
        )
        for part in "ab"
    ]
    for thread in sweeps:
        thread.start()
    for thread in sweeps:
        thread.join()
    turns = sorted((entry["begin"], entry["end"]) for entry in spans(tmp_path))
    assert len(turns) == 8
    assert all(before[1] <= after[0] for before, after in pairwise(turns))
    assert "waits: another sweep measures on this device" in told


def test_a_device_is_locked_under_one_name_however_it_is_called() -> None:
    assert device_name("cuda") == device_name("cuda:0")
    assert len({device_name(device) for device in ("cpu", "cuda:0", "cuda:1")}) == 3


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPANBENCH_RUNTIME", str(tmp_path / "file" / "locks"))
    with pytest.raises(UsageError, match="SPANBENCH_RUNTIME: no lock can be made in"), held("cpu", lambda: None, lambda: False):
        pass


def test_the_failure_of_a_lane_is_raised_where_outcomes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPANBENCH_RUNTIME", str(tmp_path / "file"))
    assert folder() == tmp_path / "file"
    with pytest.raises(UsageError, match="SPANBENCH_RUNTIME"):
        list(LocalEngine(1, CHILD).run([job(tmp_path, "one", "cuda:0")], silent))


def test_a_child_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(LocalEngine(1, ["/nowhere/spanbench"]).run([job(tmp_path, "one")], silent))


ORPHAN = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from spanbench.sweep.local import LocalEngine
from tests.sweep.conformance import job
child = (sys.executable, "-c", "import os, time; from spanbench.sweep.lifeline import die_with_parent; "
         "die_with_parent(); print(os.getpid(), file=open(os.environ['PID_FILE'], 'w'), flush=True); time.sleep(600)")
list(LocalEngine(1, child).run([job(Path(sys.argv[1]), "one", "cuda:0")], lambda *_: None))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child that its parent ended")
def test_a_child_does_not_outlive_a_killed_sweep(tmp_path: Path) -> None:
    pid_file, root = tmp_path / "pid", str(Path(__file__).parents[2])
    env = {**os.environ, "PID_FILE": str(pid_file)}
    with subprocess.Popen([sys.executable, "-c", ORPHAN, str(tmp_path), root], env=env) as sweep:
        while not (pid_file.exists() and pid_file.read_text()):
            assert sweep.poll() is None
            time.sleep(0.01)
        child = int(pid_file.read_text())
        sweep.kill()
    for _ in range(1000):
        if not _lives(child):
            return
        time.sleep(0.01)
    raise AssertionError(f"{child} lives on")


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
