"""A driven sensor: counters that latch a known energy at each of their ticks, in a world whose time the test spends."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from spanbench.measure.energy.protocol import MeterError


def seeded(seed: int) -> random.Random:
    """Return chance that repeats itself."""
    return random.Random(seed)  # noqa: S311 - no secret


@dataclass
class Ticking:
    """A counter of the world's energy: truth between ticks, `gain` and `offset` watts in what it shows, in steps of `unit_j`."""

    name: str = "device"
    period_s: float = 0.1
    peak_watts: float | None = 700.0
    gain: float = 1.0
    offset: float = 0.0
    jitter: float = 0.0
    """Ticks come up to this part of a period early."""
    share: float = 1.0
    """This device's part of the world's watts."""
    unit_j: float = 1e-3
    joules: float = 1234.5
    stuck: bool = False
    fault: Callable[[int], float | None] = lambda _: None
    """Joules to show at the nth read instead of the latched ones; may raise."""
    chance: random.Random = field(default_factory=lambda: seeded(1))

    def __post_init__(self) -> None:
        self.truth = 0.0
        self.shown = self._latched()
        self.next_s = self.chance.random() * self.period_s
        self.reads: list[float] = []
        self.world: World | None = None

    def advance(self, start: float, end: float, watts: float) -> None:
        """Draw the power, and latch at every tick on the way."""
        at = start
        while self.next_s <= end:
            self._draw(self.next_s - at, watts)
            at = self.next_s
            if not self.stuck:
                self.shown = self._latched()
            self.next_s += self.period_s * (1 - self.jitter * self.chance.random())
        self._draw(end - at, watts)

    def _latched(self) -> float:
        return self.joules // self.unit_j * self.unit_j

    def _draw(self, seconds: float, watts: float) -> None:
        self.truth += watts * self.share * seconds
        self.joules += (self.gain * watts * self.share + self.offset) * seconds

    def read(self) -> float:
        assert self.world is not None
        self.world.spend_reading()
        self.reads.append(self.world.seconds)
        told = self.fault(len(self.reads))
        answer = self.shown if told is None else told
        self.world.spend_reading()
        return answer


@dataclass
class World:
    """Time and power. `rest()` gives the watts of each stretch that is not work; reads and sleeps take what they are told to."""

    counters: list[Ticking]
    rest: Callable[[], float] = lambda: 50.0
    read_s: Callable[[], float] = lambda: 0.0
    late_s: Callable[[], float] = lambda: 0.0
    seconds: float = 100.0

    def __post_init__(self) -> None:
        self.slept: list[float] = []
        for counter in self.counters:
            counter.world = self
            counter.next_s += self.seconds

    def now(self) -> float:
        return self.seconds

    def spend(self, seconds: float, watts: float) -> None:
        end = self.seconds + seconds
        for counter in self.counters:
            counter.advance(self.seconds, end, watts)
        self.seconds = end

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.spend(seconds + self.late_s(), self.rest())

    def spend_reading(self) -> None:
        self.spend(self.read_s() / 2, self.rest())

    @property
    def truth(self) -> float:
        """Return the joules drawn so far, by all counted devices together."""
        return sum(counter.truth for counter in self.counters)


def failing(at: int, reason: str = "the device is lost") -> Callable[[int], float | None]:
    """Return a fault that raises at the nth read and at all later ones."""

    def fault(read: int) -> float | None:
        if read >= at:
            raise MeterError(reason)
        return None

    return fault
