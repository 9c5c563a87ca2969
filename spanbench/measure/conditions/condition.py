"""What a condition is: something read before the run and after it, and a judgement of the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.host.kernel import ROOT
from spanbench.measure.nvml.device import Device

__all__ = ["Condition", "Gpus", "Place", "Unwatched"]

State = TypeVar("State")


class Unwatched(Exception):
    """A condition matters here and cannot be told; the message is the reason. It never leaves this package."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs that the run uses, none for a run on the CPU; or why they cannot be looked at."""

    devices: tuple[Device, ...] = ()
    reason: str | None = None

    def all(self) -> tuple[Device, ...]:
        """Return the GPUs.

        Raises:
            Unwatched: the run uses some, and they cannot be looked at.
        """
        if self.reason is not None:
            raise Unwatched(self.reason)
        return self.devices


@dataclass(frozen=True, slots=True)
class Place:
    """Where conditions are looked for: the root of /proc and /sys, the GPUs, and a clock in seconds."""

    root: Path = ROOT
    gpus: Gpus = field(default_factory=Gpus)
    clock: Clock = field(default_factory=PerfCounter)


@dataclass(frozen=True, slots=True)
class Condition(Generic[State]):
    """One thing that disturbs a run.

    `read` looks at the machine (a millisecond or so); `judge` is given both readings and returns one sentence with the
    figures, or None where nothing is wrong or this machine has no such thing. Either may raise Unwatched.
    """

    code: str
    read: Callable[[Place], State]
    judge: Callable[[State, State], str | None]
    name: str = ""
    """What could not be watched, in words, where the code alone does not say it."""
