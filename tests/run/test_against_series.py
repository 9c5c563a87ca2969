"""Whole series of slots on a clock driven by hand: order, processes, and how often which verdict comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest

from spanbench.errors import UsageError
from spanbench.judge.verdict import Verdict, judge
from spanbench.measure.energy import Guard, Probe, Reading, Session, Source
from spanbench.measure.energy.protocol import Window
from spanbench.run.against.crew import Crew
from spanbench.run.against.process import Worker
from spanbench.run.against.series import COPIES, SIDES, Process, Series, Taken, measure_series

TOLERANCE = 0.02
RUNS = 400
FEWER = 200
"""Where the rate is far from its limit."""
MOST_PAIRS = 60

Noise = Callable[[Random, int], float]
"""What slot number n takes, as a factor; called once a slot in order."""


@dataclass
class Machine:
    """Four processes that take a millisecond a run, times what their program and the machine make of it."""

    seed: int
    slowdown: float = 1.0
    noise: Noise = lambda _random, _slot: 1.0
    between: float = 0.0
    """Standard deviation of what a process differs by from others of the same code, for as long as it lives."""
    time: float = 0.0
    slots: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311  # noise, no secret
        self.own = {Process(side, copy): self.random.gauss(1, self.between) for side in SIDES for copy in range(COPIES)}

    def now(self) -> float:
        return self.time

    def slot(self, process: Process, repeats: int) -> Taken:
        factor = self.slowdown if process.side == "head" else 1.0
        seconds = 0.001 * repeats * factor * self.own[process] * self.noise(self.random, len(self.slots))
        self.slots.append(process)
        self.time += seconds
        return Taken(seconds, seconds)

    def series(self, max_seconds: float = 60.0) -> Series:
        return measure_series(self.slot, tolerance=TOLERANCE, max_seconds=max_seconds, window_s=0.1, clock=self)

    def verdict(self) -> Verdict:
        found = self.series()
        assert len(found.values["head"]) == len(found.values["base"]) == 2 * len(found.ratios) <= MOST_PAIRS
        return judge(found.ratios, found.nulls, TOLERANCE).verdict


def white(percent: float) -> Noise:
    return lambda random, _: random.gauss(1, percent / 100)


def wandering() -> Noise:
    """Return correlated noise: each slot remembers 95% of the one before it, as a machine that warms up and cools down."""
    state = 0.0

    def noise(random: Random, _: int) -> float:
        nonlocal state
        state = 0.95 * state + random.gauss(0, 0.005)
        return 1 + state

    return noise


def bursts(random: Random, slot: int) -> float:
    """Return a machine on which another job takes a fifth of the time of one slot in twenty, and that slows down steadily."""
    return random.gauss(1, 0.005) * (1.2 if random.random() < 0.05 else 1.0) * (1 + 0.0005 * slot)


def counted(make: Callable[[int], Machine], runs: int = FEWER) -> Counter[Verdict]:
    return Counter(make(seed).verdict() for seed in range(runs))


# ---- rates ----------------------------------------------------------------------------------------------------------


def test_a_slowdown_of_three_percent_is_found_in_95_of_100_runs_at_one_percent_noise_with_at_most_60_pairs() -> None:
    found = counted(lambda seed: Machine(seed, 1.03, white(1)), RUNS)
    assert found["worse"] >= 0.95 * RUNS, found
    assert found["same"] + found["better"] == 0, found


def test_equal_programs_at_one_percent_noise_are_never_called_worse_and_mostly_the_same() -> None:
    found = counted(lambda seed: Machine(seed, 1.0, white(1)))
    assert found["worse"] + found["better"] == 0, found
    assert found["same"] >= 0.95 * FEWER, found


def test_a_slowdown_of_exactly_the_tolerance_is_called_worse_in_at_most_one_run_of_a_hundred() -> None:
    found = counted(lambda seed: Machine(seed, 1 + TOLERANCE, white(0.5)))
    assert found["worse"] <= 0.01 * FEWER, found
    assert found["same"] <= 0.01 * FEWER, found


@pytest.mark.parametrize("make", [wandering, lambda: bursts, lambda: white(10)], ids=["wandering", "bursts and drift", "loud"])
def test_equal_programs_on_a_machine_that_is_not_steady_are_called_worse_in_at_most_one_run_of_a_hundred(make: Callable[[], Noise]) -> None:
    found = counted(lambda seed: Machine(seed, 1.0, make()))
    assert found["worse"] <= 0.01 * FEWER, found
    assert found["better"] <= 0.01 * FEWER, found


@pytest.mark.parametrize("between", [0.003, 0.01])
def test_processes_that_differ_for_all_their_life_do_not_make_equal_programs_worse(between: float) -> None:
    found = counted(lambda seed: Machine(seed, 1.0, white(0.3), between))
    assert found["worse"] <= 0.01 * FEWER, found
    assert found["better"] <= 0.01 * FEWER, found


def test_a_program_that_became_faster_by_three_percent_is_called_better() -> None:
    found = counted(lambda seed: Machine(seed, 1 / 1.03, white(1)))
    assert found["better"] >= 0.95 * FEWER, found


# ---- the order ------------------------------------------------------------------------------------------------------


def test_blocks_run_abba_and_baab_and_every_process_meets_each_of_the_other_program() -> None:
    machine = Machine(0, noise=white(1))
    found = machine.series()
    null = sum(len({p.side for p in block}) == 1 for block in _blocks(machine, found))
    assert null == len(found.nulls) == len(found.ratios) // 2
    met = set()
    for block in _blocks(machine, found):
        a, b, again_b, again_a = block
        assert (a, b) == (again_a, again_b)
        assert a != b
        met.add(frozenset(block))
    assert len(met) == 6


def test_in_an_a_a_block_two_processes_of_one_program_run_and_both_programs_have_their_turn() -> None:
    machine = Machine(0, noise=white(1))
    found = machine.series()
    alone = [block[0].side for block in _blocks(machine, found) if len({p.side for p in block}) == 1]
    assert set(alone) == set(SIDES)


def _blocks(machine: Machine, found: Series) -> list[list[Process]]:
    slots = machine.slots[-4 * (len(found.ratios) + len(found.nulls)) :]
    return [slots[start : start + 4] for start in range(0, len(slots), 4)]


def test_a_linear_drift_reaches_no_ratio() -> None:
    found = Machine(0, noise=lambda _, slot: 1 + 1e-4 * slot).series()
    assert max(map(abs, found.ratios + found.nulls)) < 1e-6


def test_the_number_of_blocks_is_fixed_by_a_pilot_that_is_in_no_ratio() -> None:
    quiet, loud = Machine(0, noise=white(0.01)), Machine(0, noise=white(5))
    assert len(quiet.series().ratios) == 8
    assert len(loud.series().ratios) == 30


def test_little_time_gives_the_least_schedule_and_more_time_never_fewer_blocks() -> None:
    blocks = [len(Machine(0, noise=white(5)).series(max_seconds).ratios) for max_seconds in (0.1, 6, 12, 60)]
    assert blocks[0] == 8
    assert all(less <= more for less, more in pairwise(blocks))


def test_a_clock_that_stands_still_ends_the_search_for_repeats() -> None:
    done = []

    def slot(_process: Process, repeats: int) -> Taken:
        done.append(repeats)
        return Taken(0.0, 1.0)

    found = measure_series(slot, tolerance=TOLERANCE, max_seconds=1, window_s=0.1, clock=Machine(0))
    assert found.ratios == [0.0] * len(found.ratios)
    assert max(done) == found.repeats == 1 << 16


def test_values_are_of_one_run_and_ratios_are_head_over_base() -> None:
    found = Machine(0, 2.0).series()
    assert found.values["head"] == pytest.approx([0.002] * len(found.values["head"]))
    assert found.values["base"] == pytest.approx([0.001] * len(found.values["base"]))
    assert found.ratios == pytest.approx([0.6931471805599453] * len(found.ratios))


# ---- joules ---------------------------------------------------------------------------------------------------------


class Joules:
    """A meter that measures a joule more in each window, or nothing at all."""

    name, note, min_window_s, by = "fake", "", 0.0, "a fake"
    source: Source = "measured"

    def __init__(self, *, works: bool = True) -> None:
        self.works, self.windows = works, 0

    def probe(self) -> Probe:
        return Probe(available=True)

    @contextmanager
    def session(self) -> Iterator[Session]:
        yield self

    def begin(self, window: Window) -> None:
        self.windows += 1

    def end(self) -> Reading:
        return Reading(float(self.windows)) if self.works else Reading(None, "the counter stood still")


class Steady(Worker):
    """A worker without a process, which takes half a second for anything."""

    def __init__(self) -> None:
        """Start nothing."""

    def run(self, arm: str, regime: str, repeats: int) -> float:
        return 0.5


def test_joules_are_those_of_the_meter_and_seconds_those_of_the_worker() -> None:
    process = Process("head", 0)
    crew = Crew({process: Steady()}, {})
    with Guard(Joules()) as guard:
        assert [crew.slot("token", "prefill", guard)(process, 3) for _ in range(2)] == [Taken(0.5, 1.0), Taken(0.5, 2.0)]
    assert crew.slot("token", "prefill")(process, 3) == Taken(0.5, 0.5)


def test_a_meter_that_fails_ends_the_check_with_its_reason() -> None:
    process = Process("head", 0)
    with Guard(Joules(works=False)) as guard, pytest.raises(UsageError, match="the counter stood still; take --quantity seconds"):
        Crew({process: Steady()}, {}).slot("token", "prefill", guard)(process, 1)
