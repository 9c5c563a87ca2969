"""The four processes of a check, two of each program, of which only one computes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from spanbench.errors import UsageError
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import Window
from spanbench.run.against.asked import Asked
from spanbench.run.against.process import Worker, WorkerFailed, package_folder
from spanbench.run.against.series import COPIES, SIDES, Process, Side, Slot, Taken

__all__ = ["Crew", "Program", "crew_of"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Program:
    """One version of the project: the folder it lies in, and what messages call it."""

    top: Path
    name: str


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers that have built their arms and wait for orders."""

    workers: Mapping[Process, Worker]
    told: Mapping[Side, Mapping[str, Any]]
    """What each program tells of itself, see `worker.py`."""

    def flops(self, side: Side, arm: str, regime: str) -> int | None:
        """Return a program's own count, where it has one."""
        found = self.told[side]["flops"]
        return None if found is None else int(found[arm][regime])

    def slot(self, arm: str, regime: str, meter: Guard | None = None) -> Slot:
        """Return what runs one slot of an arm in a regime; with a meter, joules are what is compared."""
        if meter is None:
            return partial(self._seconds, arm, regime)
        return partial(self._joules, arm, regime, meter)

    def _seconds(self, arm: str, regime: str, process: Process, repeats: int) -> Taken:
        seconds = self.workers[process].run(arm, regime, repeats)
        return Taken(seconds, seconds)

    def _joules(self, arm: str, regime: str, meter: Guard, process: Process, repeats: int) -> Taken:
        """Meter a whole order: the run that goes before its slot untimed is in it, in both programs alike."""
        meter.begin(Window(arm, repeats))
        seconds = self.workers[process].run(arm, regime, repeats)
        reading = meter.end()
        if reading.joules is None:
            raise UsageError(f"--quantity joules: {reading.reason}; take --quantity seconds")
        return Taken(seconds, reading.joules)


@contextmanager
def crew_of(asked: Asked, base: Program, head: Program, *, threads: int | None, progress: Progress) -> Iterator[Crew]:
    """Start the workers one after another; stop them however the block ends.

    Raises:
        UsageError: a program cannot run what is asked, and why.
    """
    programs: Mapping[Side, Program] = {"base": base, "head": head}
    workers: dict[Process, Worker] = {}
    told: dict[Side, Mapping[str, Any]] = {}
    everyone = [Process(side, copy) for copy in range(COPIES) for side in SIDES]
    with ExitStack() as stack:
        for done, process in enumerate(everyone):
            progress("starting base and head", done, len(everyone))
            program = programs[process.side]
            worker = Worker(program.top)
            stack.callback(worker.stop)
            told[process.side] = _built(worker, asked.job(head.top, program.top, threads), program)
            workers[process] = worker
        progress("starting base and head", len(everyone), len(everyone))
        yield Crew(workers, told)


def _built(worker: Worker, job: Mapping[str, Any], program: Program) -> Mapping[str, Any]:
    try:
        told = worker.build(job)
    except WorkerFailed as error:
        if "ImportError" in str(error) or "ModuleNotFoundError" in str(error):
            raise UsageError(f"--against: {program.name} is older than --against needs, or lacks a package: {error}") from None
        raise UsageError(f"--against: {program.name} cannot run this point: {error}") from None
    own = package_folder(program.top)
    if own is not None and not Path(told["package"]).resolve().is_relative_to(own):
        raise UsageError(f"--against: {program.name} has a spanbench of its own, and Python imports {told['package']} instead of it")
    return told
