"""Edge-aligned joules against a known power: the error, the bound that is stated, and every fault of a counter."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.measure.caution import Caution
from spanbench.measure.energy.counter import EdgeAligned
from spanbench.measure.energy.protocol import IDLE, MeterError, Reading, Window
from tests.measure.energy.sensor import Ticking, World, failing, seeded

WORK = Window("work")
BUSY, REST = 300.0, 50.0


def session(world: World, seed: int = 0, *, phase: bool = True, watch: Watcher | None = None) -> EdgeAligned:
    return EdgeAligned(world.counters, "driven", clock=world, sleep=world.sleep, random=seeded(seed), phase=phase, watch=watch)


def window(world: World, meter: EdgeAligned, stretches: Sequence[tuple[float, float]], kind: Window = WORK) -> tuple[Reading, float]:
    """Return the reading of a window, and the joules that were truly drawn in it."""
    meter.begin(kind)
    before = world.truth
    for seconds, watts in stretches:
        world.spend(seconds, watts)
    drawn = world.truth - before
    return meter.end(), drawn


def error(reading: Reading, truth: float) -> float:
    assert reading.joules is not None, reading.reason
    return abs(reading.joules / truth - 1)


@pytest.mark.parametrize(("seconds", "most"), [(1.0, 0.005), (0.5, 0.01)])
def test_two_hundred_windows_of_known_joules_are_read_within_half_a_percent(seconds: float, most: float) -> None:
    world = World([Ticking(jitter=0.05)], late_s=lambda: 1e-4, read_s=lambda: 2e-4)
    meter = session(world)
    window(world, meter, [(1.0, REST)], IDLE)
    errors = [error(*window(world, meter, [(seconds, BUSY)])) for _ in range(200)]
    assert max(errors) < most
    assert max(errors) > 0  # an oracle that agrees to the last digit would be the meter itself


def test_before_any_rest_was_seen_the_joules_are_pro_rata() -> None:
    world = World([Ticking()], rest=lambda: BUSY)
    assert error(*window(world, session(world), [(0.5, BUSY)])) < 1e-3  # exact only because nothing ever rests


def test_a_rest_gives_its_own_joules_pro_rata() -> None:
    world = World([Ticking()])
    assert error(*window(world, session(world), [(0.33, REST)], IDLE)) < 1e-3


def adversary(seed: int) -> tuple[World, list[tuple[float, float]]]:
    """Return a world without habits: any power at any moment, early ticks, slow reads, polls that come late, several devices."""
    chance = seeded(seed)
    period = chance.choice([0.001, 0.02, 0.1])
    shares = [1.0] if chance.random() < 0.7 else [0.5, 0.3, 0.2]
    counters = [
        Ticking(f"device {index}", period, 700.0 * share, jitter=chance.random() * 0.9, share=share, chance=seeded(seed + index))
        for index, share in enumerate(shares)
    ]
    slow, late = chance.choice([0.0, 1e-4, 5e-3]), chance.choice([0.0, 1e-4, 0.03])

    def power() -> float:
        """0 and the peak itself are common: they are where a bound is met."""
        return chance.choice([0.0, 700.0, 700 * chance.random()])

    world = World(counters, power, read_s=lambda: slow * chance.random(), late_s=lambda: late * chance.random() ** 4)
    length, pieces = 0.02 * 250 ** chance.random(), chance.randint(1, 5)
    return world, [(length / pieces, max(power(), 1.0)) for _ in range(pieces)]


@pytest.mark.parametrize("group", range(10))
def test_the_bound_holds_the_truth_in_each_of_three_hundred_windows_whatever_the_power_does(group: int) -> None:
    for seed in range(300 * group, 300 * (group + 1)):
        world, work = adversary(seed)
        meter = session(world, seed)
        if seed % 2:
            window(world, meter, [(0.2, 30.0)], IDLE)
        reading, truth = window(world, meter, work)
        if reading.joules is None:  # too short for its ticks; anything else would be a fault
            assert "hide it" in str(reading.reason), (seed, reading.reason)
            continue
        assert reading.low is not None
        assert reading.high is not None
        assert reading.low <= truth <= reading.high, seed
        assert reading.low <= reading.joules <= reading.high, seed
        assert reading.low >= 0, seed


def test_the_bound_is_no_wider_than_the_ticks_demand() -> None:
    world = World([Ticking()])
    meter = session(world)
    window(world, meter, [(1.0, REST)], IDLE)
    for _ in range(50):
        reading, truth = window(world, meter, [(1.0, BUSY)])
        assert reading.low is not None
        assert reading.high is not None
        # Two ticks and two polls outside the window: at 0 W what rests there is missing, at the peak all of that is too much.
        assert reading.high - truth <= 0.204 * REST + 0.01
        assert truth - reading.low <= 0.204 * 700 + 0.01


def test_the_bound_is_the_better_of_what_was_counted_at_the_close_and_at_the_tick_after_it() -> None:
    """A late tick hides up to 650 W of rest; what the counter showed at the close hides up to 300 W of work, but of the time before it."""
    counter = Ticking()
    world = World([counter])
    meter = session(world, phase=False)
    window(world, meter, [(1.0, REST)], IDLE)
    tails = []
    for step in range(40):
        meter.begin(WORK)
        world.spend(1.0 + step / 400, BUSY)
        tails.append(counter.next_s - world.seconds)
        reading = meter.end()
        assert reading.low is not None
        hidden = min((700 - REST) * tails[-1], BUSY * (0.1 - tails[-1]))
        assert (1.0 + step / 400) * BUSY - reading.low <= hidden + 700 * 0.0015  # polls of half a millisecond about each tick
    assert min(tails) < 0.01
    assert max(tails) > 0.09


def test_without_a_peak_the_bound_is_unknown_and_said_to_be() -> None:
    world = World([Ticking(peak_watts=None), Ticking()])
    reading, _ = window(world, session(world), [(0.5, BUSY)])
    assert (reading.low, reading.high) == (None, None)
    assert [caution.code for caution in reading.cautions] == ["energy-unbounded"]


def test_counters_are_summed_each_with_its_own_ticks_and_rest() -> None:
    world = World([Ticking("a", 0.1, share=0.7), Ticking("b", 0.02, share=0.25), Ticking("c", 0.09, share=0.05, chance=seeded(5))])
    meter = session(world)
    window(world, meter, [(1.0, REST)], IDLE)
    assert max(error(*window(world, meter, [(0.7, BUSY)])) for _ in range(50)) < 0.005


def test_windows_open_at_any_moment_of_a_period_and_rests_right_after_a_tick() -> None:
    def opened(meter: EdgeAligned, kind: Window = WORK) -> float:
        meter.begin(kind)
        return (world.seconds - world.counters[0].next_s) % 0.1

    world = World([Ticking()])
    spread = [opened(session(world, seed)) for seed in range(200)]
    tenths = [sum(index / 100 <= moment < (index + 1) / 100 for moment in spread) for index in range(10)]
    assert min(tenths) >= 6  # 20 expected; fewer than 6 has a chance of 1 in 10,000
    aligned = [opened(session(world, seed, phase=False)) for seed in range(20)] + [opened(session(world), IDLE)]
    assert max(aligned) < 0.005


@pytest.mark.parametrize("order", [1, -1])
def test_windows_over_several_counters_open_at_any_moment_of_the_longest_period(order: int) -> None:
    def opened(seed: int) -> float:
        session(world, seed).begin(WORK)
        return (world.seconds - slow.next_s) % 0.1

    slow = Ticking("slow", 0.1)
    world = World([Ticking("fast", 0.01), slow][::order])
    spread = [opened(seed) for seed in range(200)]
    tenths = [sum(index / 100 <= moment < (index + 1) / 100 for moment in spread) for index in range(10)]
    assert min(tenths) >= 6  # 20 expected; fewer than 6 has a chance of 1 in 10,000


def test_no_counter_is_read_in_a_window_and_every_poll_is_slept_for() -> None:
    world = World([Ticking()])
    meter = session(world)
    meter.begin(WORK)
    opened, before = world.seconds, len(world.counters[0].reads)
    world.spend(1.0, BUSY)
    closed = world.seconds
    meter.end()
    reads = world.counters[0].reads
    assert not [moment for moment in reads if opened < moment < closed]
    assert len(reads) <= len(world.slept) + 1  # two waits read once before their first sleep; the phase is one sleep more
    assert 0.0002 <= min(world.slept[: before - 1]) <= 0.005


def test_with_open_and_close_what_others_wait_for_is_outside() -> None:
    world = World([Ticking()])
    meter = session(world)
    window(world, meter, [(1.0, REST)], IDLE)
    for wait in (0.01, 0.13, 0.4):
        meter.begin(WORK)
        world.spend(wait, REST)
        meter.open()
        world.spend(0.5, BUSY)
        meter.close()
        world.spend(wait, REST)
        assert error(meter.end(), 0.5 * BUSY) < 0.01


@given(
    gain=st.floats(0.87, 1.18),
    offset=st.floats(-24, 16),
    seed=st.integers(0, 1000),
    watts=st.tuples(st.floats(200, 600), st.floats(200, 600)),
    seconds=st.tuples(st.floats(1, 3), st.floats(1, 3)),
)
def test_the_ratio_of_joules_above_rest_moves_by_a_hundredth_of_a_percent_under_a_sensors_gain_and_offset(
    gain: float, offset: float, seed: int, watts: tuple[float, float], seconds: tuple[float, float]
) -> None:
    """Two arms in the order ABBA, with a rest before and after."""

    def ratio(gain: float, offset: float) -> float:
        world = World([Ticking(gain=gain, offset=offset, chance=seeded(seed), peak_watts=900)])
        meter = session(world, seed)
        rests, above = 0.0, [0.0, 0.0]
        for kind in (None, 0, 1, 1, 0, None):
            reading, _ = window(
                world, meter, [(1.0, REST) if kind is None else (seconds[kind], watts[kind])], IDLE if kind is None else WORK
            )
            assert reading.joules is not None
            if kind is None:
                rests += reading.joules / 2
            else:
                above[kind] += reading.joules
        return (above[0] - 2 * rests * seconds[0]) / (above[1] - 2 * rests * seconds[1])

    assert ratio(gain, offset) == pytest.approx(ratio(1, 0), rel=1e-4)


@dataclass
class Watcher:
    world: World
    log: list[tuple[str, float, float]] = field(default_factory=list)
    checked: list[float | None] = field(default_factory=list)

    def start(self) -> None:
        self.log.append(("start", self.world.seconds, len(self.world.counters[0].reads)))

    def stop(self) -> None:
        self.log.append(("stop", self.world.seconds, len(self.world.counters[0].reads)))

    def check(self, joules: float | None, seconds: float) -> tuple[Caution, ...]:
        self.log.append(("check", seconds, len(self.world.counters[0].reads)))
        self.checked.append(joules)
        return (Caution("seen", "by the watcher"),)


def test_a_companion_sees_the_window_and_nothing_else() -> None:
    world = World([Ticking()])
    watcher = Watcher(world)
    reading, _ = window(world, session(world, watch=watcher), [(0.5, BUSY)])
    (start, opened, reads), (stop, closed, reads_at_stop), (check, seconds, _) = watcher.log
    assert (start, stop, check) == ("start", "stop", "check")
    assert reads == reads_at_stop  # stopped before the counter was read again
    assert closed - opened == pytest.approx(0.5)
    assert seconds == pytest.approx(0.5)
    assert watcher.checked == [reading.joules]
    assert reading.cautions == (Caution("seen", "by the watcher"),)


def test_a_companion_is_ended_where_the_counter_fails_and_left_alone_where_no_window_opened() -> None:
    lost = Ticking()
    world = World([lost])
    watcher = Watcher(world)
    meter = session(world, watch=watcher)
    meter.begin(WORK)
    lost.fault = failing(0)
    assert meter.end().reason == "the device is lost"
    assert watcher.checked == [None]
    with pytest.raises(MeterError, match="lost"):
        meter.begin(WORK)
    assert meter.end().joules is None
    assert len(watcher.log) == 3


# ---- faults: no joules, a reason, and the next window is good again ----


def fails(world: World, meter: EdgeAligned, length: float = 0.5) -> str:
    """Return why a window has no joules."""
    reading, _ = window(world, meter, [(length, BUSY)])
    assert (reading.joules, reading.low, reading.high) == (None, None, None)
    return str(reading.reason)


def test_a_counter_that_stands_still_before_a_window_is_stuck() -> None:
    world = World([Ticking(stuck=True)])
    before = world.seconds
    with pytest.raises(MeterError, match=r"^device is stuck: it did not move for 1 s$"):
        session(world).begin(WORK)
    assert 1 <= world.seconds - before < 1.1


def test_a_counter_that_stops_in_a_window_is_stuck_and_recovers() -> None:
    world = World([Ticking(), Ticking("other")])
    meter = session(world)
    meter.begin(WORK)
    world.counters[1].stuck = True
    assert str(meter.end().reason).startswith("other is stuck")
    world.counters[1].stuck = False
    assert error(*window(world, meter, [(3.0, BUSY)])) < 0.1


def test_a_slow_counter_is_given_ten_of_its_periods() -> None:
    world = World([Ticking(period_s=0.9)])
    meter = session(world)
    window(world, meter, [(5.0, REST)], IDLE)
    assert error(*window(world, meter, [(5.0, BUSY)])) < 0.01


def test_a_counter_that_falls_in_a_window_was_reset() -> None:
    world = World([Ticking()])
    meter = session(world)
    meter.begin(WORK)
    world.counters[0].joules = 3.0
    world.spend(0.5, BUSY)
    assert re.match(r"device was reset: it fell from 123\d(\.\d+)? J to 15\d(\.\d+)? J in a window", str(meter.end().reason))


def test_a_counter_that_falls_while_its_tick_is_awaited_was_reset() -> None:
    counter = Ticking(fault=lambda read: 7.0 if read == 3 else None)
    with pytest.raises(MeterError, match=r"was reset: it fell from 123\d(\.\d+)? J to 7 J"):
        session(World([counter])).begin(WORK)


@pytest.mark.parametrize("told", [2.0**32, 1e6, 1500.0])
def test_a_counter_that_jumps_by_more_than_the_device_can_draw_is_not_believed(told: float) -> None:
    world = World([Ticking()])
    meter = session(world)
    meter.begin(WORK)
    world.counters[0].joules += told
    world.spend(0.5, BUSY)
    assert "device jumped by" in str(meter.end().reason)
    assert error(*window(world, meter, [(3.0, BUSY)])) < 0.1  # what it shows from now on is whole again


def test_a_window_that_the_ticks_hide_has_a_reason_and_no_joules() -> None:
    world = World([Ticking(peak_watts=None)])
    meter = session(world)
    window(world, meter, [(1.0, 400.0)], IDLE)  # another process was busy in the rest
    world.rest = lambda: 1.0
    assert fails(world, meter, 0.001) == "a window of 0.001 s drew no more than the device at rest: ticks of 0.1 s hide it"


def test_ending_what_was_not_begun_has_a_reason() -> None:
    world = World([Ticking()])
    assert session(world).end().reason == "no window is open"


def test_a_machine_that_holds_up_every_poll_still_gets_its_joules() -> None:
    world = World([Ticking()], late_s=lambda: 0.15)
    meter = session(world)
    window(world, meter, [(2.0, REST)], IDLE)
    reading, truth = window(world, meter, [(2.0, BUSY)])
    assert error(reading, truth) < 0.05
    assert reading.low is not None
    assert reading.high is not None
    assert reading.low <= truth <= reading.high


def test_a_counter_that_stops_after_a_blurred_tick_is_not_waited_for_for_ever() -> None:
    counter = Ticking()
    world = World([counter], late_s=lambda: 0.15)
    counter.fault = lambda read: 1300.0 if read > 1 else None  # one tick, then nothing
    session(world).begin(WORK)
    assert world.seconds - 100.0 < 2


def test_in_real_time_the_bound_holds_the_truth() -> None:
    class Steady:
        """100 W by the machine's own clock, shown every 10 ms."""

        name, period_s, peak_watts = "steady", 0.01, 100.0

        def read(self) -> float:
            return time.perf_counter() // 0.01

    meter = EdgeAligned([Steady()], "real")
    for _ in range(3):
        meter.begin(WORK)
        inner = time.perf_counter()
        time.sleep(0.05)
        outer = time.perf_counter()
        reading = meter.end()
        assert reading.joules is not None
        assert reading.low is not None
        assert reading.high is not None
        assert reading.low <= 100 * (outer - inner) + 0.1  # a tenth of a joule is a millisecond around the window
        assert reading.high >= 100 * (outer - inner)
