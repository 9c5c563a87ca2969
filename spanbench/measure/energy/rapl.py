"""Joules of CPU packages and their memory from RAPL, through Linux's powercap.

The counters tick about every millisecond and wrap after some 65 or 262 kJ. Only root may read them since Linux 5.10,
because a fine record of power gives secrets away (CVE-2020-8694).
"""

from __future__ import annotations

import random as randomness
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from spanbench.measure.caution import Caution
from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.energy.counter import EdgeAligned
from spanbench.measure.energy.powercap import CLASS, Found, Refused, Zone, find_zones, microjoules
from spanbench.measure.energy.protocol import MeterError, Probe, Reading, Session, Source, Window
from spanbench.measure.energy.ticks import next_edges
from spanbench.measure.host.kernel import cpuinfo

__all__ = ["RaplMeter"]

_PERIOD_S = 0.001
_TICKS_SEEN = 5  # at a session's start, to learn the longest time between two
_LEAST_WINDOW_S, _LEAST_PERIODS = 0.5, 10
_ROOT = Path("/")

_READABLE = (
    f"run as root, or until the next start of the machine: sudo chmod a+r /{CLASS}/intel-rapl:*/energy_uj "
    "(every local user can then watch the CPU's power, which can reveal secrets: CVE-2020-8694)"
)
_NO_ZONES = "sudo modprobe intel_rapl_msr; a container needs the host's /sys/devices/virtual/powercap, which Docker hides"


