"""The engine of one machine: workers that share the counted jobs, and each measured job in a fresh process, alone on its device."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence

from spanbench.sweep.job import Job, Outcome, Told
from spanbench.sweep.lane import Done, Lane, Note, Shared

__all__ = ["CHILD", "RETRIES", "LocalEngine"]

CHILD = (sys.executable, "-m", "spanbench", "point")

RETRIES = 2
"""How often a job is tried again whose process was killed."""


class LocalEngine:
    """Runs jobs on this machine, with no daemon and nothing left behind.

    Counted jobs run in `workers` processes that are kept. Measured jobs of one device run one after another, those of
    different GPUs side by side. A job on 'cpu' runs with no other job of this sweep beside it: it is timed on all cores.
    Threads wait for processes; nothing is computed here.
    """

    name = "local"

    def __init__(self, workers: int = 1, command: Sequence[str] = CHILD, retries: int = RETRIES) -> None:
        self._workers, self._command, self._retries = workers, tuple(command), retries

    def run(self, jobs: Sequence[Job], told: Told) -> Iterator[Outcome]:
        """Yield one outcome a job, in the order they finish; `told` is called from the thread that iterates.

        A lane begins a job only when its outcome before was taken, so no more than one job a lane is lost with this
        process. Closing the iterator, or an exception in it, stops all children.

        Raises:
            UsageError: a device cannot be locked.
        """
        for stage in ([job for job in jobs if job.device != "cpu"], [job for job in jobs if job.device == "cpu"]):
            yield from _run(self._queues(stage), Shared(self._command, self._retries), told)

    def _queues(self, jobs: Sequence[Job]) -> list[deque[Job]]:
        """Return the queue of each lane: one for each device, and one that all workers share."""
        devices = dict.fromkeys(job.device for job in jobs if job.device is not None)
        alone = [deque(job for job in jobs if job.device == device) for device in devices]
        shared = deque(job for job in jobs if job.device is None)
        return alone + [shared] * min(self._workers, len(shared))


def _run(queues: Sequence[deque[Job]], shared: Shared, told: Told) -> Iterator[Outcome]:
    """Run one lane a queue, all at the same time."""
    lanes = [Lane(queue, shared) for queue in queues]
    try:
        for lane in lanes:
            lane.start()
        yield from _heard(shared, len(lanes), told)
    finally:
        shared.stop()
        for lane in lanes:
            if lane.ident is not None:  # it was started
                lane.join()


def _heard(shared: Shared, lanes: int, told: Told) -> Iterator[Outcome]:
    """Pass on what the lanes say until all of them have ended."""
    while lanes:
        said = shared.heard.get()
        if isinstance(said, Note):
            told(said.job, said.text)
        elif isinstance(said, Done):
            yield said.outcome
            said.taken.set()
        elif said.failure is not None:
            raise said.failure
        else:
            lanes -= 1
