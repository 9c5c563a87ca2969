"""What every meter answers, and the guard that keeps a failing one from costing more than its joules."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, TypeVar

__all__ = ["Guard", "Meter", "MeterError", "Probe", "Reading", "Session", "Source"]

Source = Literal["measured", "estimated", "modelled"]

_T = TypeVar("_T")


class MeterError(Exception):
    """A meter cannot give a reading; the message is the reason a user reads. It never leaves this package."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a meter can be used here, and if not, why and how to mend it."""

    available: bool
    reason: str | None = None
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Joules of one window, or None and why. Joules are finite and positive: a reading of 0 is a failure."""

    joules: float | None
    reason: str | None = None


class Session(Protocol):
    """A meter made ready. Windows follow one another and do not nest."""

    @property
    def by(self) -> str:
        """Return who gives the joules and how it comes by them, for the record."""
        ...

    def begin(self) -> None:
        """Open a window."""
        ...

    def end(self) -> Reading:
        """Close the window and return its joules."""
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


class Guard:
    """A meter's session behind which nothing raises, and nothing that is not a positive finite number counts as joules.

    Ctrl-C passes through, and still closes the session.
    """

    def __init__(self, meter: Meter) -> None:
        self.name, self.source, self.note = meter.name, meter.source, meter.note
        self.wanted = meter.name != "none"
        self._meter = meter
        self._stack = ExitStack()
        self._session: Session | None = None
        self._reason = ""

    @property
    def by(self) -> str:
        """Return who gives the joules, or the meter's name where it could not be started."""
        return self._session.by if self._session is not None else self.name

    @property
    def min_window_s(self) -> float:
        """Return the window the meter needs, in seconds: none where it does not run."""
        return self._meter.min_window_s if self._session is not None else 0.0

    def __enter__(self) -> Guard:
        self._attempt("start", self._open)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._session = None
        # The pending error is not handed on: a meter has no say in what happens to it.
        self._attempt("stop", self._stack.close)

    def _open(self) -> None:
        probe = self._meter.probe()
        if not probe.available:
            self._reason = "; ".join(part for part in (probe.reason, probe.mend) if part) or f"{self.name} is not available"
            return
        self._session = self._stack.enter_context(self._meter.session())

    def begin(self) -> None:
        """Open a window; a failure is kept for `end`."""
        if self._session is not None:
            self._reason = ""
            self._attempt("open a window", self._session.begin)

    def end(self) -> Reading:
        """Close the window. The session is asked even after a failed `begin`, so that it can clean up."""
        begun = not self._reason
        reading = self._attempt("close a window", self._session.end) if self._session is not None else None
        return _checked(reading, self.name) if begun and reading is not None else Reading(None, self._reason)

    def _attempt(self, what: str, call: Callable[[], _T]) -> _T | None:
        """Return what `call` returns; where it raises, None, and keep the reason (the first one of a window)."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a meter may raise anything, and the time must survive it
            kind = "" if isinstance(error, MeterError) else f"{type(error).__name__}: "
            line = next(iter(str(error).splitlines()), "no message")
            self._reason = self._reason or f"{self.name} could not {what}: {kind}{line}"
            return None


def _checked(reading: Reading, name: str) -> Reading:
    joules = reading.joules
    if joules is None:
        return Reading(None, reading.reason or f"{name} gave no reading and no reason")
    if not (math.isfinite(joules) and joules > 0):
        return Reading(None, f"{name} read {joules:g} J, which no running machine uses")
    return Reading(float(joules))
