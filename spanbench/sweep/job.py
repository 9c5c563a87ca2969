"""What an engine runs (`Job`), what it gives back (`Outcome`), and what an engine is (`Engine`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from spanbench.errors import UsageError

__all__ = ["Engine", "Job", "Outcome", "Told"]


@dataclass(frozen=True, slots=True)
class Job:
    """One point to run, as plain JSON values: it travels to another process, or to another machine."""

    key: str
    """What resume goes by: the record's id; for `--batch max` the id of the point asked with batch 1, and '-max'."""
    device: str | None
    """The device that it needs alone ('cpu', 'cuda:0'); None: it is only counted, and shares workers."""
    request: Mapping[str, Any]
    """The fields of a `spanbench.request.Request`."""
    timing: Mapping[str, Any] | None
    """None: only counted; else max_seconds, precision, meter, threads, compiled, stages, limits, peak, must_run."""

    def to_json(self) -> str:
        """Return the job as one line of JSON, without a newline."""
        return json.dumps(asdict(self), ensure_ascii=True, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job of one line.

        Raises:
            UsageError: it is none.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise UsageError(f"point: standard input is no job ({error})") from None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: its record, or why there is none."""

    job: Job
    line: str | None
    """The record as one JSON line."""
    reason: str | None
    attempts: int
    seconds: float
    """From the start of its first attempt to the end of its last, waits for the device not included."""


Told = Callable[[Job, str], None]
"""Told what a reader of the progress should know of a job: it began, it waits, it was killed and is tried again."""


class Engine(Protocol):
    """Runs jobs in processes of their own, each job once, two of one device never at one time."""

    name: str

    def run(self, jobs: Sequence[Job], told: Told) -> Iterator[Outcome]:
        """Yield one outcome a job, in the order they finish.

        A closed iterator, or a KeyboardInterrupt, stops all children first.
        """
