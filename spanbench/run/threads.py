"""`--threads`: how many threads torch computes with."""

from __future__ import annotations

import os

import torch

from spanbench.errors import UsageError
from spanbench.measure.machine.cpu import usable_cores

__all__ = ["set_threads"]

_THREADS_A_CORE = 4  # more only wait for one another; a value beyond it is a slip of the finger


def set_threads(threads: int) -> None:
    """Let torch compute each operation with so many threads.

    The threads between operations are left as they are: nothing here runs two operations at once.

    Raises:
        UsageError: fewer than 1 thread, or more than 4 for each core that this process may run on.
    """
    cores = usable_cores() or os.cpu_count() or 1
    most = _THREADS_A_CORE * cores
    if not 1 <= threads <= most:
        raise UsageError(f"--threads: {threads} must lie between 1 and {most}, 4 for each of the {cores} usable cores; {cores} is usual")
    torch.set_num_threads(threads)
