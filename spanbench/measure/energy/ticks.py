"""Where a counter of joules ticks: it is polled, asleep between polls, until its figure changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from spanbench.measure.clock import Clock
from spanbench.measure.energy.protocol import MeterError

__all__ = ["Counter", "Edge", "next_edges"]

_POLLS_PER_PERIOD = 200  # an edge is known to half a poll: of a 1 s window 0.025% of what rests or is the sensor's offset
_FASTEST_POLL_S, _SLOWEST_POLL_S = 0.2e-3, 5e-3
_STUCK_PERIODS, _STUCK_S = 10, 1.0
_SHARP_POLLS = 4  # an edge between two polls that are no farther apart is good enough
_MOST_EDGES = 3  # tried for a sharp one: a busy machine may hold up every poll


class Counter(Protocol):
    """One counter of joules, already unwrapped: it only grows, in ticks, and each tick gives the energy up to itself."""

    @property
    def name(self) -> str:
        """Return what messages call it: 'GPU-…', 'package-0'."""
        ...

    @property
    def period_s(self) -> float:
        """Return the longest time between two ticks, in seconds."""
        ...

    @property
    def peak_watts(self) -> float | None:
        """Return the most that the device may draw, which bounds what the ticks hide; None where nobody says."""
        ...

    def read(self) -> float:
        """Return joules since an arbitrary start.

        Raises:
            MeterError: the counter cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Edge:
    """A tick: the joules that it showed, and the two moments between which it came, in seconds of the clock."""

    joules: float
    earliest: float
    latest: float
    before: float
    """What the counter showed when the wait began, in joules, ..."""
    before_s: float
    """... and the moment by which that had been read."""

    @property
    def at(self) -> float:
        """Return the best guess of its moment."""
        return (self.earliest + self.latest) / 2


def next_edges(counters: Sequence[Counter], clock: Clock, sleep: Callable[[float], None]) -> tuple[Edge, ...]:
    """Return the next tick of each counter; all come after this call, and all are waited for together.

    Raises:
        MeterError: a counter cannot be read, stands still or was reset.
    """
    watched = [_Watched(counter, clock) for counter in counters]
    interval = min(each.interval for each in watched)
    while any(each.pending for each in watched):
        sleep(interval)
        for each in watched:
            if each.pending:
                each.poll()
    return tuple(each.edge for each in watched)


class _Watched:
    """One counter that is waited for."""

    def __init__(self, counter: Counter, clock: Clock) -> None:
        self._counter, self._clock = counter, clock
        self._asked = started = clock.now()
        self._base = self._joules = counter.read()
        self._base_s = clock.now()
        self._moved_s = started
        self._edges: list[Edge] = []
        self._gave_up = False
        self.interval = min(max(counter.period_s / _POLLS_PER_PERIOD, _FASTEST_POLL_S), _SLOWEST_POLL_S)
        self._sharp = _SHARP_POLLS * self.interval

    @property
    def pending(self) -> bool:
        """Return whether a (sharper) edge is still wanted."""
        edges = self._edges
        blurred = not edges or edges[-1].latest - edges[-1].earliest > self._sharp
        return blurred and len(edges) < _MOST_EDGES and not self._gave_up

    @property
    def edge(self) -> Edge:
        """Return the sharpest edge. All lie on the same side of the window, so that any of them may be used."""
        return min(self._edges, key=lambda edge: edge.latest - edge.earliest)

    def poll(self) -> None:
        """Read once. The tick came after the last read that did not show it began, and before this one ended."""
        asked = self._clock.now()
        joules = self._counter.read()
        done = self._clock.now()
        if joules < self._joules:
            raise MeterError(f"{self._counter.name} was reset: it fell from {self._joules:.6g} J to {joules:.6g} J")
        if joules > self._joules:
            self._edges.append(Edge(joules, self._asked, done, self._base, self._base_s))
            self._moved_s = done
        else:
            self._give_up(done - self._moved_s)
        self._joules, self._asked = joules, asked

    def _give_up(self, still_s: float) -> None:
        """Stop waiting for a counter that has stood still for too long: with the edge that it has given, if any."""
        limit = max(_STUCK_PERIODS * self._counter.period_s, _STUCK_S)
        if still_s <= limit:
            return
        if not self._edges:
            raise MeterError(f"{self._counter.name} is stuck: it did not move for {limit:g} s")
        self._gave_up = True
