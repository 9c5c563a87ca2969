"""A driven world for tests of time and joules: a clock that only the arms advance, and meters that fail to order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from spanbench.measure.energy.protocol import Probe, Reading, Session, Source, Window


@dataclass
class World:
    """A clock and a log of what happened; `slots_done` follows `progress`, and disturbances follow `slots_done`."""

    seconds: float = 0.0
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

    def arm(self, name: str, cost: float, disturbance: Callable[[int], float] = lambda _: 1.0) -> Callable[[], None]:
        """Return an arm that takes `cost` seconds times the disturbance of the slot it runs in."""

        def forward() -> None:
            self.log.append(name)
            self.seconds += cost * disturbance(self.slots_done)

        return forward

    def runs(self) -> list[str]:
        """Return the arms in the order of the timed slots: those between two readings of the meter."""
        timed, inside = [], False
        for entry in self.log:
            inside = entry == "begin" or (inside and entry != "end")
            if inside and entry not in {"begin", "clock", "synchronize"}:
                timed.append(entry)
        return timed


class DrivenMeter:
    """Reads `watts` times the world's seconds, unless `fault` says otherwise for a window."""

    source: Source = "measured"
    note = ""

    def __init__(self, world: World, watts: float = 10.0, fault: Callable[[int], object] = lambda _: None, **changed: Any) -> None:
        self.world, self.watts, self.fault = world, watts, fault
        self.name: str = changed.get("name", "driven")
        self.min_window_s: float = changed.get("min_window_s", 0.0)
        self.answer: Probe = changed.get("probe", Probe(available=True))
        self.open_fault: Exception | None = changed.get("open_fault")
        self.close_fault: Exception | None = changed.get("close_fault")
        self.closed = False

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
        self.meter, self.window, self.opened = meter, -1, 0.0
        self.windows: list[Window] = []

    def begin(self, window: Window) -> None:
        self.window += 1
        self.windows.append(window)
        self.meter.world.log.append("begin")
        self.opened = self.meter.world.seconds
        fault = self.meter.fault(self.window)
        if isinstance(fault, tuple):
            raise fault[0]

    def end(self) -> Reading:
        self.meter.world.log.append("end")
        fault = self.meter.fault(self.window)
        if isinstance(fault, Exception):
            raise fault
        return fault if isinstance(fault, Reading) else Reading(self.meter.watts * (self.meter.world.seconds - self.opened))
