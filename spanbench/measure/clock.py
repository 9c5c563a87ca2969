"""Where seconds come from, and how to wait until a device has really finished."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "PerfCounter", "synchronizer"]


class Clock(Protocol):
    """Monotonic seconds from an arbitrary start. The tests drive one by hand."""

    def now(self) -> float:
        """Return the present time in seconds."""
        ...


class PerfCounter:
    """The finest monotonic clock of this machine."""

    def now(self) -> float:
        """Return `time.perf_counter()`, in seconds."""
        return time.perf_counter()


def synchronizer(device: str) -> Callable[[], None]:
    """Return a call that blocks until all work queued on `device` ('cpu', 'cuda', 'cuda:1', 'mps') is done.

    A GPU's forward returns once its kernels are queued; a window that closes before they ran measures the queue.
    """
    if device.partition(":")[0] == "cpu":
        return _nothing
    import torch

    if device.partition(":")[0] == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.accelerator.synchronize


def _nothing() -> None:
    """Work on the CPU is done when the call returns."""
