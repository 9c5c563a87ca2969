"""Joules from the boards' energy counters, edge-aligned, and checked against their power in every window."""

from __future__ import annotations

import random as randomness
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from spanbench.measure.energy.counter import EdgeAligned
from spanbench.measure.energy.nvml.boards import NOMINAL_PERIOD_S, Boards, Missing, joules_of, open_boards, peak_watts, probed
from spanbench.measure.energy.nvml.check import PowerCheck
from spanbench.measure.energy.power import Pace, PowerWatch
from spanbench.measure.energy.protocol import MeterError, Probe, Session, Source
from spanbench.measure.nvml.device import Device

__all__ = ["NvmlMeter"]

_PERIODS = 10
_LEAST_WINDOW_S = 1.0
_WATCH_S, _POLL_S = 0.5, 2e-3
_TICKS = 4  # seen, their distance is known well enough


class NvmlMeter:
    """The energy counter of whole GPU boards, several of them summed. `device` is 'cuda', 'cuda:1', or None for every visible GPU."""

    name = "nvml"
    source: Source = "measured"
    note = "the GPU board's own energy counter: GPU, memory and voltage converters, without the host"

    def __init__(self, device: str | None = None, *, pace: Pace | None = None, random: randomness.Random | None = None) -> None:
        self._device, self._pace, self._random = device, pace or Pace(), random
        self._period_s = NOMINAL_PERIOD_S

    @property
    def min_window_s(self) -> float:
        """Return 10 ticks of the counter, and a second at least: what the ticks hide is then under 1%."""
        return max(_LEAST_WINDOW_S, _PERIODS * self._period_s)

    def probe(self) -> Probe:
        """Return whether every board gives its energy counter."""
        return probed(self._device, Boards.require_counter, self._period_s)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open NVML and find how often the counters tick (within 0.5 s).

        Raises:
            Missing: NVML, a GPU or its counter cannot be used.
        """
        with open_boards(self._device) as boards:
            boards.require_counter()
            period = _tick_period(boards.devices, self._pace)
            self._period_s = period or NOMINAL_PERIOD_S
            counters = [_BoardCounter(device, self._period_s) for device in boards.devices]
            watch, checked = _power_watch(boards, self._pace)
            ticks = f"ticks every {self._period_s:.3g} s" + ("" if period else ", as is usual: none was seen")
            by = f"NVML energy counter, {ticks}; {boards.text}; {checked}"
            check = PowerCheck(watch, self.min_window_s, boards.cautions)
            try:
                yield EdgeAligned(counters, by, clock=self._pace.clock, sleep=self._pace.sleep, random=self._random, watch=check)
            finally:
                if watch is not None:
                    watch.cancel()


class _BoardCounter:
    """One board's energy counter."""

    def __init__(self, device: Device, period_s: float) -> None:
        self._device = device
        self.name, self.period_s = device.uuid, period_s
        self.peak_watts = peak_watts(device)

    def read(self) -> float:
        """Return joules since the driver was loaded.

        Raises:
            MeterError: the board does not answer, or no longer has a counter.
        """
        joules = joules_of(self._device)
        if joules is None:
            raise MeterError(f"{self.name} no longer gives its energy counter")
        return joules


def _power_watch(boards: Boards, pace: Pace) -> tuple[PowerWatch | None, str]:
    """Return a watch on the boards' power, and what it is for the record; none where a board does not give its power."""
    try:
        sensor = boards.sensor()
    except Missing as error:
        return None, f"not checked against the power ({error})"
    return PowerWatch(sensor, pace), f"checked against {boards.power_text}"


def _tick_period(devices: tuple[Device, ...], pace: Pace) -> float | None:
    """Return the longest median distance of two ticks, in seconds, or None where too few were seen."""
    ticks: dict[str, list[float]] = {device.uuid: [] for device in devices}
    shown = {device.uuid: joules_of(device) for device in devices}
    until = pace.clock.now() + _WATCH_S
    while pace.clock.now() < until and any(len(seen) < _TICKS for seen in ticks.values()):
        pace.sleep(_POLL_S)
        for device in devices:
            joules = joules_of(device)
            if joules != shown[device.uuid]:
                ticks[device.uuid].append(pace.clock.now())
                shown[device.uuid] = joules
    periods = [_median_gap(seen) for seen in ticks.values()]
    known = [period for period in periods if period is not None]
    return max(known) if len(known) == len(periods) else None


def _median_gap(moments: list[float]) -> float | None:
    gaps = sorted(later - earlier for earlier, later in pairwise(moments))
    return gaps[len(gaps) // 2] if len(gaps) >= 2 else None
