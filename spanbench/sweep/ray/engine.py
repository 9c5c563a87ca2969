"""Jobs as tasks of Ray: one task an attempt, outcomes in the order they finish, nothing left running.

Ray places, queues and runs; what is kept here is which job a task was of, and how often it was tried. Ray's own retries
are off (`max_retries=0`): they tell neither that nor how often, and where memory runs out they never end.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spanbench.errors import SpanbenchError, UsageError
from spanbench.sweep.child import Reply
from spanbench.sweep.job import Job, Outcome, Told
from spanbench.sweep.ray.cluster import check_installed, connected
from spanbench.sweep.ray.mark import marked
from spanbench.sweep.ray.places import check_devices, check_labels, lacking, needs, nodes_of
from spanbench.sweep.ray.task import THREADS, Attempt, attempt

__all__ = ["RETRIES", "RayEngine"]

RETRIES = 2
"""How often a job is tried again whose child, worker or machine was lost."""

_AHEAD = 1000
"""Tasks that Ray holds at a time: enough for every GPU of a large cluster, few enough to ask after."""

_POLL_S = 1.0
_FAREWELL_S = 5.0


@dataclass(frozen=True, slots=True)
class _Try:
    """A job, with the attempts that were made of it and their seconds."""

    job: Job
    attempts: int = 0
    seconds: float = 0.0


class RayEngine:
    """Runs jobs on Ray: a counted one takes a CPU, one on CUDA a whole GPU, one that times the CPU a whole node.

    Args:
        address: HOST:PORT of a cluster, or 'auto' for the one that runs on this machine; None: one is started here, and
            ended afterwards.
        workers: at most so many jobs are counted at a time; None: as many as fit.
        labels: selectors of nodes, by label; see `spanbench.sweep.ray.places.check_labels`.
        command: the child's command line; None: each machine's own Python with `-m spanbench point`.
        gpus: how many GPUs a cluster that is started here has; None: as many as Ray finds.
        retries: how often a job is tried again that was killed.

    Raises:
        UsageError: Ray is not installed, or a label cannot be one.
    """

    name = "ray"

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        labels: Mapping[str, str] | None = None,
        *,
        command: Sequence[str] | None = None,
        gpus: int | None = None,
        retries: int = RETRIES,
    ) -> None:
        self._address, self._workers, self._labels = address, workers, dict(labels or {})
        self._command, self._gpus, self._retries = command, gpus, retries
        check_labels(self._labels)
        check_installed()

    def run(self, jobs: Sequence[Job], told: Told) -> Generator[Outcome, None, None]:
        """Yield one outcome a job, in the order they finish.

        Seconds leave out attempts whose worker was lost with them. A closed iterator, or an exception in it, cancels
        every task, and with each its child.

        Raises:
            UsageError: no connection, a request for a certain GPU, or a need that no node of a cluster started here meets.
        """
        check_devices(jobs)
        if not jobs:
            return
        # More workers than CPUs are what the user asked for: Ray starts no more tasks than it has CPUs.
        cpus = None if self._workers is None else max(self._workers, os.cpu_count() or 1)
        with connected(self._address, cpus, self._gpus) as ray:
            tasks = _Tasks(ray, self._command, self._labels)
            self._check_places(jobs, tasks, told)
            try:
                yield from self._outcomes(jobs, tasks, told)
            finally:
                tasks.cancel()

    def _check_places(self, jobs: Sequence[Job], tasks: _Tasks, told: Told) -> None:
        """Refuse what can never run; a cluster that is joined may yet grow, so there it is only told."""
        for job in {job.device: job for job in jobs}.values():
            lack = tasks.lack(job)
            if lack is None:
                continue
            if self._address is None:
                raise UsageError(
                    f"--engine ray: this machine lacks {lack}, which {_what(job)} needs; give the --address of a cluster that has it"
                )
            told(job, f"waits: no node of the cluster has {lack}, which {_what(job)} needs")

    def _outcomes(self, jobs: Sequence[Job], tasks: _Tasks, told: Told) -> Iterator[Outcome]:
        waiting = _Waiting(jobs, self._workers or _AHEAD)
        while waiting or tasks.running:
            for tried in waiting.due(tasks.running.values()):
                tasks.start(tried)
            for tried, reply in tasks.ended():
                if reply.killed and tried.attempts <= self._retries:
                    told(tried.job, f"{reply.reason}; it is tried again")
                    waiting.again(tried)
                else:
                    yield _outcome(tried, reply)


class _Waiting:
    """Jobs that Ray was not given yet: those that are only counted, no more than `workers` of them at a time, and the others."""

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        self._most = {True: workers, False: _AHEAD}
        self._queues = {counted: deque(_Try(job) for job in jobs if (job.device is None) == counted) for counted in self._most}

    def __bool__(self) -> bool:
        return any(self._queues.values())

    def due(self, running: Iterable[_Try]) -> Iterator[_Try]:
        """Yield, and take out, those that Ray is to be given beside those that run."""
        taken = Counter(tried.job.device is None for tried in running)
        for counted, queue in self._queues.items():
            for _ in range(min(len(queue), self._most[counted] - taken[counted])):
                yield queue.popleft()

    def again(self, tried: _Try) -> None:
        """Have a job tried again before any that was not tried yet."""
        self._queues[tried.job.device is None].appendleft(tried)


def _what(job: Job) -> str:
    return "a counted point" if job.device is None else f"a point measured on {job.device}"


def _outcome(tried: _Try, reply: Reply) -> Outcome:
    reason = f"{reply.reason}, {tried.attempts} times" if reply.killed else reply.reason
    return Outcome(tried.job, _marked(reply.line), reason, tried.attempts, tried.seconds)


def _marked(line: str | None) -> str | None:
    try:
        return None if line is None else marked(line)
    except SpanbenchError:  # no record: whoever keeps it says so
        return line


class _Tasks:
    """The tasks that Ray holds for this sweep."""

    def __init__(self, ray: Any, command: Sequence[str] | None, labels: Mapping[str, str]) -> None:
        self._ray, self._command, self._labels = ray, command, labels
        self._threads = {name: os.environ[name] for name in THREADS if name in os.environ}
        self._nodes = nodes_of(ray.nodes(), labels)
        # A worker is kept for the next task, also after one with a GPU: what is fresh for each point is the child.
        self._remote = ray.remote(max_calls=0, max_retries=0)(attempt)
        self.running: dict[Any, _Try] = {}

    def lack(self, job: Job) -> str | None:
        """Return what no node has that the job needs."""
        return lacking(needs(job, self._nodes), self._nodes)

    def start(self, tried: _Try) -> None:
        """Give Ray a task for one more attempt."""
        options: dict[str, Any] = dict(needs(tried.job, self._nodes))
        if self._labels:
            options["label_selector"] = self._labels
        task = self._remote.options(**options).remote(tried.job.to_json(), self._command, self._threads)
        self.running[task] = tried

    def ended(self) -> Iterator[tuple[_Try, Reply]]:
        """Wait a while for tasks to end; yield those that did, each with its attempt and seconds added."""
        done, _ = self._ray.wait(list(self.running), num_returns=1, timeout=_POLL_S)
        for task in done:
            tried, made = self.running.pop(task), self._made(task)
            yield replace(tried, attempts=tried.attempts + 1, seconds=tried.seconds + made.seconds), made.reply

    def _made(self, task: Any) -> Attempt:
        errors = self._ray.exceptions
        try:
            made: Attempt = self._ray.get(task)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.LocalRayletDiedError) as error:
            return Attempt(Reply(None, f"its worker was lost ({type(error).__name__})", killed=True), 0.0)
        except errors.RayError as error:
            return Attempt(Reply(None, f"Ray could not run it ({_last_line(error)})"), 0.0)
        return made

    def cancel(self) -> None:
        """End what still runs: its worker is killed, and the child with it."""
        tasks = list(self.running)
        for task in tasks:
            self._ray.cancel(task, force=True)
        if tasks:
            self._ray.wait(tasks, num_returns=len(tasks), timeout=_FAREWELL_S)


def _last_line(error: Exception) -> str:
    """Return the last line of an error's text, which for one of a task is what went wrong there."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
