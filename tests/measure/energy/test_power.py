"""Power held between its samples, a window's joules from sensors of every memory, and a sampler that stays within its budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.measure.energy.power import Pace, PowerWatch, Sensor, held_joules, in_thread
from spanbench.measure.energy.protocol import MeterError

MOMENTS = st.integers(0, 1000)
SAMPLES = st.lists(st.tuples(MOMENTS, st.integers(0, 700)), min_size=1, max_size=12, unique_by=lambda sample: sample[0])


def by_steps(samples: list[tuple[int, int]], start: int, end: int) -> int:
    """Add up unit steps, each at the power of the last sample before it, or of the first one."""
    ordered = sorted(samples)
    return sum(next((watts for at, watts in reversed(ordered) if at <= step), ordered[0][1]) for step in range(start, end))


@given(SAMPLES, MOMENTS, MOMENTS)
def test_held_power_is_each_sample_until_the_next(samples: list[tuple[int, int]], one: int, other: int) -> None:
    start, end = sorted((one, other))
    assert held_joules([(float(at), float(watts)) for at, watts in samples], start, end) == by_steps(samples, start, end)


@given(SAMPLES, MOMENTS, MOMENTS, MOMENTS)
def test_held_power_adds_up_over_adjoining_windows(samples: list[tuple[int, int]], one: int, two: int, three: int) -> None:
    start, middle, end = sorted((one, two, three))
    shown = [(float(at), float(watts)) for at, watts in samples]
    assert held_joules(shown, start, middle) + held_joules(shown, middle, end) == held_joules(shown, start, end)


def test_no_sample_is_no_joule() -> None:
    with pytest.raises(ValueError, match="no sample"):
        held_joules([], 0.0, 1.0)


class Bench:
    """A device at 300 W in its window, with a sensor that shows a mean over the past `memory` seconds; all exact."""

    def __init__(self, memory: Fraction, start: Fraction, length: Fraction, *, before: int = 50, after: int = 50) -> None:
        self.memory, self.start, self.length, self.before, self.after = memory, start, length, before, after
        self.time = Fraction(0)
        self.steps: list[tuple[Fraction, Callable[[], None]]] = []

    def now(self) -> float:
        return float(self.time)

    def sleep(self, seconds: float) -> None:
        until = self.time + Fraction(seconds)
        while self.steps and self.steps[0][0] <= until:
            due, step = self.steps.pop(0)
            self.time = max(due, self.time)
            step()
            self.steps.append((due + Fraction(1, 40), step))
        self.time = until

    def background(self, step: Callable[[], None], interval_s: float) -> Callable[[], None]:
        assert interval_s == pytest.approx(1 / 40)
        self.steps.append((self.time + Fraction(1, 40), step))
        return self.steps.clear

    def watts(self) -> float:
        return float((self.joules(self.time) - self.joules(self.time - self.memory)) / self.memory)

    def joules(self, at: Fraction) -> Fraction:
        """Return what was drawn until `at`, more or less what was before the start."""
        busy = max(Fraction(0), min(at - self.start, self.length))
        return self.before * min(at - self.start, Fraction(0)) + 300 * busy + self.after * max(at - self.start - self.length, Fraction(0))

    def watch(self) -> PowerWatch:
        """Return an open watch; the window opens with it."""
        watch = PowerWatch(Sensor(self.watts, 0.1, 1.0, 375.0), Pace(self, self.sleep, self.background))
        self.sleep(float(self.start))
        watch.start()
        return watch


@given(st.integers(1, 1000), st.integers(1, 5000), st.integers(0, 100))
def test_a_window_is_seen_in_full_whatever_the_sensor_s_memory(memory_ms: int, length_ms: int, phase_ms: int) -> None:
    bench = Bench(Fraction(memory_ms, 1000), Fraction(phase_ms, 1000), Fraction(length_ms, 1000))
    watch = bench.watch()
    bench.sleep(float(bench.length))
    watch.stop()
    bench.sleep(0.004)  # the counter's tick is waited for meanwhile
    found = watch.finish()
    truth = 300 * float(bench.length)
    assert found.joules == pytest.approx(truth, abs=250 / 40)  # a rise and a fall, each seen up to a sample late
    assert found.slack_joules is not None
    assert abs(found.joules - truth) <= found.slack_joules


@pytest.mark.parametrize(("before", "after"), [(50, 290), (290, 50), (0, 300), (120, 100), (50, 50)])
@settings(max_examples=20)
@given(memory_ms=st.integers(1, 1000), length_ms=st.integers(200, 1200))
def test_a_device_that_rests_otherwise_afterwards_is_within_the_slack_and_the_edge(
    before: int, after: int, memory_ms: int, length_ms: int
) -> None:
    """What the sensor's memory leaves open: from all of the delay at the power before to all of it at the power after."""
    bench = Bench(Fraction(memory_ms, 1000), Fraction(1, 20), Fraction(length_ms, 1000), before=before, after=after)
    watch = bench.watch()
    bench.sleep(float(bench.length))
    found = watch.finish()
    assert found.slack_joules is not None
    off = abs(found.joules - 300 * float(bench.length))
    assert off <= found.slack_joules
    assert off <= found.edge_joules
    assert found.edge_joules <= found.slack_joules


