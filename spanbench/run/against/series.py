"""One arm in one regime, base against head: warm-up, repeats, pilot, then slots in ABBA BAAB order with A/A blocks between.

Each program runs in two processes, and blocks take all four combinations of them in turn: two processes of the very same code
may differ by where their memory lies, for as long as they live. In an A/A block a program's first process runs against its
second, head and base in turn, so that the null knows of that too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from spanbench.judge.stats import block_log_ratio
from spanbench.judge.verdict import LEAST_BLOCKS, MOST_BLOCKS, PILOT_BLOCKS, blocks_wanted
from spanbench.measure.clock import Clock, PerfCounter
from spanbench.measure.pair.schedule import Part, choose_blocks, order, parts

__all__ = ["COPIES", "SIDES", "Process", "Series", "Side", "Slot", "Taken", "measure_series"]

Side = Literal["base", "head"]
SIDES: tuple[Side, ...] = ("base", "head")
COPIES = 2
"""Processes of each program."""

MOST_REPEATS = 1 << 16
_WARMUPS = 2
_GROWTH = 16  # of the repeats in one step: a first call too short for the clock says little
_MARGIN = 1.05  # aimed at above the window, so that a slot a little faster still fills it


class Process(NamedTuple):
    """One of the processes that slots run in."""

    side: Side
    copy: int


class Taken(NamedTuple):
    """What one slot took: its seconds, and the quantity that is compared (the same seconds, or joules)."""

    seconds: float
    value: float


Slot = Callable[[Process, int], Taken]
"""Runs a process's arm so many times."""


@dataclass(slots=True)
class Series:
    """What came out: the quantity of one run in each slot by side, and a log-ratio a block."""

    repeats: int
    values: dict[Side, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    ratios: list[float] = field(default_factory=list)
    """Head over base."""
    nulls: list[float] = field(default_factory=list)
    """A program's first process over its second."""


def measure_series(
    slot: Slot,
    *,
    tolerance: float,
    max_seconds: float,
    window_s: float,
    clock: Clock | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Series:
    """Run all slots of one arm and regime in about `max_seconds`; their number is fixed before the first that counts.

    `progress(done, total)` is called between blocks, in blocks.
    """
    clock = clock or PerfCounter()
    opened = clock.now()
    run = _Blocks(slot, _repeats(slot, window_s))
    pace = _pace(run, clock)
    blocks = _fitting(pace, max_seconds - (clock.now() - opened))
    if blocks >= LEAST_BLOCKS + PILOT_BLOCKS:
        pilot = [run.pair(letters, index) for index, letters in enumerate(order(PILOT_BLOCKS))]
        blocks = min(blocks_wanted(pilot, tolerance), _fitting(pace, max_seconds - (clock.now() - opened)))
    found = Series(run.repeats)
    schedule = parts(blocks, null=True, rests=0)
    for done, part in enumerate(schedule):
        progress(done, len(schedule))
        _take(run, part, found)
    progress(len(schedule), len(schedule))
    return found


def _take(run: _Blocks, part: Part, found: Series) -> None:
    if part.kind == "null":
        found.nulls.append(run.null(part.letters, len(found.nulls)))
    else:
        found.ratios.append(run.pair(part.letters, len(found.ratios), found.values))


def _fitting(pace: float, seconds: float) -> int:
    """Return how many blocks fit, each with its share of the null: even, at most 30; the least schedule always runs."""
    return max(LEAST_BLOCKS, choose_blocks(1.5 * pace, seconds, MOST_BLOCKS))


def _repeats(slot: Slot, window_s: float) -> int:
    """Warm every process up, and return how often the faster program must run to fill the window.

    Both programs run equally often: a slot's total is then what is compared, and nothing is divided.
    """
    for process in [Process(side, copy) for copy in range(COPIES) for side in SIDES]:
        for _ in range(_WARMUPS):
            slot(process, 1)
    repeats = 1
    while repeats < MOST_REPEATS:
        shortest = min(slot(Process(side, 0), repeats).seconds for side in SIDES)
        if shortest >= window_s:
            break
        wanted = math.ceil(_MARGIN * window_s * repeats / shortest) if shortest > 0 else MOST_REPEATS
        repeats = min(max(wanted, repeats + 1), repeats * _GROWTH, MOST_REPEATS)
    return repeats


def _pace(run: _Blocks, clock: Clock) -> float:
    """Return the seconds of a block, by one slot of each side: what precedes a slot, untimed, is in it."""
    opened = clock.now()
    for side in SIDES:
        run.slot(Process(side, 0), run.repeats)
    return 2 * (clock.now() - opened)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Runs one block after another."""

    slot: Slot
    repeats: int

    def pair(self, letters: str, index: int, values: dict[Side, list[float]] | None = None) -> float:
        """Run a block of head (A) against base (B); over eight blocks each process meets each of the other side, in both orders."""
        head, base = Process("head", index // 2 % 2), Process("base", (index // 2 + index // 4) % 2)
        ratio, taken = self._run(letters, head, base)
        if values is not None:
            for letter, value in zip(letters, taken, strict=True):
                values[head.side if letter == "A" else base.side].append(value / self.repeats)
        return ratio

    def null(self, letters: str, index: int) -> float:
        """Run a block of one program's two processes against each other, two of the head and two of the base in turn."""
        side = SIDES[(index // 2 + 1) % 2]
        return self._run(letters, Process(side, 0), Process(side, 1))[0]

    def _run(self, letters: str, a: Process, b: Process) -> tuple[float, Sequence[float]]:
        taken = [self.slot(a if letter == "A" else b, self.repeats).value for letter in letters]
        sides = ([value for place, value in zip(letters, taken, strict=True) if place == letter] for letter in "AB")
        return block_log_ratio(*sides), taken
