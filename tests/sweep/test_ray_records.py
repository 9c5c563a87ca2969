"""Real points of spanbench on a real Ray of this machine: the same counts as without it, and marked where it disturbs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spanbench.record import Record
from spanbench.request import Request
from spanbench.sweep.job import Engine, Job
from spanbench.sweep.local import LocalEngine
from spanbench.sweep.plan import plan_of
from spanbench.sweep.ray import DAEMONS, RayEngine
from tests.cli.running import python
from tests.sweep.rayjobs import ignore, needs_ray

pytestmark = [pytest.mark.slow, needs_ray]

TIMING = {
    "max_seconds": 0.2, "precision": 0.5, "meter": "none", "threads": 1, "compiled": False, "stages": False,
    "co2": None, "limits": False, "peak": False, "must_run": True,
}  # fmt: skip

SWEEP = "from spanbench.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"


def jobs(tokens: Sequence[int], timing: dict[str, Any] | None = None) -> list[Job]:
    requests = [Request(preset="tiny", tokens=length, span=8, regimes=("score", "prefill")) for length in tokens]
    return [planned.job for planned in plan_of(requests, timing).points]


def records(engine: Engine, asked: Sequence[Job]) -> dict[str, Record]:
    found = {}
    for outcome in engine.run(asked, ignore):
        assert outcome.line is not None, outcome.reason
        found[outcome.job.key] = Record.from_line(outcome.line)
    return found


def test_counts_are_those_of_the_local_engine() -> None:
    asked = jobs([24, 65])
    local, ray = records(LocalEngine(workers=1), asked), records(RayEngine(workers=2), asked)
    assert set(ray) == set(local) == {job.key for job in asked}
    for key, record in ray.items():
        assert record.id == key
        assert (record.point, record.measures) == (local[key].point, local[key].measures)
        assert record.warnings == local[key].warnings
        assert record.environment["sweep"] == {"engine": "ray"}


def test_what_was_timed_on_a_cpu_is_marked() -> None:
    asked = jobs([24], TIMING)
    (record,) = records(RayEngine(), asked).values()
    assert any(row.source == "measured" and row.quantity == "seconds" for row in record.measures)
    assert [warning for warning in record.warnings if f"[{DAEMONS}]" in warning]


def test_the_command_keeps_what_ray_counted_and_goes_on_from_there(tmp_path: Path) -> None:
    kept = tmp_path / "sweep.jsonl"
    sweep = ("sweep", "--preset", "tiny", "--span", "8", "--regime", "prefill", "--no-run", "--engine", "ray", "--out", str(kept))
    first = python(SWEEP, *sweep, "--tokens", "24,40")
    assert first.returncode == 0, first.stderr
    second = python(SWEEP, *sweep, "--tokens", "24,40,64")
    assert second.returncode == 0, second.stderr
    lines = kept.read_text().splitlines()
    assert len({Record.from_line(line).id for line in lines}) == len(lines) == 3
    assert {Record.from_line(line).environment["sweep"]["engine"] for line in lines} == {"ray"}  # type: ignore[index,call-overload]  # JSON
    said = (first.stderr + second.stderr).splitlines()
    assert len(said) == 5, said  # two that begin, three points; nothing of Ray's
