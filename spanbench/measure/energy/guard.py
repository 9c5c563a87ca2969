"""The guard between a meter and the time: a failing meter costs its joules and nothing more."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from spanbench.measure.energy.protocol import Meter, MeterError, Reading, Session, Source, Window

__all__ = ["Guard"]

_T = TypeVar("_T")


class Guard:
    """A meter's session behind which nothing raises, and nothing that is not a positive finite number counts as joules.

    Ctrl-C passes through, and still closes the session.
    """

    def __init__(self, meter: Meter) -> None:
        self.name, self.note = meter.name, meter.note
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
    def source(self) -> Source:
        """Return what the joules may be called; a session that found a better or a weaker source than its meter says so."""
        return getattr(self._session, "source", self._meter.source)

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

    def begin(self, window: Window) -> None:
        """Open a window; a failure is kept for `end`."""
        session = self._session
        if session is not None:
            self._reason = ""
            self._attempt("open a window", lambda: session.begin(window))

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
    low, high = (end if end is not None and math.isfinite(end) else None for end in (reading.low, reading.high))
    return replace(reading, joules=float(joules), reason=None, low=low, high=high)
