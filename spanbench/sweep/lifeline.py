"""A child that does not outlive the sweep that started it, however that ended: nothing goes on measuring unseen."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

__all__ = ["PARENT", "die_with_parent"]

PARENT = "SPANBENCH_SWEEP_PID"
"""Environment variable in which a sweep tells its children which process they belong to."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux; elsewhere without effect).

    Where the parent ended before this call, the process ends at once.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # a C library without prctl
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    parent = os.environ.get(PARENT)
    if parent is not None and parent.isdecimal() and os.getppid() != int(parent):
        os._exit(1)
