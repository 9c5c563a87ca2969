"""What a reader sees while a sweep runs: a bar on a terminal, a line a point elsewhere, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from spanbench.sweep.job import Job, Outcome
from spanbench.sweep.plan import Planned, named, request_of
from spanbench.sweep.predict import predict

__all__ = ["Left", "Lines", "bar", "duration"]

_STEP = "…"
"""What ends a line of a child that only says which step it is at."""


def duration(seconds: float) -> str:
    """Return a time as a reader says it: 8 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Left:
    """Estimates the time that is left: what was predicted of the rest, at the pace of what is done."""

    def __init__(self, todo: Sequence[Planned], clock: Callable[[], float] = time.monotonic) -> None:
        self._weights = {planned.job.key: predict(planned).seconds for planned in todo}
        self._clock, self._begin, self._done = clock, clock(), 0.0
        self.total = sum(self._weights.values())

    @property
    def done(self) -> float:
        """Predicted seconds of what has ended."""
        return self._done

    def ended(self, job: Job) -> None:
        """Count a job as done."""
        self._done += self._weights.pop(job.key, 0.0)

    def seconds(self) -> float | None:
        """Return the seconds left; None before anything has ended."""
        return (self.total - self._done) / self._done * (self._clock() - self._begin) if self._done else None


class Lines:
    """Progress for a log: one line for each point that ended, and for what went wrong meanwhile."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._ended, self._of = 0, 0
        self._left = Left([], clock)

    def begins(self, todo: Sequence[Planned], before: int) -> None:
        """Say what will be run."""
        self._of, self._left = len(todo), Left(todo, self._clock)
        self._say(f"{len(todo):,} points to run, {before:,} done before")

    def says(self, job: Job, text: str) -> None:
        """Say what is unusual; the steps of a point are left out."""
        if text and not text.endswith(_STEP):
            self._say(f"{named(request_of(job))}: {text}")

    def ends(self, outcome: Outcome, reason: str | None) -> None:
        """Say that a point ended, and how much is left."""
        self._ended += 1
        self._left.ended(outcome.job)
        left = self._left.seconds()
        rest = f", about {duration(left)} left" if left and self._ended < self._of else ""
        how = duration(outcome.seconds) if reason is None else f"no record: {reason}"
        self._say(f"{self._ended}/{self._of} {named(request_of(outcome.job))}: {how}{rest}")


class _Task(Protocol):
    """The one bar, as rich keeps it."""

    def __call__(self, **change: object) -> None:
        """Change what it shows."""


class _Bar(Lines):
    """Progress for a terminal: the same counts, drawn; what went wrong is printed above."""

    def __init__(self, say: Callable[[str], None], task: _Task) -> None:
        super().__init__(say)
        self._task = task

    def begins(self, todo: Sequence[Planned], before: int) -> None:
        super().begins(todo, before)
        self._task(total=self._left.total or 1.0)

    def says(self, job: Job, text: str) -> None:
        super().says(job, text)
        self._draw(f"{named(request_of(job))}: {text}")

    def ends(self, outcome: Outcome, reason: str | None) -> None:
        self._ended += 1
        self._left.ended(outcome.job)
        if reason is not None:
            self._say(f"{named(request_of(outcome.job))}: no record: {reason}")
        self._draw(named(request_of(outcome.job)))

    def _draw(self, text: str) -> None:
        left = self._left.seconds()
        rest = f" · about {duration(left)} left" if left else ""
        self._task(completed=self._left.done, description=f"{self._ended}/{self._of}{rest} · {text}")


@contextmanager
def bar() -> Iterator[Lines]:
    """Draw on standard error, which is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    with Progress(BarColumn(bar_width=20), text, console=Console(stderr=True), transient=True) as drawn:
        one = drawn.add_task("starting", total=None)

        def change(**new: object) -> None:
            drawn.update(one, **new)  # type: ignore[arg-type]  # keywords of rich's own, passed through

        yield _Bar(lambda line: drawn.console.print(line, markup=False, highlight=False), change)
