"""A child for tests of Ray: does what its job's request says, and writes down when it held what.

Run as `python raychild.py`, a Job on standard input. `request` may have: `log`, a file to append a line to at the begin and
at the end; `seconds` to sleep; `die`: 'child' or 'worker', killed at the attempts that `until` leaves; `meet`: a folder
in which to wait until `of` children have come.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from spanbench.sweep.lifeline import die_with_parent

PATIENCE_S = 60


def main() -> None:
    """Do one job."""
    die_with_parent()
    job = json.load(sys.stdin)
    asked = job["request"]
    _write(asked, job, "begin")
    if _attempts(asked, job) <= asked.get("until", 0):
        os.kill(os.getpid() if asked["die"] == "child" else os.getppid(), signal.SIGKILL)
        time.sleep(PATIENCE_S)
    if "meet" in asked:
        _meet(Path(asked["meet"]), asked["of"])
    time.sleep(asked.get("seconds", 0))
    _write(asked, job, "end")
    sys.stdout.write(json.dumps({"key": job["key"], "device": job["device"], "environ": _environ()}) + "\n")


def _environ() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")} | {"nice": str(os.nice(0))}


def _write(asked: dict[str, Any], job: dict[str, Any], what: str) -> None:
    if "log" not in asked:
        return
    device = os.environ["CUDA_VISIBLE_DEVICES"] if job["device"] == "cuda:0" else job["device"]
    row = {"what": what, "key": job["key"], "device": device, "at": time.monotonic(), "pid": os.getpid()}
    with Path(asked["log"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _attempts(asked: dict[str, Any], job: dict[str, Any]) -> int:
    """Return the number of this attempt, from 1, as the log tells it."""
    if "die" not in asked:
        return 1
    rows = [json.loads(line) for line in Path(asked["log"]).read_text(encoding="utf-8").splitlines()]
    return sum(row["what"] == "begin" and row["key"] == job["key"] for row in rows)


def _meet(folder: Path, of: int) -> None:
    """Come in, and wait for the others: children that never run side by side do not get out."""
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + PATIENCE_S
    while len(list(folder.iterdir())) < of:
        if time.monotonic() > until:
            sys.exit("spanbench: error: the others did not come")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
