"""A sweep as code: run what is not there yet, keep each record the moment it comes, and say what became of the rest."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from spanbench.errors import SpanbenchError
from spanbench.record import Record, appending, each
from spanbench.sweep.interrupt import Interrupts
from spanbench.sweep.job import Engine, Job, Outcome, Told
from spanbench.sweep.kept import Kept, marked
from spanbench.sweep.plan import Planned

__all__ = ["Failed", "Finished", "Summary", "Watcher", "sweep"]


@dataclass(frozen=True, slots=True)
class Failed:
    """A point that has no record, and why."""

    job: Job
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A point that got a record; `not_run` says why it was counted alone although it was to be timed."""

    id: str
    not_run: str | None = None

    @classmethod
    def of(cls, record: Record) -> Finished:
        """Return what a summary needs of a record: thousands of them whole would fill the memory."""
        return cls(record.id, next((text for text in record.warnings if text.startswith("Counted and not run")), None))


@dataclass(slots=True)
class Summary:
    """What a sweep found done, did, and could not do."""

    before: int = 0
    """Points that the file held already."""
    finished: list[Finished] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


class Watcher(Protocol):
    """Whoever looks on."""

    def begins(self, todo: Sequence[Planned], before: int) -> None:
        """Be told what will be run, and how many points were done before."""

    def says(self, job: Job, text: str) -> None:
        """Be told something of a job that runs."""

    def ends(self, outcome: Outcome, reason: str | None) -> None:
        """Be told that a job ended; `reason` is why it has no record."""


def sweep(points: Sequence[Planned], engine: Engine, out: Path, watcher: Watcher, note: Callable[[str], None], summary: Summary) -> None:
    """Run the points that a file of records does not hold yet; append each record to it as it comes.

    The file is held for this process alone meanwhile. `summary` is filled as the sweep goes, also where it ends early.
    `note` is told of half-written lines that were left out of it.

    Raises:
        UsageError: the file cannot be read or written (records that came before stay in it), or another sweep holds it.
        SchemaMismatch: it holds records of another schema.
        KeyboardInterrupt: Ctrl-C. All children are stopped, and every record that came is on the disk.
    """
    with Interrupts() as interrupts, appending(out) as append:
        kept = Kept(stored.record for stored in each(out, note))
        todo = [planned for planned in points if not kept.answers(planned.job)]
        summary.before = len(points) - len(todo)
        watcher.begins(todo, summary.before)
        with _outcomes(engine, [planned.job for planned in todo], watcher.says) as outcomes:
            for outcome in outcomes:
                with interrupts.held_back():
                    reason = _keep(outcome, engine.name, append, summary)
                watcher.ends(outcome, reason)


@contextmanager
def _outcomes(engine: Engine, jobs: Sequence[Job], told: Told) -> Iterator[Iterator[Outcome]]:
    """Yield what an engine yields, and close it whatever happens: that is what stops its children."""
    outcomes = engine.run(jobs, told)
    try:
        yield outcomes
    finally:
        if isinstance(outcomes, Generator):
            outcomes.close()


def _keep(outcome: Outcome, engine: str, append: Callable[[Record], None], summary: Summary) -> str | None:
    """Append an outcome's record, or note why there is none and return it."""
    record, reason = _record(outcome, engine)
    if record is not None:
        append(record)
        summary.finished.append(Finished.of(record))
        return None
    summary.failed.append(Failed(outcome.job, reason, outcome.attempts))
    return reason


def _record(outcome: Outcome, engine: str) -> tuple[Record | None, str]:
    """Return the record of an outcome, marked; or None and the reason."""
    if outcome.line is None:
        return None, outcome.reason or "no reason was given"
    try:
        record = Record.from_line(outcome.line, "the child's answer")
    except SpanbenchError as error:
        return None, str(error)
    if not outcome.job.request.get("largest") and record.id != outcome.job.key:
        return None, f"the record that came has id {record.id}: the prompt, or spanbench itself, changed during the sweep"
    return marked(record, outcome.job, engine, outcome.attempts), ""
