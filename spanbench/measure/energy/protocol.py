"""What every meter answers. A meter's library is imported only where it is probed or a session opens."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from spanbench.measure.caution import Caution

__all__ = ["IDLE", "Cost", "Marked", "Meter", "MeterError", "Probe", "Reading", "Scope", "Session", "Source", "Window"]

Source = Literal["measured", "estimated", "modelled"]

Scope = Literal["gpu-board", "cpu-package", "platform", "machine", "work", "none"]
"""Whose joules a meter counts: whole GPU boards with their memory; CPU packages with their DRAM; the platform's power
supply (psys); CPU and GPU as an estimator sees them; the counted work alone; nothing."""


class MeterError(Exception):
    """A meter cannot give a reading; the message is the reason a user reads. It never leaves this package."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a meter can be used here, and if not, why and how to mend it.

    `parts` names the pieces of hardware that it would read, one string each (`gpu:GPU-…`, `cpu-package:0`).
    """

    available: bool
    reason: str | None = None
    mend: str | None = None
    period_s: float | None = None
    """How often its figure is renewed, in seconds, where that is known."""
    scope: Scope = "none"
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What one repeat of an arm's work costs, as it was counted: FLOPs, and the compulsory bytes it moves."""

    flops: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Window:
    """What runs while a window is open: the arm, how often, and what one repeat costs where that was counted."""

    name: str
    repeats: int = 1
    cost: Cost | None = None


IDLE = Window("idle", 0)
"""Nothing runs. A session may learn from such a window what the hardware draws when it rests."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Joules of one window, or None and why. Joules are finite and positive: a reading of 0 is a failure.

    `low` and `high` bound the systematic error of this one window (what a counter's ticks hide), where it can be bounded.
    """

    joules: float | None
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    cautions: tuple[Caution, ...] = ()


class Session(Protocol):
    """A meter made ready. Windows follow one another and do not nest."""

    @property
    def by(self) -> str:
        """Return who gives the joules and how it comes by them, for the record."""
        ...

    def begin(self, window: Window) -> None:
        """Open a window; may wait for the meter's next tick, and a random moment more."""
        ...

    def end(self) -> Reading:
        """Close the window and return the joules of the time between `begin`'s return and this call."""
        ...


@runtime_checkable
class Marked(Protocol):
    """A session that waits in `begin` and `end`, and can be told, without waiting, when its window really opens and closes.

    A sum of meters needs it: what one of its sessions waits for must not lie in another's window.
    """

    def open(self) -> None:
        """Note that the window opens now rather than when `begin` returned."""
        ...

    def close(self) -> None:
        """Note that the window closes now; `end` follows."""
        ...


class Meter(Protocol):
    """A way to get joules."""

    @property
    def name(self) -> str:
        """Return the name that `--meter` takes."""
        ...

    @property
    def source(self) -> Source:
        """Return what a figure of this meter may be called."""
        ...

    @property
    def note(self) -> str:
        """Return what a reader must know of every figure of this meter, or ''."""
        ...

    @property
    def min_window_s(self) -> float:
        """Return the shortest window, in seconds, that this meter can resolve."""
        ...

    def probe(self) -> Probe:
        """Return whether the meter can be used; within 50 ms, without a child process, and without raising."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """Return a context that makes the meter ready (which may take seconds) and puts everything back."""
        ...
