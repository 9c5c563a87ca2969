"""A lock for each device of this machine, so that sweeps of one user do not measure on it at the same time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spanbench.errors import UsageError
from spanbench.measure.nvml.errors import NvmlError
from spanbench.measure.nvml.library import opened
from spanbench.record.lock import try_lock

__all__ = ["device_name", "folder", "held"]

_PAUSE_S = 0.1


def folder() -> Path:
    """Return where the locks are: $SPANBENCH_RUNTIME, else spanbench in $XDG_RUNTIME_DIR, else a folder of this user in the temporary one.

    The folder is of this machine and this user: locks in a home that several machines share would mix up their devices.
    """
    if own := os.environ.get("SPANBENCH_RUNTIME"):
        return Path(own)
    base = os.environ.get("XDG_RUNTIME_DIR")
    user = getattr(os, "getuid", lambda: "user")()
    return Path(base) / "spanbench" if base else Path(tempfile.gettempdir()) / f"spanbench-{user}"


def device_name(device: str) -> str:
    """Return a name of the real device: a GPU's UUID where its driver tells it, since each job of a cluster may see its own as cuda:0."""
    if not device.startswith("cuda"):
        return device
    try:
        with opened() as library:
            (gpu,) = library.devices(device)
            return gpu.instance or gpu.uuid
    except NvmlError:
        return f"cuda-{device.partition(':')[2] or 0}"


@contextmanager
def held(device: str, waiting: Callable[[], None], stopped: Callable[[], bool]) -> Iterator[bool]:
    """Hold a device alone; `waiting` is called once if someone else has it, and False is yielded if `stopped` meanwhile.

    Raises:
        UsageError: the folder of the locks cannot be written.
    """
    path = folder() / f"{device_name(device)}.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise UsageError(
            f"SPANBENCH_RUNTIME: no lock can be made in {str(path.parent)!r} ({error.strerror}); name a folder there"
        ) from None
    try:
        yield _wait(handle, waiting, stopped)
    finally:
        os.close(handle)  # and with it the lock


def _wait(handle: int, waiting: Callable[[], None], stopped: Callable[[], bool]) -> bool:
    told = False
    while not try_lock(handle):
        if stopped():
            return False
        if not told:
            waiting()
            told = True
        time.sleep(_PAUSE_S)
    return True
