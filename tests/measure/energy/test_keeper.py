"""RAPL's counters between two reads: how often they must be looked at, and how long a gap is believed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from spanbench.measure.energy.powercap import Zone
from spanbench.measure.energy.protocol import MeterError
from spanbench.measure.energy.rapl import ZoneCounter, _Keeper


class Clock:
    """Stands where it is put."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


def counter(folder: Path, clock: Clock, range_s: float) -> ZoneCounter:
    """Return a counter of 1 W at most, which can wrap in `range_s` seconds and not sooner."""
    (folder / "energy_uj").write_text("0", encoding="ascii")
    zone = Zone("zone", "cpu-package:0", folder, int(range_s * 1e6), 1.0)
    assert zone.range_s == range_s
    return ZoneCounter(zone, clock)


class Asked(threading.Event):
    """Notes how long it was to be waited for, and says that it is over."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return True


@pytest.mark.parametrize("ranges", [(60.0,), (60.0, 262.0), (262.0, 60.0)])
def test_the_keeper_sleeps_for_half_of_the_shortest_time_to_a_wrap(tmp_path: Path, ranges: tuple[float, ...]) -> None:
    keeper = _Keeper([counter(tmp_path, Clock(), range_s) for range_s in ranges])
    keeper._stop = asked = Asked()
    keeper.start()
    keeper.stop()
    assert asked.seconds == [30.0]


@pytest.mark.parametrize(("gap_s", "doubted"), [(59.9, False), (60.0, False), (60.1, True)])
def test_a_gap_in_which_the_counter_could_wrap_is_doubted_once(tmp_path: Path, gap_s: float, doubted: bool) -> None:
    clock = Clock()
    zone = counter(tmp_path, clock, 60.0)
    assert zone.read() == 0
    clock.seconds = gap_s
    (tmp_path / "energy_uj").write_text("7000000", encoding="ascii")
    if doubted:
        with pytest.raises(MeterError, match=r"^zone was not read for 60\.1 s, in which it may have wrapped more than once$"):
            zone.read()
    assert zone.read() == pytest.approx(7.0)


def test_a_doubt_that_the_keeper_met_is_told_by_the_next_read(tmp_path: Path) -> None:
    clock = Clock()
    zone = counter(tmp_path, clock, 60.0)
    zone.read()
    clock.seconds = 61.0
    zone.keep()
    clock.seconds = 62.0
    with pytest.raises(MeterError, match="was not read for 61 s"):
        zone.read()


def test_what_the_keeper_reads_in_time_is_never_doubted(tmp_path: Path) -> None:
    clock = Clock()
    zone = counter(tmp_path, clock, 60.0)
    zone.read()
    for look in range(1, 11):  # 0.4 of the range at each: the counter goes round four times
        clock.seconds = look * zone.half_range_s
        (tmp_path / "energy_uj").write_text(str(look * 24_000_000 % 60_000_000), encoding="ascii")
        zone.keep()
    assert zone.read() == pytest.approx(240.0)
