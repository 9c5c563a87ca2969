"""The NVML meters, through the real bindings, against boards of known true energy: 50 W at rest, 300 W at work, ticks of 100 ms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.measure.nvml.fake import run

PRELUDE = """
import json
from spanbench.measure.energy.nvml import NvmlMeter, NvmlPowerMeter
from spanbench.measure.energy.protocol import IDLE
from tests.measure.nvml.world import Boards, seeded
random = seeded(4)

def many(meter, boards, seconds, idle=True):
    with meter.session() as session:
        if idle:
            boards.window(session, lambda: boards.sleep(2.0), IDLE)
        for length in seconds:
            boards.sleep(random.uniform(0, 0.3))  # so that windows open anywhere between two ticks
            yield boards.measure(session, length)

def told(windows):
    return [{"error": w.error, "bounded": w.bounded, "codes": [c.code for c in w.reading.cautions]} for w in windows]
"""

COUNTER = """
boards = Boards()
meter = NvmlMeter(pace=boards.pace, random=random)
print(json.dumps({str(length): told(many(meter, boards, [length] * 100)) for length in (0.5, 1.0)}))
"""


def test_the_counter_is_right_to_half_a_percent_at_one_second_and_one_percent_at_half_of_it() -> None:
    found: dict[str, list[dict[str, Any]]] = run(PRELUDE + COUNTER, "driven=1", "phase=0.037")
    for length, most in (("1.0", 0.005), ("0.5", 0.01)):
        assert len(found[length]) == 100
        assert max(abs(window["error"]) for window in found[length]) <= most
        assert all(window["bounded"] and window["codes"] == [] for window in found[length])


REAL = """
boards = Boards(driven=False)
print(json.dumps(told(many(NvmlMeter(random=random), boards, [1.0] * 20))))
"""


@pytest.mark.slow
def test_the_counter_is_right_in_real_time() -> None:
    found = run(PRELUDE + REAL)
    assert max(abs(window["error"]) for window in found) <= 0.005
    assert all(window["bounded"] for window in found)


BOUNDS = """
boards = Boards()
def windows():
    for number in range(10):
        boards.word(f"phase={random.uniform(0, 0.1)}")
        meter = NvmlMeter(pace=boards.pace, random=random)
        yield from many(meter, boards, [0.02 * 250 ** random.random() for _ in range(100)], idle=number % 2 == 0)
found = list(windows())
print(json.dumps({
    "windows": len(found), "bounded": sum(w.bounded for w in found), "shortest": min(w.seconds for w in found),
    "longest": max(w.seconds for w in found), "known": sum(w.reading.joules is not None for w in found),
    "disagreeing": sum(bool(w.reading.cautions) for w in found),
}))
"""


def test_the_stated_bound_holds_the_truth_in_every_one_of_1000_windows_of_any_length() -> None:
    found = run(PRELUDE + BOUNDS, "driven=1")
    assert (found["windows"], found["bounded"], found["known"], found["disagreeing"]) == (1000, 1000, 1000, 0)
    assert found["shortest"] < 0.03
    assert found["longest"] > 4.5


POWER = """
boards = Boards()
meter = NvmlPowerMeter(pace=boards.pace)
lengths = [random.uniform(0.5, 8.0) for _ in range(100)]
print(json.dumps([{"error": w.error, "bounded": w.bounded, "seconds": w.seconds} for w in many(meter, boards, lengths, idle=False)]))
"""


@pytest.mark.parametrize(
    ("words", "most"),
    [((), 0.10), (("nvmlField186=3",), 0.01), (("nvmlDeviceGetFieldValues=3",), 0.01)],
    ids=["instant", "average", "usage"],
)
def test_integrated_power_is_right_within_its_bound_and_within_a_tick_of_work(words: tuple[str, ...], most: float) -> None:
    found = run(PRELUDE + POWER, "driven=1", "phase=0.037", *words)
    assert all(window["bounded"] for window in found)
    # A sensor of moments misses up to a period at each edge: 25 J here, over the window's joules; a mean misses nothing.
    assert max(abs(window["error"]) * window["seconds"] for window in found) <= most
    assert abs(sum(window["error"] for window in found) / len(found)) <= 0.01  # and none of it always the same way


def test_a_board_that_was_busy_just_before_does_not_leak_into_a_window_of_averages() -> None:
    script = """
