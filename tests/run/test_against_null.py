"""Real programs, a busy machine: the same code on both sides is called worse in at most one check of a hundred."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spanbench.judge.verdict import Verdict
from spanbench.request import Request
from spanbench.run.against.asked import asked_of
from spanbench.run.against.check import Ask, rows_of, silent
from spanbench.run.against.crew import Program, crew_of

ROOT = Path(__file__).parents[2]
REQUEST = Request(preset="tiny", tokens=16, span=8, regimes=("prefill",))
BRIEF = Ask(max_seconds=0.1, window_s=0.005)
"""The least schedule: 8 blocks of slots of 5 ms, and 4 of the null."""


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep so many cores busy with something else."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def null_checks(crews: int, each: int) -> Counter[Verdict]:
    """Check the working tree against itself, `each` times in processes that were started anew for each crew."""
    found: Counter[Verdict] = Counter()
    asked, program = asked_of(REQUEST, arm="latent"), Program(ROOT, "the working tree")
    for _ in range(crews):
        with crew_of(asked, program, program, threads=1, progress=silent) as crew:
            found.update(row.judged.verdict for _ in range(each) for row in rows_of(crew, asked, BRIEF, None))
    return found


@pytest.mark.slow
def test_two_hundred_checks_of_equal_programs_on_a_loaded_machine_find_at_most_two_worse() -> None:
    with busy(2):
        found = null_checks(crews=10, each=20)
    assert found.total() == 200
    assert found["worse"] <= 2, found
