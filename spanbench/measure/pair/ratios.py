"""From slots to ratios: one number a block, then an estimate over blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from spanbench.judge.stats import Estimate, block_log_ratio, ratio_estimate, unknown
from spanbench.measure.pair.result import Blocks
from spanbench.measure.pair.schedule import SLOTS_PER_BLOCK

__all__ = ["block_logs", "dynamic_ratio", "joules_each", "ratio_of", "seconds_each"]


def seconds_each(blocks: Blocks, repeats: Mapping[str, int]) -> list[float]:
    """Return the seconds of one forward, slot by slot."""
    return [slot.seconds / repeats[slot.arm] for slot in blocks.slots]


def joules_each(blocks: Blocks, repeats: Mapping[str, int]) -> list[float | None]:
    """Return the joules of one forward, slot by slot; None where the slot has none."""
    return [None if slot.joules is None else slot.joules / repeats[slot.arm] for slot in blocks.slots]


def ratio_of(letters: str, values: Sequence[float | None]) -> Estimate:
    """Return the ratio of A to B over the blocks all of whose four slots have a positive value."""
    return ratio_estimate(block_logs(letters, values))


def block_logs(letters: str, values: Sequence[float | None]) -> list[float]:
    """Return the log-ratio of A to B of each block all of whose four slots have a positive value."""
    sides = [(a, b) for a, b in _sides(letters, values) if min(*a, *b) > 0]
    return [block_log_ratio(a, b) for a, b in sides]


def dynamic_ratio(letters: str, joules: Sequence[float | None], seconds: Sequence[float], watts: Estimate) -> Estimate:
    """Return the ratio of the joules above rest, of each block's means. `watts` is what the machine draws at rest.

    Every block leans on the same figure for rest, whose error their spread cannot show. So the interval is the widest
    of three: with the mean of the rests, with the smallest and with the largest.
    """
    at = {name: _above(letters, joules, seconds, value) for name in ("value", "low", "high") if (value := getattr(watts, name)) is not None}
    found = at["value"]
    ends = [end for estimate in at.values() for end in (estimate.low, estimate.high)]
    if found.value is None or found.reason is not None:
        return found
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return Estimate(found.value, None, None, "no interval: the rests differ by more than the work draws above them")
    return Estimate(found.value, min(known), max(known))


def _above(letters: str, joules: Sequence[float | None], seconds: Sequence[float], watts: float) -> Estimate:
    above = [None if energy is None else energy - watts * time for energy, time in zip(joules, seconds, strict=True)]
    sums = [(math.fsum(a), math.fsum(b)) for a, b in _sides(letters, above)]
    lost = sum(min(pair) <= 0 for pair in sums)
    if lost:
        return unknown(f"in {lost} of {len(sums)} blocks an arm drew no more than the machine at rest")
    return ratio_estimate([math.log(a / b) for a, b in sums])


def _sides(letters: str, values: Sequence[float | None]) -> list[tuple[list[float], list[float]]]:
    """Return the values under A and under B of each block that has all four."""
    found = []
    for start in range(0, len(values), SLOTS_PER_BLOCK):
        block = list(zip(letters[start : start + SLOTS_PER_BLOCK], values[start : start + SLOTS_PER_BLOCK], strict=True))
        a, b = ([value for letter, value in block if letter == side and value is not None] for side in "AB")
        if len(a) + len(b) == SLOTS_PER_BLOCK:
            found.append((a, b))
    return found
