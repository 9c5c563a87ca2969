"""Sweeps that are killed: a child that notes each point it begins, and a sweep of which it is the child."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["GRID", "POINTS", "Rounds", "counts"]

ROOT = Path(__file__).parents[2]
POINTS = 50
GRID = ("--preset", "tiny", "--tokens", "8..40/8", "--span", "4,8", "--set", "carry=0,1,2,3,4", "--regime", "prefill", "--no-run")
"""5 lengths, 2 spans, 5 carries."""

# The light child counts by the closed form alone and needs no torch, so that it starts at once.
CHILD = """
import os, sys
import spanbench.cli.point as point
from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.record import Record, counted_measures
from spanbench.request import point_of
from spanbench.sweep.plan import request_of

def light(job):
    asked, prompt, convention = point_of(request_of(job))
    distinct = distinct_rows(prompt.ids, asked)
    rows = [row for regime in asked.regimes
            for row in counted_measures(closed_form(asked, regime, distinct), None, regime, convention, "closed form")]
    return Record(point=asked.to_json(), convention=convention, environment={"pid": os.getpid()}, measures=rows)

real = light if os.environ["LIGHT"] == "1" else point._run

def noted(job):
    with open(os.environ["BEGUN"], "a") as file:
        file.write(job.key + "\\n")
    return real(job)

point._run = noted
from spanbench.cli.main import main
sys.exit(main(["point", *sys.argv[1:]]))
"""

SWEEP = """
import functools, sys
from spanbench.sweep import local
local.LocalEngine = functools.partial(local.LocalEngine, command=(sys.executable, sys.argv[1]))
from spanbench.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


@dataclass
class Rounds:
    """Sweeps of one grid in a folder, killed and begun again."""

    folder: Path
    light: bool
    workers: int = 2
    kills: int = 0
    """Of the sweep that is going on."""
    chosen: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311  # repeatable, not secret

    def __post_init__(self) -> None:
        (self.folder / "child.py").write_text(CHILD)
        self.fresh(0)

    def fresh(self, number: int) -> None:
        """Begin another sweep with files of its own."""
        self.out, self.begun, self.kills = self.folder / f"{number}.jsonl", self.folder / f"{number}.begun", 0
        self.begun.touch()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SWEEP, str(self.folder / "child.py"), "sweep", *GRID]
        env = {**os.environ, "BEGUN": str(self.begun), "LIGHT": str(int(self.light)), "PYTHONPATH": str(ROOT)}
        arguments = ["--workers", str(self.workers), "--out", str(self.out)]
        return subprocess.Popen([*command, *arguments], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def finish(self) -> str:
        """Run the sweep to its end; return what it said."""
        with self._start() as process:
            _, err = process.communicate()
        assert process.returncode == 0, err
        return err

    def kill(self) -> bool:
        """Kill the sweep at a random moment: while it starts, or some points later; return whether it was still running."""
        more, pause = self.chosen.choice([0, 1, 1, 2, 3, 5]), self.chosen.uniform(0, 0.3 if self.light else 1.0)
        wanted = self.count() + more
        with self._start() as process:
            while self.count() < wanted and process.poll() is None:
                time.sleep(0.002)
            time.sleep(pause)
            running = process.poll() is None
            process.kill()
        self.kills += running
        return running

    def count(self) -> int:
        """Return how many points were begun."""
        return self.begun.read_text().count("\n")

    def records(self) -> list[dict[str, Any]]:
        """Return what the file holds; a half-written line is none."""
        found = []
        for line in self.out.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found


def counts(records: list[dict[str, Any]]) -> Mapping[str, str]:
    """Return by id all that a record says of its point: the bytes of all but where and when it was made."""
    return {one["id"]: json.dumps({key: one[key] for key in ("point", "convention", "measures")}) for one in records}
