"""What a task of Ray does on its machine: start one child, give it one job, and hand back what became of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from spanbench.errors import SpanbenchError
from spanbench.sweep.child import Child, Reply
from spanbench.sweep.device import device_name, held
from spanbench.sweep.job import Job

__all__ = ["THREADS", "Attempt", "attempt"]

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Ray sets the first one for its tasks; a child takes what the driver's user set, so that torch's choice is as on `local`."""

_CUDA = "cuda:0"
"""Ray shows a task the one GPU that it gave it, whichever that is."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt's reply, and its seconds from the child's start, the wait for its device left out."""

    reply: Reply
    seconds: float


def attempt(text: str, command: Sequence[str] | None, environ: Mapping[str, str]) -> Attempt:
    """Run one job in a fresh process of this machine; it ends with this worker, however that ends.

    Args:
        text: the job as JSON.
        command: the child's command line; None: this machine's own Python with `-m spanbench point`.
        environ: `THREADS` as the driver has them.
    """
    job = Job.from_json(text)
    try:
        with _threads(environ):
            return _child(job, command) if job.device is None else _alone(job, job.device, command)
    except (SpanbenchError, OSError) as error:  # no lock can be made, no such command
        return Attempt(Reply(None, str(error)), 0.0)


def _alone(job: Job, device: str, command: Sequence[str] | None) -> Attempt:
    """Run a job that needs its device alone: this machine may have users beside Ray."""
    if not device.startswith("cuda"):
        with held(device, _nothing, _never):
            return _child(job, command)
    with held(_given(), _nothing, _never):
        return _child(replace(job, device=_CUDA), command)


def _given() -> str:
    """Return under which name this task's GPU is locked: all of a machine's tasks call theirs cuda:0, and may have no driver to ask."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    told_apart = device_name(_CUDA) != _CUDA.replace(":", "-")
    return _CUDA if told_apart or not visible.isdecimal() else f"cuda:{visible}"


def _child(job: Job, command: Sequence[str] | None) -> Attempt:
    begin = time.monotonic()
    child = Child(command or (sys.executable, "-m", "spanbench", "point"), _ignore)
    try:
        reply = child.once(job)
    finally:
        child.close()
    return Attempt(reply, time.monotonic() - begin)


@contextmanager
def _threads(environ: Mapping[str, str]) -> Iterator[None]:
    """Have the driver's settings of threads for a while, and only those."""
    before = {name: os.environ.pop(name) for name in THREADS if name in os.environ}
    os.environ.update(environ)
    try:
        yield
    finally:
        for name in THREADS:
            os.environ.pop(name, None)
        os.environ.update(before)


def _ignore(_line: str) -> None:
    """Progress of a child stays on its machine: an error's last line comes back in the reply."""


def _nothing() -> None:
    """Wait for a device unseen."""


def _never() -> bool:
    """Wait for a device until the task is cancelled, which ends this process."""
    return False
