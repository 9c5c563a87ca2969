"""What a file holds already: which jobs it answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spanbench.record import Record
from spanbench.sweep.job import Job

__all__ = ["Kept", "answered", "is_measured", "marked"]


def is_measured(record: Record) -> bool:
    """Tell whether anything in a record was timed."""
    return any(row.source == "measured" and row.quantity == "seconds" and row.value is not None for row in record.measures)


def marked(record: Record, job: Job, engine: str, attempts: int) -> Record:
    """Return the record with what the sweep knows of it under `environment.sweep`.

    `asked` says whether it was to be measured: a pair that did not fit in memory was counted, and need not be tried again.
    """
    asked, known = "counted" if job.timing is None else "measured", record.environment.get("sweep")
    engine_s = known if isinstance(known, dict) else {}  # what the engine had to say of it
    sweep: dict[str, Any] = {**engine_s, "engine": engine, "attempts": attempts, "key": job.key, "asked": asked}
    return record.model_copy(update={"environment": {**record.environment, "sweep": sweep}})


def answered(record: Record) -> frozenset[tuple[str, bool]]:
    """Return the keys of the jobs that a record answers, each with whether the job is to be measured.

    A measured record answers both ways of asking; a counted one only its own, or both where it was to be measured and did not fit.
    """
    sweep = record.environment.get("sweep")
    marks = sweep if isinstance(sweep, dict) else {}
    keys = {record.id, str(marks.get("key", record.id))}
    timed = marks.get("asked") == "measured" or is_measured(record)
    return frozenset((key, how) for key in keys for how in ((False, True) if timed else (False,)))


class Kept:
    """The jobs that some records answer."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._answered: set[tuple[str, bool]] = set()
        for record in records:
            self._answered |= answered(record)

    def answers(self, job: Job) -> bool:
        """Tell whether a job need not be run."""
        return (job.key, job.timing is not None) in self._answered
