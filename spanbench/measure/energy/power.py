"""Joules of a window from a sensor of power that is read now and then, and shows each figure late.

A sensor shows, renewed once a period, the power of a moment or a mean over the past second. Every sample is kept and
held until the next one. What a window draws is shown with a delay, but shown in full: so the shown power is integrated
from the window's opening until the sensor has forgotten the window, and what was added on the way, the delay times
the power around the window, is taken off. That holds for any sensor whose memory is no longer than assumed, as long
as the device rests around the window; differencing de-duplicated samples by the trapezoid rule would hold for none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import fsum

from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy.protocol import MeterError

__all__ = ["Integrated", "Pace", "PowerWatch", "Sample", "Sensor", "held_joules", "in_thread"]

_SAMPLES_PER_PERIOD = 4
_BUDGET = 0.004  # of one core, for the sampler: where a read costs more, there are fewer of them
_JOIN_S = 5.0

Sample = tuple[float, float]
"""The moment of a reading, in seconds of the clock, and the watts that it showed."""

Background = Callable[[Callable[[], None], float], Callable[[], None]]
"""Runs a step every so many seconds until what it returned is called."""


def in_thread(step: Callable[[], None], interval_s: float) -> Callable[[], None]:
    """Run `step` in a thread of its own, at least `interval_s` seconds apart, and more where it would take too much of a core."""
    done = threading.Event()
    thread = threading.Thread(target=_repeat, args=(step, interval_s, done), name="spanbench-power", daemon=True)
    thread.start()

    def stop() -> None:
        done.set()
        thread.join(_JOIN_S)  # a driver that hangs must not hang the run

    return stop


def _repeat(step: Callable[[], None], interval_s: float, done: threading.Event) -> None:
    began, used = time.perf_counter(), time.thread_time()
    pause = interval_s
    while not done.wait(pause):
        step()
        over = (time.thread_time() - used) / _BUDGET - (time.perf_counter() - began)
        pause = max(interval_s, over)


@dataclass(frozen=True, slots=True)
class Pace:
    """Where the seconds come from, how to wait, and how to do something meanwhile. Tests drive all three by hand."""

    clock: Clock = field(default_factory=PerfCounter)
    sleep: Callable[[float], None] = time.sleep
    background: Background = in_thread


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor of power, or several read together.

    `read` returns watts or raises MeterError; `period_s` is how often the figure is renewed, `memory_s` the most that
    a figure looks back, and `peak_watts` the most that the device may draw, None where nobody says.
    """

    read: Callable[[], float]
    period_s: float
    memory_s: float
    peak_watts: float | None


@dataclass(frozen=True, slots=True)
class Integrated:
    """Joules of a window, and how far off they can be either way; None where the peak power is unknown.

    The slack covers what lies between the sensor's periods and between samples, and a power that was not the same
    before and after the window; it takes for granted that the power is steady between two figures of the sensor.
    `edge_joules` is what the samples miss at the window's edges, for the powers that were really seen.
    """

    joules: float
    slack_joules: float | None
    edge_joules: float


class PowerWatch:
    """Samples a sensor from `start` until it has shown all of the window that `stop` closed; neither of them raises."""

    def __init__(self, sensor: Sensor, pace: Pace) -> None:
        self._sensor, self._pace = sensor, pace
        self._interval = sensor.period_s / _SAMPLES_PER_PERIOD
        self._tail_s = sensor.memory_s + sensor.period_s + 2 * self._interval
        self._samples: list[Sample] = []
        self._fault: str | None = None
        self._end_background: Callable[[], None] | None = None
        self._opened = 0.0
        self._closed: float | None = None

    def settle(self) -> None:
        """Wait until the sensor has forgotten what ran before: a figure of the past second would bring it into the window."""
        self._pace.sleep(self._tail_s)

    def start(self) -> None:
        """Read once and begin to sample; the window opens."""
        self._end()
        self._samples, self._fault, self._closed = [], None, None
        self._take()
        self._end_background = self._pace.background(self._take, self._interval)
        self.open()

    def open(self) -> None:
        """Note that the window opens now, later than `start` returned."""
        self._opened = self._pace.clock.now()

    def stop(self) -> None:
        """Note that the window closes now; the first call counts. Sampling goes on until `finish`."""
        if self._closed is None:
            self._closed = self._pace.clock.now()

    def cancel(self) -> None:
        """End sampling without a figure."""
        self._end()

    def finish(self) -> Integrated:
        """Wait until the sensor has shown the window in full, end sampling, and return the window's joules.

        Raises:
            MeterError: no window was opened, or the sensor failed in it.
        """
        if self._end_background is None:
            raise MeterError(self._fault or "no window is open")
        try:
            self.stop()
            closed = self._closed or 0.0
            until = closed + self._tail_s
            self._pace.sleep(max(0.0, until - self._pace.clock.now()))
            self._take()
        finally:
            self._end()
        if self._fault is not None:
            raise MeterError(self._fault)
        return self._integrated(until)

    def _integrated(self, until: float) -> Integrated:
        """Return what was shown from the opening until `until`, less the delay at the mean of the powers at both ends."""
        (_, before), (_, after) = self._samples[0], self._samples[-1]
        late = until - (self._closed or 0.0)
        joules = held_joules(self._samples, self._opened, until) - late * (before + after) / 2
        blind = self._sensor.period_s + max(later - earlier for (earlier, _), (later, _) in pairwise(self._samples))
        shown = [watts for _, watts in self._samples]
        unrest = late * abs(after - before) / 2
        peak = self._sensor.peak_watts
        return Integrated(joules, None if peak is None else peak * blind + unrest, (max(shown) - min(shown)) * blind + unrest)

    def _take(self) -> None:
        """Read once; the first failure ends the reading, and is told by `finish`."""
        if self._fault is not None:
            return
        try:
            watts = self._sensor.read()
            self._samples.append((self._pace.clock.now(), watts))
        except Exception as error:  # noqa: BLE001 - this runs in a thread beside timed work, which must survive any failure
            self._fault = next(iter(str(error).splitlines()), "") or type(error).__name__

    def _end(self) -> None:
        end, self._end_background = self._end_background, None
        if end is not None:
            end()


def held_joules(samples: Sequence[Sample], start: float, end: float) -> float:
    """Return the integral of the power from `start` to `end`: each sample holds until the next, the first one also before it.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("there is no sample of power")
    ordered = sorted(samples)
    moments = [start, *(at for at, _ in ordered[1:]), end]
    clipped = [min(max(moment, start), end) for moment in moments]
    return fsum(watts * (later - earlier) for (_, watts), (earlier, later) in zip(ordered, pairwise(clipped), strict=True))
