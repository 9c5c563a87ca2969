"""Joules of a window from counters that tick more slowly than windows open and close.

A counter that is read when a window opens and when it closes is wrong by up to a tick at either end, always in the
same direction where the device goes from rest to work (about −ΔP·period/2). Here a window opens after a tick that was
seen, and its joules are counted to the first tick after it closed; what was drawn between those ticks but outside the
window is taken off at the power of the resting device, and what it can have been at most and at least is stated.
"""

from __future__ import annotations

import random as randomness
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import fsum
from typing import Protocol

from spanbench.measure.caution import Caution
from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy.protocol import IDLE, MeterError, Reading, Window
from spanbench.measure.energy.ticks import Counter, Edge, next_edges

__all__ = ["Companion", "Counter", "EdgeAligned"]

_UNIT_J = 1e-3  # the coarsest unit of a known counter (NVML counts millijoules): a difference is rounded by up to one
_JUMP = 2.0  # times the peak power and more was not drawn: the counter was reset, or wrapped unseen
_JUMP_J = 1.0


class Companion(Protocol):
    """Something that watches every window from beside it, such as a sampler of power. None of its calls may raise."""

    def start(self) -> None:
        """Begin to watch; called when the window is about to open."""
        ...

    def stop(self) -> None:
        """Note that the window has closed, at once. Watching may go on until `check`: a sensor's average comes late."""
        ...

    def check(self, joules: float | None, seconds: float) -> tuple[Caution, ...]:
        """End watching, and return what is to be said of the window's joules (None: the counters failed) and seconds."""
        ...


class EdgeAligned:
    """A session over one or several counters, whose joules are summed.

    The window opens a random moment after a tick (`phase`), so that work is not always in step with a sensor that looks
    at the power for a part of its period only. The power at rest is learnt from the session's last window `IDLE`;
    before there was one, what lies outside a window is taken to draw as much as the window itself.

    `low` and `high` of a reading hold for every power between 0 and `peak_watts` outside the window and for polls that come
    late; they say nothing about the sensor's own gain or lag.
    """

    def __init__(
        self,
        counters: Sequence[Counter],
        by: str,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        random: randomness.Random | None = None,
        phase: bool = True,
        watch: Companion | None = None,
    ) -> None:
        self.by = by
        self._counters = tuple(counters)
        self._clock: Clock = clock or PerfCounter()
        self._sleep = sleep
        self._random = random or randomness.Random()  # noqa: S311 - no secret: it only spreads the windows' phases
        self._phase = phase
        self._watch, self._watching = watch, False
        self._window = IDLE
        self._starts: tuple[Edge, ...] = ()
        self._opened = 0.0
        self._closed: float | None = None
        self._rest_watts: tuple[float, ...] | None = None

    def begin(self, window: Window) -> None:
        """Wait for a tick of each counter and, unless nothing will run, a random part of a period; then open the window.

        Raises:
            MeterError: a counter cannot be read, stands still or was reset.
        """
        self._window, self._starts, self._closed = window, (), None
        self._starts = next_edges(self._counters, self._clock, self._sleep)
        if self._phase and window != IDLE:
            self._sleep(self._random.uniform(0, max(counter.period_s for counter in self._counters)))
        if self._watch is not None:
            self._watching = True
            self._watch.start()
        self.open()

    def open(self) -> None:
        """Note that the window opens now, later than `begin` returned: what was drawn before is outside."""
        self._opened = self._clock.now()

    def close(self) -> None:
        """Note that the window closes now; `end` then only waits for the ticks. The first call counts."""
        if self._closed is None:
            self._closed = self._clock.now()
            if self._watch is not None and self._watching:
                self._watch.stop()

    def end(self) -> Reading:
        """Close the window if `close` has not, wait for a tick of each counter, and return the joules between."""
        self.close()
        seconds = (self._closed or 0.0) - self._opened
        try:
            reading = self._reading(seconds)
        except MeterError as error:
            reading = Reading(None, str(error))
        if self._watch is None or not self._watching:
            return reading
        self._watching = False
        return replace(reading, cautions=reading.cautions + self._watch.check(reading.joules, seconds))

    def _reading(self, seconds: float) -> Reading:
        if not self._starts:
            raise MeterError("no window is open")
        starts, self._starts = self._starts, ()
        ends = next_edges(self._counters, self._clock, self._sleep)
        spans = [_Span(*parts, self._opened, self._opened + seconds) for parts in zip(self._counters, starts, ends, strict=True)]
        if self._window == IDLE:
            self._rest_watts = tuple(span.watts for span in spans)
        rests = self._rest_watts if self._rest_watts is not None and self._window != IDLE else (None,) * len(spans)
        joules = fsum(span.joules(rest) for span, rest in zip(spans, rests, strict=True))
        if joules <= 0:
            period = max(counter.period_s for counter in self._counters)
            raise MeterError(f"a window of {seconds:.3g} s drew no more than the device at rest: ticks of {period:.3g} s hide it")
        return _bounded(joules, spans)


class _Span:
    """What one counter showed from the tick before a window to the tick after it.

    Raises:
        MeterError: it fell, or grew by more than the device can have drawn.
    """

    def __init__(self, counter: Counter, start: Edge, end: Edge, opened: float, closed: float) -> None:
        self._start, self._end, self._opened, self._closed = start, end, opened, closed
        self._total = end.joules - start.joules
        self.peak_watts = counter.peak_watts
        longest = end.latest - start.earliest
        if self._total < 0:
            raise MeterError(f"{counter.name} was reset: it fell from {start.joules:.6g} J to {end.joules:.6g} J in a window")
        if self.peak_watts is not None and self._total > _JUMP * self.peak_watts * longest + _JUMP_J:
            most = f"at {self.peak_watts:g} W the device cannot have drawn that"
            raise MeterError(f"{counter.name} jumped by {self._total:.6g} J in {longest:.3g} s: {most}")

    @property
    def watts(self) -> float:
        """Return the mean power from tick to tick."""
        return self._total / (self._end.at - self._start.at)

    def joules(self, rest_watts: float | None) -> float:
        """Return the window's joules: all, less what the resting device drew outside the window; None: pro rata."""
        outside = (self._end.at - self._start.at) - (self._closed - self._opened)
        joules = self._total - (self.watts if rest_watts is None else rest_watts) * outside
        return joules if self.peak_watts is None else min(max(joules, self.low(self.peak_watts)), self.high)

    @property
    def high(self) -> float:
        """Return the most that the window can have drawn: all of it, and nothing outside."""
        return self._total + _UNIT_J

    def low(self, peak_watts: float) -> float:
        """Return the least: the peak power outside the window, counted to the tick after it or to the read just after it."""
        lead = self._opened - self._start.earliest
        to_tick = self._total - peak_watts * (lead + self._end.latest - self._closed)
        to_read = self._end.before - self._start.joules - peak_watts * (lead + self._end.before_s - self._closed)
        return max(to_tick - _UNIT_J, to_read - _UNIT_J, 0.0)


def _bounded(joules: float, spans: Sequence[_Span]) -> Reading:
    peaks = [span.peak_watts for span in spans if span.peak_watts is not None]
    if len(peaks) < len(spans):
        text = "the device's peak power is unknown, so that what the counter's ticks may hide has no bound"
        return Reading(joules, cautions=(Caution("energy-unbounded", text),))
    low = fsum(span.low(peak) for span, peak in zip(spans, peaks, strict=True))
    return Reading(joules, low=low, high=fsum(span.high for span in spans))
