"""What every engine must keep to: each job once, no two on one device at a time, a killed one tried again.

A test file takes all of it by inheriting from `Conformance` and giving an `engine`:

    class TestLocal(Conformance):
        def engine(self, command, workers, retries=2): return LocalEngine(workers, command, retries)
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from spanbench.sweep.job import Engine, Job, Outcome

__all__ = ["CHILD", "DEVICES", "Conformance", "jobs_of", "spans"]

CHILD = (sys.executable, str(Path(__file__).with_name("child_of_tests.py")))
DEVICES = ("cuda:0", "cuda:1")
"""No test touches them: the child sleeps."""


def job(folder: Path, key: str, device: str | None = None, seconds: float = 0.0, **request: Any) -> Job:
    timing = None if device is None else {"max_seconds": 1.0}
    plain = {"folder": str(folder), "seconds": seconds, "device": "cpu" if device is None else device, **request}
    return Job(key, device, plain, timing)


def jobs_of(folder: Path, count: int, killed: float = 0.2, seconds: float = 0.002, devices: Sequence[str] = DEVICES) -> list[Job]:
    """Return jobs of which a third is counted and the rest is spread over the devices; some die once before they answer."""
    chosen = random.Random(5)  # noqa: S311  # repeatable, not secret
    places = (*devices, None)
    deaths = set(chosen.sample(range(count), int(count * killed)))
    return [job(folder, f"{n:016x}", chosen.choice(places), seconds, deaths=int(n in deaths)) for n in range(count)]


def spans(folder: Path) -> list[dict[str, Any]]:
    """Return when each job that answered held its device."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.done"))]


def silent(_job: Job, _text: str) -> None:
    """Listen to nothing."""


class Conformance:
    """The suite; `devices` are the names under which an engine takes jobs that are measured on a GPU."""

    devices: Sequence[str] = DEVICES
    count = 120

    def engine(self, command: Sequence[str], workers: int, retries: int = 2) -> Engine:
        """Return the engine under test, which runs `command` as its child."""
        raise NotImplementedError

    def ran(self, jobs: Sequence[Job], workers: int = 4, told: list[tuple[str, str]] | None = None) -> list[Outcome]:
        heard = [] if told is None else told
        return list(self.engine(CHILD, workers).run(jobs, lambda job, text: heard.append((job.key, text))))

    def check(self, folder: Path, count: int) -> None:
        """Run so many jobs with deaths among them, and look at who held which device when."""
        jobs = jobs_of(folder, count, devices=self.devices)
        outcomes = self.ran(jobs)
        assert sorted(outcome.job.key for outcome in outcomes) == [job.key for job in jobs]
        assert {outcome.reason for outcome in outcomes} == {None}
        assert {outcome.job.key: outcome.attempts for outcome in outcomes} == {job.key: 1 + job.request["deaths"] for job in jobs}
        assert all(outcome.line is not None and json.loads(outcome.line)["id"] == outcome.job.key for outcome in outcomes)
        self.check_alone(folder)

    def check_alone(self, folder: Path) -> None:
        held = spans(folder)
        for device in {entry["device"] for entry in held} - {None}:
            turns = sorted((entry["begin"], entry["end"]) for entry in held if entry["device"] == device)
            assert len(turns) > 1
            assert all(before[1] <= after[0] for before, after in pairwise(turns)), f"two at once on {device}"

    def test_each_job_runs_once_and_alone_on_its_device_also_where_a_fifth_is_killed(self, tmp_path: Path) -> None:
        self.check(tmp_path, self.count)

    @pytest.mark.slow
    def test_a_thousand_jobs_of_which_200_are_killed(self, tmp_path: Path) -> None:
        self.check(tmp_path, 1000)

    def test_a_job_that_is_always_killed_is_given_up_and_the_others_run(self, tmp_path: Path) -> None:
        jobs = [job(tmp_path, "bad", deaths=99), job(tmp_path, "measured", self.devices[0], deaths=99), job(tmp_path, "good")]
        outcomes = {outcome.job.key: outcome for outcome in self.ran(jobs)}
        assert outcomes["good"].line is not None
        for key in ("bad", "measured"):
            assert (outcomes[key].line, outcomes[key].attempts) == (None, 3)
            assert "signal 9" in str(outcomes[key].reason)

    def test_an_error_is_the_reason_and_is_not_tried_again(self, tmp_path: Path) -> None:
        (outcome,) = self.ran([job(tmp_path, "wrong", self.devices[0], error="no such thing")])
        assert (outcome.line, outcome.reason, outcome.attempts) == (None, "no such thing", 1)

    def test_a_measured_job_has_a_process_of_its_own(self, tmp_path: Path) -> None:
        self.ran([job(tmp_path, f"{n}", self.devices[0]) for n in range(4)])
        assert len({entry["pid"] for entry in spans(tmp_path)}) == 4

    def test_a_retry_is_told(self, tmp_path: Path) -> None:
        told: list[tuple[str, str]] = []
        self.ran([job(tmp_path, "one", self.devices[0], deaths=1)], told=told)
        assert [key for key, text in told if "tried again" in text] == ["one"]

    def test_no_jobs_are_no_outcomes(self) -> None:
        assert self.ran([]) == []

    def test_closing_early_stops_what_runs(self, tmp_path: Path) -> None:
        jobs = [job(tmp_path, "quick", self.devices[0]), *(job(tmp_path, f"long{n}", None, 600.0) for n in range(2))]
        outcomes = self.engine(CHILD, 4).run(jobs, silent)
        assert next(outcomes).job.key == "quick"
        outcomes.close()  # type: ignore[attr-defined]  # engines are generators
        assert [entry["key"] for entry in spans(tmp_path)] == ["quick"]
