"""One lane of the local engine: a thread that takes jobs and waits for the processes that run them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from spanbench.sweep.child import Child, Reply
from spanbench.sweep.device import held
from spanbench.sweep.job import Job, Outcome

__all__ = ["MANY", "Closed", "Done", "Lane", "Note", "Shared"]

MANY = "--many"
"""Appended to the child's command for a worker, which reads one job a line until its input ends."""

_STOPPED = Reply(None, "the sweep was stopped")


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell of a job that runs."""

    job: Job
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """An outcome; whoever takes it sets `taken` once what it holds is kept."""

    outcome: Outcome
    taken: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Closed:
    """The last that a lane says: it ended, or failed."""

    failure: BaseException | None = None


class Shared:
    """What all lanes of a stage have in common: how they are heard, their children, and the word to stop."""

    def __init__(self, command: Sequence[str], retries: int) -> None:
        self.command, self.retries = tuple(command), retries
        self.heard: SimpleQueue[Note | Done | Closed] = SimpleQueue()
        self.stopped = threading.Event()
        self._children: set[Child] = set()
        self._guard = threading.Lock()
        self._waiting: set[threading.Event] = set()

    def start(self, command: Sequence[str], heard: Callable[[str], None]) -> Child | None:
        """Start a child, or None where all is to stop."""
        with self._guard:
            if self.stopped.is_set():
                return None
            child = Child(command, heard)
            self._children.add(child)
            return child

    def forget(self, child: Child) -> None:
        """Stop a child and give back what it held."""
        with self._guard:
            self._children.discard(child)
        child.close()

    def report(self, outcome: Outcome) -> None:
        """Hand an outcome over and wait until it was taken: what it holds is then on the disk."""
        done = Done(outcome)
        with self._guard:
            if self.stopped.is_set():
                return
            self._waiting.add(done.taken)
        self.heard.put(done)
        done.taken.wait()
        with self._guard:
            self._waiting.discard(done.taken)

    def stop(self) -> None:
        """Stop all children, and let no lane begin or wait for anything more."""
        with self._guard:
            self.stopped.set()
            for child in self._children:
                child.stop()
            for taken in self._waiting:
                taken.set()


class Lane(threading.Thread):
    """Takes jobs from a queue that other lanes may share; a worker is kept from one counted job to the next."""

    def __init__(self, jobs: deque[Job], shared: Shared) -> None:
        super().__init__(daemon=True)
        self._jobs, self._shared = jobs, shared
        self._worker: Child | None = None
        self._job: Job | None = None

    def run(self) -> None:
        """Run jobs until there are none, or all is to stop."""
        failure: BaseException | None = None
        try:
            while not self._shared.stopped.is_set() and self._jobs:
                try:
                    self._job = self._jobs.popleft()
                except IndexError:  # another lane was faster
                    break
                self._shared.report(self._settle(self._job))
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that iterates
            failure = error
        finally:
            self._drop_worker()
        self._shared.heard.put(Closed(failure))

    def _settle(self, job: Job) -> Outcome:
        """Try a job until it has an answer, or was killed too often."""
        attempts, seconds = 0, 0.0
        while True:
            attempts += 1
            reply, spent = self._counted(job) if job.device is None else self._measured(job, job.device)
            seconds += spent
            if not reply.killed or attempts > self._shared.retries or self._shared.stopped.is_set():
                break
            self._tell(f"{reply.reason}; it is tried again")
        reason = f"{reply.reason}, {attempts} times over" if reply.killed else reply.reason
        return Outcome(job, reply.line, reason, attempts, seconds)

    def _counted(self, job: Job) -> tuple[Reply, float]:
        begin = time.monotonic()
        self._worker = self._worker or self._shared.start((*self._shared.command, MANY), self._tell)
        reply = self._worker.ask(job) if self._worker else _STOPPED
        if reply.killed or (self._worker and self._worker.ended):
            self._drop_worker()
        return reply, time.monotonic() - begin

    def _drop_worker(self) -> None:
        if self._worker is not None:
            self._shared.forget(self._worker)
            self._worker = None

    def _measured(self, job: Job, device: str) -> tuple[Reply, float]:
        with held(device, self._waits, self._shared.stopped.is_set) as free:
            begin = time.monotonic()
            child = self._shared.start(self._shared.command, self._tell) if free else None
            if child is None:
                return _STOPPED, 0.0
            try:
                return child.once(job), time.monotonic() - begin
            finally:
                self._shared.forget(child)

    def _waits(self) -> None:
        self._tell("waits: another sweep measures on this device")

    def _tell(self, text: str) -> None:
        if self._job is not None:
            self._shared.heard.put(Note(self._job, text))
