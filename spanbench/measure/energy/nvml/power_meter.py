"""Joules from the boards' power alone, for GPUs without an energy counter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from spanbench.measure.caution import Caution
from spanbench.measure.energy.nvml.boards import NOMINAL_PERIOD_S, Boards, open_boards, probed
from spanbench.measure.energy.power import Pace, PowerWatch
from spanbench.measure.energy.protocol import MeterError, Probe, Reading, Session, Source, Window

__all__ = ["NvmlPowerMeter"]


class NvmlPowerMeter:
    """The integrated power of whole GPU boards. `device` is 'cuda', 'cuda:1', or None for every visible GPU."""

    name = "nvml-power"
    source: Source = "measured"
    note = "the GPU board's power, sampled and integrated: GPU, memory and voltage converters, without the host"
    min_window_s = 50 * NOMINAL_PERIOD_S
    """50 periods: a period's worth of power, which each edge of a window may hide, is then 2%."""

    def __init__(self, device: str | None = None, *, pace: Pace | None = None) -> None:
        self._device, self._pace = device, pace or Pace()

    def probe(self) -> Probe:
        """Return whether every board gives its power."""
        return probed(self._device, Boards.sensor, NOMINAL_PERIOD_S)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open NVML.

        Raises:
            Missing: NVML, a GPU or its power cannot be used.
        """
        with open_boards(self._device) as boards:
            watch = PowerWatch(boards.sensor(), self._pace)
            try:
                yield _Integration(f"NVML, {boards.power_text}, integrated; {boards.text}", watch, boards.cautions)
            finally:
                watch.cancel()


@dataclass(slots=True)
class _Integration:
    by: str
    watch: PowerWatch
    standing: tuple[Caution, ...]

    def begin(self, window: Window) -> None:
        """Let the sensor forget what ran before, and open a window. The device rests meanwhile."""
        self.watch.settle()
        self.watch.start()

    def open(self) -> None:
        self.watch.open()

    def close(self) -> None:
        self.watch.stop()

    def end(self) -> Reading:
        self.watch.stop()
        try:
            power = self.watch.finish()
        except MeterError as error:
            return Reading(None, str(error))
        if power.joules <= 0:
            return Reading(None, "the samples of power show nothing of so short a window")
        if power.slack_joules is None:
            text = "the board does not give its power limit, so that what its sensor hides has no bound"
            return Reading(power.joules, cautions=(*self.standing, Caution("energy-unbounded", text)))
        low, high = max(0.0, power.joules - power.slack_joules), power.joules + power.slack_joules
        return Reading(power.joules, low=low, high=high, cautions=self.standing)
