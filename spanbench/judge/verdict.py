"""Whether a changed program takes more than the one before it: better, same, worse, or not told.

Both ran side by side in blocks; a block gives one log-ratio, head over base. Their mean has a two-sided 99% Student t
interval, and with t the tolerance in logarithms, log(1 + tolerance):

- worse: the whole interval lies above +t;
- better: the whole interval lies below -t;
- same: the whole interval lies within ±t;
- inconclusive: anything else, and whatever the job's own floor does not allow to be told.

Error rates, for independent normal blocks: a program that is slower by no more than the tolerance is called worse in at most
0.5% of runs (the interval's upper tail), and of two equal ones almost never: the mean would have to miss by the interval's
half-width and the tolerance besides. One that is slower by the tolerance or more is called same in at most 0.5%. A slowdown
d is found with probability about Φ((log(1+d) - t) / e - 2.76), e the standard error: with blocks of 1% noise, 30 of them and
a tolerance of 2%, e = 0.18% and a slowdown of 3% is found in 99% of runs. The number of blocks is fixed by a pilot whose
blocks are in no interval, so these rates hold whatever it said.

Two processes of the very same code may differ for as long as they live (by where their memory lies). Each program therefore
runs in two. Where equal processes differ by 1% (one standard deviation), still less than one check in a hundred of two equal
programs is called worse; where they differ by 3%, it was about three in a hundred of those that were simulated.

The floor: beside the blocks run others of one program against itself, in processes of their own as head and base are. What
their ratio is away from 1, with its own 99% interval, is what this machine makes out of nothing. A tolerance below it is
refused: such a verdict would be about the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Literal

from spanbench.judge.precision import upper_factor
from spanbench.judge.stats import Estimate, ratio_estimate, t_quantile

__all__ = [
    "CONFIDENCE",
    "LEAST_BLOCKS",
    "MOST_BLOCKS",
    "PILOT_BLOCKS",
    "AgainstResult",
    "AgainstRow",
    "Judged",
    "Verdict",
    "blocks_wanted",
    "floor_of",
    "judge",
    "overall",
]

Verdict = Literal["better", "same", "worse", "inconclusive"]

CONFIDENCE = 0.99
MOST_BLOCKS = 30
"""Of four slots, two of each program: 60 pairs of a head's and a base's slot."""
LEAST_BLOCKS = 8
"""Beside them run four of the A/A null; with two its interval would be eleven times as wide."""
PILOT_BLOCKS = 4

_ASSURANCE = 0.95  # that the true spread lies below the one planned with: at 80% one slowdown in twenty was missed by too few blocks
_NARROW = 4  # an interval of ± a quarter of the tolerance finds a slowdown of one and a half tolerances


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict, and all that it rests on."""

    verdict: Verdict
    ratio: Estimate
    """Head over base: the blocks' median, and the 99% interval of their mean."""
    null: Estimate
    """One program against itself."""
    floor: float | None
    """The least tolerance that this job can judge, relative (0.01 is 1%); None where the null has no interval."""
    tolerance: float
    blocks: int
    null_blocks: int
    reason: str | None = None
    """Why it is inconclusive; nothing else has one."""


@dataclass(frozen=True, slots=True)
class AgainstRow:
    """One arm in one regime: what a forward (or all steps of a regime that has some) takes, and the verdict on it."""

    arm: str
    regime: str
    repeats: int
    """Forwards a slot."""
    base: Estimate
    """Of one forward: the median of its slots, with the smallest and the largest."""
    head: Estimate
    judged: Judged
    base_flops: int | None
    """By closed form, in the base's own code; None where it has none."""
    head_flops: int | None


@dataclass(frozen=True, slots=True)
class AgainstResult:
    """A head held against a base. Plain values: whoever prints them needs nothing else."""

    ref: str
    commit: str
    """The base's full hash."""
    head: str
    """What the head is: a hash, or one with `and changes that are not committed`."""
    point: str
    quantity: str
    by: str
    tolerance: float
    rows: Sequence[AgainstRow]
    notes: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """Return the verdict of all rows, see `overall`."""
        return overall(row.judged.verdict for row in self.rows)


def judge(log_ratios: Sequence[float], nulls: Sequence[float], tolerance: float) -> Judged:
    """Return the verdict on the blocks' log-ratios (head / base), given those of a program against itself.

    Raises:
        ValueError: `tolerance` is not a positive number.
    """
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise ValueError(f"tolerance must be a positive share, got {tolerance}")
    ratio, null = ratio_estimate(log_ratios, CONFIDENCE), ratio_estimate(nulls, CONFIDENCE)
    floor = floor_of(null)
    verdict, reason = _verdict(ratio, floor, tolerance)
    return Judged(verdict, ratio, null, floor, tolerance, len(log_ratios), len(nulls), reason)


def _verdict(ratio: Estimate, floor: float | None, tolerance: float) -> tuple[Verdict, str | None]:
    if ratio.low is None or ratio.high is None:
        return "inconclusive", ratio.reason
    if floor is None:
        return "inconclusive", "too few blocks of a program against itself to know what this machine can tell apart"
    if floor > tolerance:
        return (
            "inconclusive",
            f"one program against itself may differ by {_percent(floor)} here, beyond the tolerance of {tolerance:.2%}",
        )
    return _placed(ratio.low, ratio.high, 1 + tolerance)


def _placed(low: float, high: float, most: float) -> tuple[Verdict, str | None]:
    """Place an interval against 1 / `most` and `most`: a product and a quotient, so that both directions are judged alike."""
    if low > most:
        return "worse", None
    if high < 1 / most:
        return "better", None
    if low >= 1 / most and high <= most:
        return "same", None
    return "inconclusive", f"the interval lies on both sides of the tolerance of {most - 1:.2%}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 1 else "more than 100%"


def floor_of(null: Estimate) -> float | None:
    """Return how far from 1 the far end of the null's interval lies: its shift and its half-width together."""
    if null.low is None or null.high is None or null.low <= 0:
        return None
    return math.expm1(max(abs(math.log(null.low)), abs(math.log(null.high))))


def blocks_wanted(pilot: Sequence[float], tolerance: float) -> int:
    """Return how many blocks give a 99% interval of ± a quarter of the tolerance: even, at least 8, at most 30.

    `pilot` are the log-ratios of four blocks, whose spread is taken at its upper limit of 95% assurance.

    Raises:
        ValueError: there are not four of them.
    """
    if len(pilot) != PILOT_BLOCKS:
        raise ValueError(f"a pilot has {PILOT_BLOCKS} blocks, got {len(pilot)}")
    sigma, wanted = stdev(pilot) * upper_factor(_ASSURANCE), math.log1p(tolerance) / _NARROW
    even = range(LEAST_BLOCKS, MOST_BLOCKS, 2)
    return next((n for n in even if t_quantile(CONFIDENCE, n - 1) * sigma <= wanted * math.sqrt(n)), MOST_BLOCKS)


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Return one verdict for several: what is worse is never hidden, and what is not told is never called good."""
    rank: Mapping[Verdict, int] = {"same": 0, "better": 1, "inconclusive": 2, "worse": 3}
    return max(verdicts, key=rank.__getitem__, default="inconclusive")
