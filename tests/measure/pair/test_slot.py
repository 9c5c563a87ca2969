"""How often an arm is repeated in a slot, in driven time: arms that are held up, devices that are slow to answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spanbench.measure.energy import NullMeter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.pair.slot import MOST_REPEATS, Arm, Stage, find_repeats, run_slot
from tests.measure.driven import World

WINDOW_S = 0.25


class Bench:
    """An arm whose nth forward takes as long as it is told to, on a device that takes a while to say that it has finished."""

    def __init__(self, forward_s: Callable[[int], float], answer_s: float = 0.0) -> None:
        self.world, self.calls, self._forward_s, self._answer_s = World(), 0, forward_s, answer_s
        self.arm = Arm("arm", self._forward)
        self.stage = Stage(self.world, self._synchronize, Guard(NullMeter()))

    def _forward(self) -> None:
        self.world.seconds += self._forward_s(self.calls)
        self.calls += 1

    def _synchronize(self) -> None:
        self.world.seconds += self._answer_s

    def tried(self) -> tuple[int, float]:
        return find_repeats(self.arm, WINDOW_S, self.stage)

    def slot_s(self) -> float:
        """Return the seconds of a slot of as many repeats as the trial has found."""
        return run_slot(self.arm, self.tried()[0], self.stage).seconds


@pytest.mark.parametrize("held_up", [0, 1])
def test_of_two_trials_the_one_that_was_held_up_does_not_count(held_up: int) -> None:
    assert Bench(lambda call: 0.2 if call == held_up else 0.1).tried()[0] == Bench(lambda _: 0.1).tried()[0] == 3


def test_a_slot_a_little_faster_than_its_trial_still_fills_the_window() -> None:
    trial = Bench(lambda _: 1e-3)
    trial.tried()
    assert WINDOW_S <= Bench(lambda call: 1e-3 if call < trial.calls else 0.96e-3).slot_s() < 1.05 * WINDOW_S


def test_a_trial_that_mostly_waited_for_the_device_is_not_trusted() -> None:
    """5 ms of waiting once a slot: 16 forwards of 1 ms look like 1.3 ms each, and so many would be too few."""
    assert WINDOW_S <= Bench(lambda _: 1e-3, answer_s=5e-3).slot_s() <= 1.1 * WINDOW_S


def test_an_arm_of_a_third_of_the_window_is_tried_twice_and_no_more() -> None:
    bench = Bench(lambda _: WINDOW_S / 3)
    repeats, seconds = bench.tried()
    assert repeats == 4
    assert seconds == pytest.approx(4 * WINDOW_S / 3)
    assert bench.calls == 2


def test_an_arm_longer_than_the_window_is_tried_once() -> None:
    bench = Bench(lambda _: 2.0)
    assert bench.tried() == (1, 2.0)
    assert bench.calls == 1


@pytest.mark.parametrize("forward_s", [0.0, 1e-9])
def test_an_arm_that_takes_no_time_is_not_repeated_for_ever(forward_s: float) -> None:
    assert Bench(lambda _: forward_s).tried()[0] == MOST_REPEATS


def test_a_second_trial_in_which_the_clock_stood_still_leaves_the_first() -> None:
    repeats, seconds = Bench(lambda call: 0.1 if call == 0 else 0.0).tried()
    assert repeats == 3
    assert seconds == pytest.approx(0.3)
