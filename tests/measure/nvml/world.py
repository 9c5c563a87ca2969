"""Inside a process under the fake driver: its boards, and a clock that only the test moves."""

from __future__ import annotations

import ctypes
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spanbench.measure.energy.power import Pace
from spanbench.measure.energy.protocol import Reading, Session, Window

WORK = Window("work")


def _library() -> Any:
    library = ctypes.CDLL("libnvidia-ml.so.1")  # the one that the bindings load, by the same name
    library.fake_now.restype = library.fake_truth.restype = ctypes.c_double
    return library


@dataclass(frozen=True, slots=True)
class Measured:
    """A window's reading beside what the boards truly drew in it."""

    reading: Reading
    truth: float
    seconds: float

    @property
    def error(self) -> float:
        """Return the relative error; a window without joules fails the test here."""
        assert self.reading.joules is not None, self.reading.reason
        return self.reading.joules / self.truth - 1

    @property
    def bounded(self) -> bool:
        """Return whether the stated bound holds the truth."""
        low, high = self.reading.low, self.reading.high
        return low is not None and high is not None and low <= self.truth <= high


class Boards:
    """The fake boards. A scenario with driven=1 goes by `pace`; any other by real time."""

    def __init__(self, count: int = 1, *, driven: bool = True) -> None:
        self.library, self.count, self.driven = _library(), count, driven
        self._steps: dict[int, list[Any]] = {}  # what runs in the background: due, interval, step

    @property
    def pace(self) -> Pace:
        return Pace(self, self.sleep, self.background) if self.driven else Pace()

    def now(self) -> float:
        return float(self.library.fake_now())

    def sleep(self, seconds: float) -> None:
        """Let time pass; background steps run when they are due, as a thread's would."""
        if not self.driven:
            time.sleep(seconds)
            return
        until = self.now() + seconds
        while due := [entry for entry in self._steps.values() if entry[0] <= until]:
            entry = min(due, key=lambda each: float(each[0]))
            self._advance(entry[0])
            entry[0] += entry[1]
            entry[2]()
        self._advance(until)

    def background(self, step: Callable[[], None], interval_s: float) -> Callable[[], None]:
        key = max(self._steps, default=0) + 1
        self._steps[key] = [self.now() + interval_s, interval_s, step]

        def stop() -> None:
            del self._steps[key]

        return stop

    def draw(self, watts: float, board: int = 0) -> None:
        self.library.fake_watts(board, ctypes.c_double(watts))

    def word(self, word: str) -> None:
        """Change the scenario while it runs."""
        self.library.fake_word(word.encode())

    def truth(self, start: float, end: float) -> float:
        """Return what all boards drew between two moments, in joules."""
        return sum(float(self.library.fake_truth(board, ctypes.c_double(start), ctypes.c_double(end))) for board in range(self.count))

    def measure(self, session: Session, seconds: float, *, busy: float = 300.0, idle: float = 50.0) -> Measured:
        """Measure a window in which every board draws `busy` watts, and `idle` before and after."""

        def work() -> None:
            for board in range(self.count):
                self.draw(busy, board)
            self.sleep(seconds)
            for board in range(self.count):
                self.draw(idle, board)

        return self.window(session, work)

    def window(self, session: Session, work: Callable[[], None], window: Window = WORK) -> Measured:
        """Measure a window around `work`."""
        session.begin(window)
        opened = self.now()
        work()
        closed = self.now()
        reading = session.end()
        return Measured(reading, self.truth(opened, closed), closed - opened)

    def _advance(self, until: float) -> None:
        self.library.fake_advance(ctypes.c_double(max(0.0, until - self.now())))


def seeded(seed: int) -> random.Random:
    """Return a generator whose numbers are the same each time."""
    return random.Random(seed)  # noqa: S311 - no secret
