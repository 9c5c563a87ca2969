"""`python -m spanbench point`: one point of a sweep, in a process of its own. Not for people; see spanbench/sweep/job.py.

A job comes as JSON on standard input, its record goes to standard output as one line, and nothing else does.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from spanbench.errors import SpanbenchError

if TYPE_CHECKING:
    from spanbench.point import Point
    from spanbench.record import Record
    from spanbench.run import Timing
    from spanbench.sweep.job import Job

__all__ = ["point"]

Many = Annotated[bool, typer.Option("--many", help="Read one job a line until the input ends; answer each with a line of JSON")]


def point(many: Many = False) -> None:
    """Run one job of a sweep, given as JSON on standard input, and print its record as one line."""
    from spanbench.sweep.job import Job  # they load records, and no other command needs them at its start
    from spanbench.sweep.lifeline import die_with_parent

    die_with_parent()
    with _answers() as answers:
        if not many:
            answers.write(_run(Job.from_json(sys.stdin.read())).to_line())
            return
        gc.disable()  # looking for cycles in all of torch, over and over, took a sixth of the time
        for done, line in enumerate(sys.stdin):
            answers.write(f"{json.dumps(_answer(line))}\n")
            answers.flush()
            gc.collect()
            if not done:
                gc.freeze()  # torch and all else that the first job imported stay, and are looked at no more


@contextmanager
def _answers() -> Iterator[TextIO]:
    """Keep standard output for the answers: what a library prints goes to standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        yield answers


def _answer(line: str) -> dict[str, str | None]:
    """Run one job of many; what is wrong with it is its answer, and the next one is not concerned."""
    from spanbench.sweep.job import Job

    try:
        return {"line": _run(Job.from_json(line)).to_line(), "reason": None}
    except SpanbenchError as error:
        return {"line": None, "reason": str(error)}
    except MemoryError:
        return {"line": None, "reason": "out of memory"}


def _run(job: Job) -> Record:
    """Count the point, and time it where that was asked; a pair that does not fit in memory is counted, and marked.

    Raises:
        SpanbenchError: why there is no record.
    """
    from spanbench import run as flow
    from spanbench.cli.guard import checked_point
    from spanbench.cli.options import settled, with_note
    from spanbench.cli.output import progress
    from spanbench.sweep.plan import request_of

    request = settled(request_of(job))
    asked, prompt, convention = checked_point(request)
    if job.timing is None:
        record = flow.count(asked, prompt, convention)
    else:
        timing = _timing(job.timing, asked)
        with progress() as tell:
            record = flow.compare(asked, prompt, convention, timing, progress=tell)
    return with_note(record, request)


def _timing(asked: Any, point: Point) -> Timing:
    """Return how to measure, in this process; the number of threads is set for all of it.

    Raises:
        UsageError: the device, the compiler or the meter is not there.
    """
    from spanbench import run as flow
    from spanbench.cli.guard import check_device
    from spanbench.measure.carbon import parse_carbon
    from spanbench.measure.pair.result import Plan
    from spanbench.run.compilable import check_compile
    from spanbench.run.threads import set_threads

    check_device(point.device)
    if asked["compiled"]:
        check_compile(point.device)
    if asked["threads"] is not None:
        set_threads(asked["threads"])
    return flow.Timing(
        Plan(max_seconds=asked["max_seconds"] / len(point.regimes), precision=asked["precision"], seed=point.seed),
        flow.meter_of(asked["meter"], point),
        must_run=asked["must_run"],
        compiled=asked["compiled"],
        stages=asked["stages"],
        limits=asked["limits"],
        peak=asked["peak"],
        carbon=parse_carbon(asked["co2"]) if asked["co2"] is not None else None,
    )
