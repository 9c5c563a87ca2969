"""What runs on a machine of the cluster, run on this one without Ray."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from spanbench.sweep.job import Job
from spanbench.sweep.ray.task import THREADS, attempt
from tests.sweep.rayjobs import CHILD, trial

SAYS = (sys.executable, "-c", "import sys; sys.exit('spanbench: error: --tokens 0: no')")


def answer(job: Job, environ: dict[str, str] | None = None) -> dict[str, Any]:
    made = attempt(job.to_json(), CHILD, environ or {})
    assert made.reply.line is not None, made.reply.reason
    assert made.seconds > 0
    found: dict[str, Any] = json.loads(made.reply.line)
    return found


def test_a_gpu_is_the_first_one_of_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert answer(trial("a", "cuda"))["device"] == "cuda:0"
    assert answer(trial("a", "cpu"))["device"] == "cpu"
    assert answer(trial("a"))["device"] is None


@pytest.mark.parametrize(("driver", "child"), [({}, None), ({"OMP_NUM_THREADS": "3"}, "3")])
def test_a_child_has_the_threads_of_the_driver_and_not_those_of_ray(
    monkeypatch: pytest.MonkeyPatch, driver: dict[str, str], child: str | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MKL_NUM_THREADS", "9")
    before = {name: os.environ[name] for name in THREADS}
    assert answer(trial("a"), driver)["environ"]["OMP_NUM_THREADS"] == child
    assert {name: os.environ[name] for name in THREADS} == before


def test_a_child_that_was_killed_is_told_from_one_that_refused(tmp_path: Path) -> None:
    killed = attempt(trial("a", log=str(tmp_path / "log"), die="child", until=1).to_json(), CHILD, {}).reply
    assert (killed.line, killed.killed) == (None, True)
    refused = attempt(trial("a").to_json(), SAYS, {}).reply
    assert (refused.line, refused.reason, refused.killed) == (None, "--tokens 0: no", False)


def test_a_machine_without_the_command_says_so(tmp_path: Path) -> None:
    missing = str(tmp_path / "python")
    reply = attempt(trial("a").to_json(), (missing,), {}).reply
    assert (reply.line, reply.killed) == (None, False)
    assert missing in str(reply.reason)


def test_a_folder_that_takes_no_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPANBENCH_RUNTIME", str(tmp_path / "file" / "locks"))
    reply = attempt(trial("a", "cpu").to_json(), CHILD, {}).reply
    assert (reply.line, reply.killed) == (None, False)
    assert "SPANBENCH_RUNTIME" in str(reply.reason)
