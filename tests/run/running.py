"""Requests on tiny shapes, run as quickly as a real run can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spanbench import run
from spanbench.measure.energy import NullMeter
from spanbench.measure.pair.result import Plan
from spanbench.record import Measure, Record
from spanbench.request import Request, point_of

__all__ = ["QUICK", "TINY", "Progress", "compared", "counted", "rows"]

QUICK = run.Timing(Plan(window_s=1e-4, max_seconds=0.01, blocks=2, warmups=0), NullMeter(), limits=False, peak=False)
TINY = Request(preset="tiny", shape={"layers": 1, "decoder.layers": 1}, tokens=24, span=8)


class Progress(list[tuple[str, int, int]]):
    """Remembers what it was told."""

    def __call__(self, what: str, done: int, of: int) -> None:
        self.append((what, done, of))


def compared(timing: run.Timing = QUICK, progress: Progress | None = None, **request: Any) -> Record:
    """Run `compare` on the tiny preset with some of its request changed."""
    point, prompt, convention = point_of(replace(TINY, **request))
    return run.compare(point, prompt, convention, timing, progress=Progress() if progress is None else progress)


def counted(*, verify: bool = False, **request: Any) -> Record:
    """Run `count` on the tiny preset with some of its request changed."""
    point, prompt, convention = point_of(replace(TINY, **request))
    return run.count(point, prompt, convention, verify=verify)


def rows(record: Record, **wanted: str) -> list[Measure]:
    """Return the measures with these values, such as arm='token'."""
    return [row for row in record.measures if all(getattr(row, key) == value for key, value in wanted.items())]
