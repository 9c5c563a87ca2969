"""What a sweep's engines add to the work itself: 1,000 jobs on 2 devices and 4 workers, 200 of them killed once.

    python benchmarks/engine.py [--only local|ray] [--jobs 1000] [--seconds 0.2]

A job sleeps on a device that does not exist; the counted jobs share the workers. `ideal` is the time that the busiest device's jobs
hold it, `spawn` one process for each of its attempts, at what starting one alone takes here, and `start` what the engine takes before
its first job: nothing, or a cluster. The jobs, their child and the deaths are those of the engines' suite (tests/sweep/conformance.py).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the suite's jobs, which are installed nowhere

from spanbench.sweep.job import Engine, Job  # noqa: E402 - behind the path
from spanbench.sweep.local import LocalEngine  # noqa: E402 - the same
from tests.sweep.conformance import CHILD, DEVICES, jobs_of, spans  # noqa: E402 - the same

WORKERS = 4
AS_GIVEN = (sys.executable, str(ROOT / "tests" / "sweep" / "as_given.py"))


def engine(name: str) -> tuple[Engine, Sequence[str], Sequence[str]]:
    """Return an engine, the devices that its jobs name, and the command of its child."""
    if name == "local":
        return LocalEngine(WORKERS, CHILD), DEVICES, CHILD
    from spanbench.sweep.ray import RayEngine

    return RayEngine(workers=WORKERS, gpus=2, command=[*AS_GIVEN, *CHILD]), ("cuda",), [*AS_GIVEN, *CHILD]


def spawn_seconds(command: Sequence[str], folder: Path) -> float:
    """Return what one child takes that has nothing to do: the median of 20."""
    took = []
    for number in range(20):
        (empty,) = jobs_of(folder, 1, killed=0.0, seconds=0.0)
        asked = json.dumps(json.loads(empty.to_json()) | {"key": f"empty{number}"})
        begin = time.perf_counter()
        subprocess.run(command, input=asked, text=True, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the suite's own child
        took.append(time.perf_counter() - begin)
    return median(took)


def start_seconds(chosen: Engine, device: str, folder: Path, spawn: float) -> float:
    """Return what the engine takes beside the process of one job that has nothing to do."""
    (empty,) = jobs_of(folder, 1, killed=0.0, seconds=0.0, devices=(device,))
    begin = time.perf_counter()
    list(chosen.run([empty], lambda _job, _text: None))
    return max(0.0, time.perf_counter() - begin - spawn)


def busiest(jobs: Sequence[Job], folder: Path) -> tuple[float, int]:
    """Return how long the busiest device was held and how many processes were started for it."""
    deaths = {job.key: job.request["deaths"] for job in jobs}
    held: dict[str, list[str]] = {}
    for entry in spans(folder):
        if entry["device"] is not None and entry["key"] in deaths:
            held.setdefault(entry["device"], []).append(entry["key"])
    keys = max(held.values(), key=len)
    return sum(1 for _ in keys) * jobs[0].request["seconds"], sum(1 + deaths[key] for key in keys)


def timed(name: str, count: int, seconds: float) -> str:
    """Run the jobs on an engine and return its row of the table."""
    with tempfile.TemporaryDirectory() as place:
        chosen, devices, command = engine(name)
        spawn = spawn_seconds(command, Path(place))
        start = start_seconds(chosen, devices[0], Path(place), spawn)
        with tempfile.TemporaryDirectory() as jobs_place:
            jobs = jobs_of(Path(jobs_place), count, seconds=seconds, devices=devices)
            begin = time.perf_counter()
            outcomes = list(chosen.run(jobs, lambda _job, _text: None))
            took = time.perf_counter() - begin
            wrong = sum(outcome.line is None for outcome in outcomes) + abs(len(outcomes) - count)
            ideal, starts = busiest(jobs, Path(jobs_place))
    limit = 1.05 * ideal + starts * spawn + start
    parts = f"{ideal:.1f} | {starts} × {spawn * 1000:.0f} ms | {start:.1f}"
    return f"| {name} | {count} | {wrong} | {took:.1f} | {parts} | {limit:.1f} | {took / limit:.3f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("local", "ray"))
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.2)
    given = parser.parse_args(arguments)
    print("| engine | jobs | without an answer | clock s | ideal s | spawn | start s | 1.05 × ideal + spawn + start | clock ÷ that |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in ("local", "ray"):
        if given.only in (None, name) and (name == "local" or find_spec("ray")):
            print(timed(name, given.jobs, given.seconds), flush=True)


if __name__ == "__main__":
    main()