boards = Boards()
with NvmlPowerMeter(pace=boards.pace).session() as session:
    boards.draw(300)
    boards.sleep(3.0)
    boards.draw(50)  # a pilot ended here
    print(json.dumps(boards.measure(session, 5.0).error))
"""
    assert abs(run(PRELUDE + script, "driven=1", "nvmlField186=3")) <= 0.001


@pytest.mark.parametrize("meter", ["NvmlMeter(pace=boards.pace, random=random)", "NvmlPowerMeter(pace=boards.pace)"])
def test_twelve_boards_are_summed(meter: str) -> None:
    script = f"""
boards = Boards(12)
meter = {meter}
parts = meter.probe().parts
print(json.dumps([len(set(parts)), [w.error for w in many(meter, boards, [3.0, 3.0])], [w.truth for w in many(meter, boards, [1.0])]]))
"""
    parts, errors, (truth,) = run(PRELUDE + script, "driven=1", "boards=12")
    assert parts == 12
    assert truth == pytest.approx(12 * 300.0)
    assert max(map(abs, errors)) <= 0.02


RATIO = """
boards = Boards()
def ratio():
    random.seed(7)  # the same windows for each sensor
    meter = {meter}
    with meter.session() as session:
        for _ in range(3):
            idle = boards.window(session, lambda: boards.sleep(5.0), IDLE)
        rest = idle.reading.joules / idle.seconds
        first, second = (boards.measure(session, length, busy=watts) for length, watts in ((5.0, 300.0), (6.1, 210.0)))
        return [(w.reading.joules - rest * w.seconds) for w in (first, second)]
def values():
    for gain, offset in ((1.0, 0.0), (0.87, -24.0), (0.87, 16.0), (1.18, -24.0), (1.18, 16.0)):
        boards.word(f"gain={{gain}}")
        boards.word(f"offset={{offset}}")
        first, second = ratio()
        yield first / second
print(json.dumps(list(values())))
"""


@pytest.mark.parametrize(
    ("meter", "most"),
    [("NvmlMeter(pace=boards.pace, random=random)", 1e-4), ("NvmlPowerMeter(pace=boards.pace)", 1e-4)],
)
def test_the_ratio_over_rest_does_not_move_with_the_sensor_s_gain_and_offset(meter: str, most: float) -> None:
    plain, *others = run(PRELUDE + RATIO.format(meter=meter), "driven=1", "phase=0.037")
    assert max(abs(other / plain - 1) for other in others) <= most


def test_the_counter_s_own_tick_sets_the_shortest_window() -> None:
    script = """
boards = Boards()
found = []
for period in (0.02, 0.1, 0.15):
    boards.word(f"period={period}")
    meter = NvmlMeter(pace=boards.pace)
    with meter.session() as session:
        found.append([meter.min_window_s, session.by])
print(json.dumps(found))
"""
    found = run(PRELUDE + script, "driven=1")
    assert [window for window, _ in found] == pytest.approx([1.0, 1.0, 1.5], rel=0.03)
    assert all("ticks every" in by and "none was seen" not in by for _, by in found)


def test_a_slice_s_joules_are_said_to_be_the_whole_board_s() -> None:
    script = """
boards = Boards()
for meter in (NvmlMeter(pace=boards.pace, random=random), NvmlPowerMeter(pace=boards.pace)):
    (window,) = many(meter, boards, [3.0], idle=False)
    assert [c.code for c in window.reading.cautions] == ["mig-board"], window
    assert meter.probe().parts == ("gpu:GPU-aaaa0000-0000-4000-8000-000000000000",)
print(json.dumps(window.reading.cautions[0].text))
"""
    assert "whole board" in run(PRELUDE + script, "driven=1", "slices=2")
