"""A driven world for tests of time and joules: a clock that only the arms advance, and meters that fail to order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from spanbench.measure.energy.protocol import Probe, Reading, Session, Source, Window


@dataclass
class World:
    """A clock, what the hardware has truly drawn, and a log; `slots_done` follows `progress`, disturbances follow `slots_done`."""

    seconds: float = 0.0
    joules: float = 0.0
    idle_watts: float = 4.0
    slots_done: int = 0
    log: list[str] = field(default_factory=list)

    def now(self) -> float:
        self.log.append("clock")
        return self.seconds

    def synchronize(self) -> None:
        self.log.append("synchronize")

    def progress(self, done: int, total: int) -> None:
        self.slots_done = done
        self.log.append(f"progress {done}/{total}")

    def sleep(self, seconds: float) -> None:
        self.log.append("sleep")
        self.pass_time(seconds, self.idle_watts)

    def pass_time(self, seconds: float, watts: float) -> None:
        self.seconds += seconds
        self.joules += watts * seconds

    def arm(self, name: str, cost: float, disturbance: Callable[[int], float] = lambda _: 1.0, watts: float = 10.0) -> Callable[[], None]:
        """Return an arm that takes `cost` seconds times the disturbance of the slot it runs in, at `watts`."""

        def forward() -> None:
            self.log.append(name)
            self.pass_time(cost * disturbance(self.slots_done), watts)

        return forward

    def runs(self) -> list[str]:
        """Return the arms (and sleeps) in the order of the windows: what lies between two readings of the meter."""
        timed, inside = [], False
        for entry in self.log:
            inside = entry == "begin" or (inside and entry != "end")
            if inside and entry not in {"begin", "clock", "synchronize"}:
                timed.append(entry)
        return timed


class DrivenMeter:
    """Reads what the world has drawn through a sensor of `gain` and `offset` (watts), unless `fault` says otherwise for a window."""

    def __init__(self, world: World, fault: Callable[[int], object] = lambda _: None, **changed: Any) -> None:
        self.world, self.fault = world, fault
        self.gain: float = changed.get("gain", 1.0)
        self.offset: float = changed.get("offset", 0.0)
        self.source: Source = changed.get("source", "measured")
        self.note: str = changed.get("note", "")
        self.name: str = changed.get("name", "driven")
        self.min_window_s: float = changed.get("min_window_s", 0.0)
        self.answer: Probe = changed.get("probe", Probe(available=True))
        self.open_fault: Exception | None = changed.get("open_fault")
        self.close_fault: Exception | None = changed.get("close_fault")
        self.closed = False
        self.windows: list[Window] = []

    def probe(self) -> Probe:
        return self.answer

    @contextmanager
    def session(self) -> Iterator[Session]:
        if self.open_fault is not None:
            raise self.open_fault
        try:
            yield DrivenSession(self)
        finally:
            self.closed = True
            if self.close_fault is not None:
                raise self.close_fault


class DrivenSession:
    """`fault(window)` may return an error to raise at `end`, an error tuple to raise at `begin`, or a Reading to give."""

    by = "driven by the test"

    def __init__(self, meter: DrivenMeter) -> None:
        self.meter, self.window, self.opened = meter, -1, (0.0, 0.0)

    def begin(self, window: Window) -> None:
        self.window += 1
        self.meter.windows.append(window)
        self.meter.world.log.append("begin")
        self.opened = self.meter.world.seconds, self.meter.world.joules
        fault = self.meter.fault(self.window)
        if isinstance(fault, tuple):
            raise fault[0]

    def end(self) -> Reading:
        self.meter.world.log.append("end")
        fault = self.meter.fault(self.window)
        if isinstance(fault, Exception):
            raise fault
        if isinstance(fault, Reading):
            return fault
        seconds, joules = self.meter.world.seconds - self.opened[0], self.meter.world.joules - self.opened[1]
        return Reading(self.meter.gain * joules + self.meter.offset * seconds)
