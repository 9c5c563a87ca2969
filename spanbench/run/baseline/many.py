"""Many points of a baseline, shared out to as many processes as there are cores where that is worth their start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import spanbench
from spanbench import errors
from spanbench.judge.baseline.asked import Asked
from spanbench.judge.baseline.reading import read_row
from spanbench.judge.baseline.row import Row
from spanbench.point import Point
from spanbench.prompt import load_prompt
from spanbench.tally import Convention

__all__ = ["ALONE", "Progress", "counted_rows"]

ALONE = 12
"""Up to so many points one process counts: another takes seconds to load torch."""

Progress = Callable[[str, int, int], None]
Question = tuple[Asked, Point]

_PACKAGES = Path(spanbench.__file__).resolve().parent.parent


def counted_rows(points: Sequence[Question], convention: Convention, progress: Progress, processes: int = 1) -> list[Row]:
    """Count every point by ledger, closed form and witnesses; rows come in the order of the points, whatever the processes.

    Raises:
        CountMismatch, UncountedOperation: a count cannot be trusted, so there is none.
    """
    if len(points) <= ALONE or processes < 2:
        return [row for rows in _here(points, convention, progress) for row in rows]
    return _in_processes(points, convention, progress, min(processes, len(points)))


def _here(points: Sequence[Question], convention: Convention, progress: Progress) -> Iterator[list[Row]]:
    from spanbench.count.blank import KnownResults
    from spanbench.run.baseline.executed import executed_rows

    with KnownResults():  # points of equal sizes share what their operations came to
        for done, (asked, point) in enumerate(points):
            progress("counting", done, len(points))
            yield executed_rows(asked, point, load_prompt(None, None, point.tokens, point.batch), convention)


def _in_processes(points: Sequence[Question], convention: Convention, progress: Progress, processes: int) -> list[Row]:
    """Ask each process for one point after another; the first point that cannot be counted ends them all."""
    with ExitStack() as stack:
        children = [stack.enter_context(_Child(convention)) for _ in range(processes)]
        free: SimpleQueue[_Child] = SimpleQueue()
        for child in children:
            free.put(child)
        threads = ThreadPoolExecutor(processes)
        stack.callback(threads.shutdown, cancel_futures=True)
        tasks = [threads.submit(_ask, free, question) for question in points]
        _wait(tasks, progress)
        return [row for task in tasks for row in task.result()]


def _wait(tasks: Sequence[Future[list[Row]]], progress: Progress) -> None:
    for done, task in enumerate(as_completed(tasks)):
        progress("counting", done, len(tasks))
        if (error := task.exception()) is not None:
            for other in tasks:
                other.cancel()
            raise error


def _ask(free: SimpleQueue[_Child], question: Question) -> list[Row]:
    child = free.get()
    try:
        return child.count(*question)
    finally:
        free.put(child)


class _Child:
    """A process that counts the points it is asked for, a line each; it ends with this one."""

    def __init__(self, convention: Convention) -> None:
        paths = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._convention = convention
        self._process = subprocess.Popen(  # this Python, and this package
            [sys.executable, "-P", "-c", "from spanbench.run.baseline.worker import main; main()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def count(self, asked: Asked, point: Point) -> list[Row]:
        """Return the rows of a point.

        Raises:
            CountMismatch, UncountedOperation: what the process said.
        """
        task = {"asked": asked.given, "point": point.to_json(), "convention": self._convention, "parent": os.getpid()}
        answer = self._answer(json.dumps(task))
        if "error" in answer:
            raise getattr(errors, answer["error"], errors.CountMismatch)(answer["message"])
        return [read_row(line, "counted", 0) for line in answer["rows"]]

    def _answer(self, task: str) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        line = ""
        if stdin is not None and stdout is not None:
            try:
                stdin.write(task + "\n")
                stdin.flush()
                line = stdout.readline()
            except OSError:  # it has left; how is told below
                line = ""
        if not line.endswith("\n"):
            raise errors.CountMismatch(f"a process that counted ended early (exit code {self._process.wait()}), so there is no count")
        answer: dict[str, Any] = json.loads(line)
        return answer
