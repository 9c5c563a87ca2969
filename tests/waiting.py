"""Waiting for other processes."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

__all__ = ["gone", "until"]


def gone(process: psutil.Process) -> bool:
    """Wait until a process has ended, or is only waiting for whoever inherited it; False after a minute."""
    for _ in range(600):
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; an error after a minute."""
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.01)
    raise TimeoutError
