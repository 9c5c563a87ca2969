"""Every meter asked once: is it there, and what does it read while spanbench does nothing?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import IDLE, Meter, Probe, Source

__all__ = ["Surveyed", "survey"]

SHORTEST_S = 0.5
"""Of a live window: shorter ones say more about the meter's tick than about the machine."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A meter's answer to `probe`, and the mean watts of one idle window or the reason for none."""

    meter: Meter
    probe: Probe
    watts: float | None
    source: Source
    by: str | None
    reason: str | None


def survey(meters: Iterable[Meter], *, clock: Clock | None = None, sleep: Callable[[float], object] = time.sleep) -> Iterator[Surveyed]:
    """Yield each meter's state, one after the other: two meters awake at once would disturb one another."""
    for meter in meters:
        yield _surveyed(meter, clock or PerfCounter(), sleep)


def _surveyed(meter: Meter, clock: Clock, sleep: Callable[[float], object]) -> Surveyed:
    probe = meter.probe()
    if not probe.available:
        return Surveyed(meter, probe, None, meter.source, None, probe.reason)
    with Guard(meter) as guard:
        guard.begin(IDLE)
        opened = clock.now()
        sleep(max(SHORTEST_S, guard.min_window_s))
        seconds = clock.now() - opened
        reading, by, source = guard.end(), guard.by, guard.source
    watts = reading.joules / seconds if reading.joules is not None and seconds > 0 else None
    return Surveyed(meter, probe, watts, source, by, None if watts is not None else reading.reason)
