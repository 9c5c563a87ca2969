"""The engine on a real Ray of this machine: placing, retries, Ctrl-C, labels, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from spanbench.errors import UsageError
from spanbench.sweep.ray import RayEngine
from tests.sweep.rayjobs import CHILD, answers, ignore, needs_ray, rows, trial

pytestmark = [pytest.mark.slow, needs_ray]

SECONDS = 120
"""A cluster starts in 5 to 15 s; what has not happened by now never will."""

DRIVER = """
import signal, sys
from spanbench.sweep.ray import RayEngine
from tests.sweep.rayjobs import CHILD, ignore, trial
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    list(RayEngine(workers=2, command=CHILD).run([trial(str(i), log=sys.argv[1], seconds=600) for i in range(9)], ignore))
except KeyboardInterrupt:
    sys.exit(130)
"""

JOINING = """
import ast, sys
from spanbench.sweep.ray import RayEngine
from tests.sweep.rayjobs import CHILD, answers, trial

def told(job, text):  # it would wait until such a node joins
    sys.exit(print(text))

engine = RayEngine(sys.argv[1], labels=ast.literal_eval(sys.argv[2]), command=CHILD)
print(*sorted(answers(engine.run([trial(str(i)) for i in range(4)], told))))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def until_gone(*pids: int) -> None:
    """Wait until processes have ended; one that does not fails the test."""
    end = time.monotonic() + SECONDS
    while left := [pid for pid in pids if running(pid)]:
        assert time.monotonic() < end, f"still running: {left}"
        time.sleep(0.1)


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_each_job_comes_once_and_nothing_is_left(log: Path) -> None:
    engine = RayEngine(workers=2, command=CHILD)
    before, handler, environ = set(psutil.pids()), signal.getsignal(signal.SIGTERM), set(os.environ.items())
    found = answers(engine.run([trial(str(i), log=str(log)) for i in range(40)], ignore))
    assert set(found) == {str(i) for i in range(40)}
    assert {answer["environ"]["nice"] for answer in found.values()} == {str(os.nice(0))}  # Ray's own default is 15
    until_gone(*[pid for pid in set(psutil.pids()) - before if os.getpid() in ancestors(pid)])
    assert set(os.environ.items()) ^ environ == set()
    assert signal.getsignal(signal.SIGTERM) == handler


def ancestors(pid: int) -> list[int]:
    try:
        return [parent.pid for parent in psutil.Process(pid).parents()]
    except psutil.NoSuchProcess:
        return []