def test_the_delay_is_taken_off_at_the_mean_of_the_powers_before_and_after() -> None:
    """A figure of a moment shows all of the delay at the power after, so the half of it at the power before is what is off."""
    bench = Bench(Fraction(1, 1000), Fraction(1, 20), Fraction(2), before=50, after=250)
    watch = bench.watch()
    bench.sleep(2.0)
    found = watch.finish()
    late = 1.0 + 0.1 + 2 / 40
    assert found.joules - 600 == pytest.approx(late * (250 - 50) / 2, abs=(300 - 50) / 40)


def test_the_first_stop_counts() -> None:
    bench = Bench(Fraction(1, 10), Fraction(0), Fraction(2))
    watch = bench.watch()
    bench.sleep(2.0)
    watch.stop()
    bench.sleep(3.0)
    watch.stop()
    assert watch.finish().joules == pytest.approx(600, abs=250 / 40)


def test_a_sensor_that_fails_is_told_once_and_asked_no_more() -> None:
    asked: list[int] = []

    def read() -> float:
        asked.append(1)
        raise MeterError("it fell off the bus\nand more")

    bench = Bench(Fraction(1), Fraction(0), Fraction(1))
    watch = PowerWatch(Sensor(read, 0.1, 1.0, None), Pace(bench, bench.sleep, bench.background))
    watch.start()
    bench.sleep(1.0)
    with pytest.raises(MeterError, match=r"^it fell off the bus$"):
        watch.finish()
    assert len(asked) == 1


def test_a_window_that_was_never_opened_has_no_joules() -> None:
    with pytest.raises(MeterError, match="no window is open"):
        PowerWatch(Sensor(lambda: 50.0, 0.1, 1.0, None), Pace()).finish()


def test_a_step_runs_in_a_thread_until_it_is_stopped() -> None:
    ran = threading.Semaphore(0)
    stop = in_thread(ran.release, 1e-3)
    for _ in range(3):
        assert ran.acquire(timeout=30)
    stop()
    assert [thread.name for thread in threading.enumerate() if thread.name == "spanbench-power"] == []


def test_a_step_that_costs_much_runs_less_often() -> None:
    """20 ms of CPU at a budget of 0.4% of a core asks for 5 s of rest: the second step may not come while the first is paid for."""
    ran = threading.Semaphore(0)

    def burn() -> None:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        ran.release()

    stop = in_thread(burn, 1e-3)
    assert ran.acquire(timeout=30)
    assert not ran.acquire(timeout=0.5)
    stop()