class RaplMeter:
    """The packages' and their memory's joules, whatever ran on them; `root` is where /sys and /proc are looked for."""

    name = "rapl"
    source: Source = "measured"
    note = "RAPL counts whole CPU packages and their memory, with everything that ran on them; neither board, disk nor GPU"

    def __init__(
        self,
        root: Path = _ROOT,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        random: randomness.Random | None = None,
    ) -> None:
        self.min_window_s = _LEAST_WINDOW_S
        """In seconds; longer where a session found that the counters tick more slowly than they should."""
        self._root, self._clock, self._sleep, self._random = root, clock or PerfCounter(), sleep, random

    def probe(self) -> Probe:
        """Return whether a package can be read, and which parts; a few small files are read for it."""
        found = find_zones(self._root)
        if found.zones:
            return Probe(available=True, period_s=_PERIOD_S, scope="cpu-package", parts=tuple(zone.part for zone in found.zones))
        reason, mend = _why_not(self._root, found.refused)
        return Probe(available=False, reason=reason, mend=mend)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Watch each counter for some of its ticks, and keep them from wrapping unseen.

        Raises:
            MeterError: no package can be read, or one does not count.
        """
        found = find_zones(self._root)
        if not found.zones:
            raise MeterError("; ".join(part for part in _why_not(self._root, found.refused) if part))
        counters, still = self._moving(found)
        self.min_window_s = max(_LEAST_WINDOW_S, _LEAST_PERIODS * max(counter.period_s for counter in counters))
        keeper = _Keeper(counters)
        keeper.start()
        try:
            yield _Zones(self._aligned(counters, (*found.refused, *still)), (*found.refused, *still))
        finally:
            keeper.stop()

    def _moving(self, found: Found) -> tuple[tuple[ZoneCounter, ...], tuple[Refused, ...]]:
        """Return the counters that tick, each with its period, and the memory that is not counted.

        Raises:
            MeterError: a package's counter cannot be read or stands still.
        """
        counters: list[ZoneCounter] = []
        still: list[Refused] = []
        for zone in found.zones:
            counter = ZoneCounter(zone, self._clock)
            try:
                counter.period_s = self._period(counter)
                counters.append(counter)
            except MeterError as error:
                if not zone.part.startswith("cpu-dram"):  # some CPUs list memory that they do not count
                    raise
                still.append(Refused(zone.name, str(error)))
        return tuple(counters), tuple(still)

    def _period(self, counter: ZoneCounter) -> float:
        moments = [next_edges([counter], self._clock, self._sleep)[0].at for _ in range(_TICKS_SEEN)]
        return max(_PERIOD_S, *(later - earlier for earlier, later in pairwise(moments)))

    def _aligned(self, counters: Sequence[ZoneCounter], missing: Sequence[Refused]) -> EdgeAligned:
        names = " + ".join(counter.name for counter in counters)
        without = f", without {', '.join(zone.name for zone in missing)}" if missing else ""
        return EdgeAligned(counters, f"rapl: {names} through powercap{without}", clock=self._clock, sleep=self._sleep, random=self._random)


def _why_not(root: Path, refused: Sequence[Refused]) -> tuple[str, str | None]:
    """Return why no zone can be read, and how to mend it."""
    if refused:
        denied = any(zone.denied for zone in refused)
        return f"{refused[0].name}: {refused[0].reason}", _READABLE if denied else None
    if "hypervisor" in cpuinfo(root).get("flags", "").split():
        return "no RAPL in a virtual machine: its counters are the host's", "run on the host"
    return f"no CPU package has an energy counter under {root / CLASS}", _NO_ZONES


class ZoneCounter:
    """One zone's counter, unwrapped in whole microjoules. It may be read from several threads.

    Two reads farther apart than the counter can wrap in leave its difference in doubt; the next `read` then says so, once.
    """

    def __init__(self, zone: Zone, clock: Clock) -> None:
        self.name, self.peak_watts, self.period_s = zone.name, zone.peak_watts, _PERIOD_S
        self.half_range_s = zone.range_s / 2
        self._zone, self._clock = zone, clock
        self._lock = threading.Lock()
        self._shown: int | None = None
        self._total = 0
        self._read_s = 0.0
        self._doubt: str | None = None

    def read(self) -> float:
        """Return joules since the first read.

        Raises:
            MeterError: the counter is gone, may no longer be read, shows no number, or may have wrapped unseen.
        """
        self.keep()
        with self._lock:
            doubt, self._doubt = self._doubt, None
            if doubt is not None:
                raise MeterError(doubt)
            return self._total * 1e-6

    def keep(self) -> None:
        """Take note of what the counter shows.

        Raises:
            MeterError: as for `read`, but a doubt is kept for it.
        """
        with self._lock:
            now = self._clock.now()
            shown = self._now_shown()
            if self._shown is not None:
                self._total += (shown - self._shown) % self._zone.modulus_uj
                if now - self._read_s > self._zone.range_s:
                    self._doubt = f"{self.name} was not read for {now - self._read_s:.3g} s, in which it may have wrapped more than once"
            self._shown, self._read_s = shown, now

    def _now_shown(self) -> int:
        try:
            shown = microjoules(self._zone.path / "energy_uj")
        except PermissionError as error:
            raise MeterError(f"{self.name} may no longer be read ({error.strerror})") from error
        except MeterError as error:
            raise MeterError(f"{self.name} has gone: {error}") from error
        if shown >= self._zone.modulus_uj:
            raise MeterError(f"{self.name} shows {shown} uJ, more than its range of {self._zone.modulus_uj}")
        return shown


class _Keeper:
    """A thread that reads the counters once in half the time in which one can wrap: minutes, so it sleeps through most windows."""

    def __init__(self, counters: Sequence[ZoneCounter]) -> None:
        self._counters = counters
        self._pause_s = min(counter.half_range_s for counter in counters)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spanbench-rapl", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            for counter in self._counters:
                try:
                    counter.keep()
                except MeterError:  # the window's own read meets it too, and says so
                    continue


class _Zones:
    """The aligned session, whose readings say what is missing from them."""

    def __init__(self, aligned: EdgeAligned, missing: Sequence[Refused]) -> None:
        self._aligned, self.by = aligned, aligned.by
        self._cautions = tuple(Caution("energy-part-missing", f"{zone.name} is not counted: {zone.reason}") for zone in missing)

    def begin(self, window: Window) -> None:
        self._aligned.begin(window)

    def open(self) -> None:
        self._aligned.open()

    def close(self) -> None:
        self._aligned.close()

    def end(self) -> Reading:
        reading = self._aligned.end()
        return Reading(reading.joules, reading.reason, reading.low, reading.high, reading.cautions + self._cautions)