def test_two_gpus_work_side_by_side_and_each_for_one_job_at_a_time(log: Path, tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    together = [trial(f"meet{i}", "cuda", log=str(log), meet=str(meeting), of=2) for i in range(2)]
    later = [trial(str(i), "cuda", log=str(log), seconds=0.02) for i in range(20)]
    found = answers(RayEngine(workers=4, gpus=2, command=CHILD).run([*together, *later], ignore))
    assert {answer["device"] for answer in found.values()} == {"cuda:0"}
    assert {answer["environ"]["CUDA_VISIBLE_DEVICES"] for answer in found.values()} == {"0", "1"}
    for device in ("0", "1"):
        order = [row["what"] for row in rows(log) if row["device"] == device]
        assert order == ["begin", "end"] * (len(order) // 2)


def test_what_times_the_cpu_has_nothing_beside_it(log: Path) -> None:
    jobs = [trial(str(i), "cpu" if i % 4 == 0 else None, log=str(log), seconds=0.05) for i in range(16)]
    answers(RayEngine(workers=3, command=CHILD).run(jobs, ignore))
    held: set[str] = set()
    for row in sorted(rows(log), key=lambda row: row["at"]):
        if row["what"] == "end":
            held.remove(row["key"])
            continue
        assert not held or (row["device"] is None and all(int(key) % 4 for key in held))
        held.add(row["key"])


@pytest.mark.parametrize("who", ["child", "worker"])
def test_a_killed_job_is_tried_again_and_given_up_after_two_retries(log: Path, who: str) -> None:
    said = []
    jobs = [trial("twice", log=str(log), die=who, until=2), trial("always", log=str(log), die=who, until=9), trial("never", log=str(log))]
    outcomes = list(RayEngine(workers=2, command=CHILD).run(jobs, lambda job, text: said.append((job.key, text))))
    by_key = {outcome.job.key: outcome for outcome in outcomes}
    assert len(outcomes) == len(by_key) == 3
    assert {key: outcome.attempts for key, outcome in by_key.items()} == {"twice": 3, "always": 3, "never": 1}
    assert by_key["twice"].line is not None
    assert by_key["always"].line is None
    assert str(by_key["always"].reason).endswith(", 3 times")
    assert sorted(key for key, _ in said) == ["always", "always", "twice", "twice"]


def test_ctrl_c_ends_the_children_and_the_cluster(log: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(log)], stderr=subprocess.PIPE, text=True) as driver:
        end = time.monotonic() + SECONDS
        while not (log.exists() and len(rows(log)) == 2):
            assert driver.poll() is None, driver.stderr and driver.stderr.read()
            assert time.monotonic() < end, "no job began"
            time.sleep(0.1)
        below = [process.pid for process in psutil.Process(driver.pid).children(recursive=True)]
        children = [row["pid"] for row in rows(log)]
        assert set(children) <= set(below)
        driver.send_signal(signal.SIGINT)
        _, said = driver.communicate(timeout=SECONDS)
    assert (driver.returncode, said) == (130, "")
    until_gone(*below)
    assert {row["what"] for row in rows(log)} == {"begin"}


def test_an_iterator_that_is_closed_ends_the_children(log: Path) -> None:
    jobs = [trial("first", log=str(log)), trial("second", log=str(log), seconds=600)]
    with closing(RayEngine(workers=2, command=CHILD).run(jobs, ignore)) as outcomes:
        assert next(outcomes).job.key == "first"
        end = time.monotonic() + SECONDS
        while not (begun := [row["pid"] for row in rows(log) if row["key"] == "second"]):
            assert time.monotonic() < end, "the second job did not begin"
            time.sleep(0.05)
    until_gone(*begun)


def test_a_need_that_this_machine_cannot_meet_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"^--engine ray: this machine lacks a GPU, which a point measured on cuda needs"):
        list(RayEngine(gpus=0, command=CHILD).run([trial("a"), trial("b", "cuda")], ignore))
    with pytest.raises(UsageError, match=r"^--engine ray: this machine lacks such a label"):
        list(RayEngine(labels={"kind": "big"}, command=CHILD).run([trial("a")], ignore))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """Start a cluster of one labelled node, as its owner would, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats", f"--port={port}"]
    place = ["--node-ip-address=127.0.0.1", "--include-dashboard=false", "--num-cpus=2", "--labels=kind=big"]
    with (tmp_path / "ray.txt").open("w") as told:
        head = subprocess.Popen([*start, *place], stdout=told, stderr=told, start_new_session=True)
    try:
        end = time.monotonic() + SECONDS
        while "Ray runtime started" not in (tmp_path / "ray.txt").read_text():
            assert head.poll() is None, (tmp_path / "ray.txt").read_text()
            assert time.monotonic() < end, "no cluster"
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        below = psutil.Process(head.pid).children(recursive=True)
        head.terminate()
        head.wait(timeout=SECONDS)
        psutil.wait_procs(below, timeout=SECONDS)


def test_a_cluster_that_was_joined_stays_and_its_labels_select(cluster: str) -> None:
    for labels in ("{}", "{'kind': 'in(big,bigger)'}"):
        assert joined(cluster, labels) == "0 1 2 3"
    assert joined(cluster, "{'kind': 'small'}") == "waits: no node of the cluster has such a label, which a counted point needs"


def joined(cluster: str, labels: str) -> str:
    """Return what a sweep on a cluster said: a process of its own, since Ray takes the token of one cluster a process."""
    done = subprocess.run([sys.executable, "-c", JOINING, cluster, labels], capture_output=True, text=True, timeout=SECONDS, check=True)
    return done.stdout.strip()
