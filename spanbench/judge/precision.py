"""How many blocks an interval of a given width needs, and whether one is as narrow as was asked.

The blocks' log-ratios are taken as independent and normal. N of them with standard deviation s give their mean an interval
of half-width t(95%, N-1) * s / sqrt(N), which is compared with log(1 + precision).

A pilot of n blocks knows the true sigma poorly. Its s obeys (n-1) * s^2 / sigma^2 ~ chi-square with n-1 degrees of freedom,
so with probability 80% sigma is at most s * sqrt((n-1) / q), q the 20% quantile of that distribution. N is planned with
this upper limit: 1.73 * s for the four blocks of a pilot. About four runs in five then come out as narrow as asked. With s
itself it would be fewer than half, since s of four blocks lies below sigma in 61% of runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist, stdev

from spanbench.judge.stats import CONFIDENCE, Estimate, t_quantile

__all__ = ["PILOT_BLOCKS", "blocks_for", "half_width", "reaches", "sigma_limit", "upper_factor"]

PILOT_BLOCKS = 4
"""ABBA BAAB twice: both drifts cancel, and three degrees of freedom are the fewest from which sigma can be bounded usefully."""

_ASSURANCE = 0.8  # that the true sigma lies below the limit planned with; 90% would cost 1.7 times the blocks
_LARGE = 200  # beyond this t is the normal quantile but for a correction of (z^2 + 1) / 2 blocks
_BISECTIONS = 64


def half_width(estimate: Estimate) -> float | None:
    """Return the relative half-width of a ratio's interval, sqrt(high / low) - 1, or None where it has none."""
    if estimate.low is None or estimate.high is None or estimate.low <= 0:
        return None
    return math.sqrt(estimate.high / estimate.low) - 1


def reaches(estimate: Estimate, precision: float) -> bool:
    """Return whether a ratio has an interval, and one no wider than ± `precision` (relative, 0.03 for 3%)."""
    width = half_width(estimate)
    return width is not None and width <= precision


def blocks_for(sigma: float, precision: float) -> int:
    """Return the least even number of blocks whose mean log-ratio has a 95% interval within log(1 + `precision`).

    `sigma` is the standard deviation of one block's log-ratio, taken as known.
    """
    wanted = math.log1p(precision)
    for blocks in range(2, _LARGE + 1, 2):
        if t_quantile(CONFIDENCE, blocks - 1) * sigma <= wanted * math.sqrt(blocks):
            return blocks
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return 2 * math.ceil(((z * sigma / wanted) ** 2 + (z * z + 1) / 2) / 2)


def sigma_limit(log_ratios: Sequence[float]) -> float:
    """Return what the true standard deviation of a block is below with 80% assurance, from a pilot's log-ratios.

    Raises:
        ValueError: there are not as many of them as a pilot has.
    """
    if len(log_ratios) != PILOT_BLOCKS:
        raise ValueError(f"a pilot has {PILOT_BLOCKS} blocks, got {len(log_ratios)}")
    return stdev(log_ratios) * upper_factor(_ASSURANCE)


@lru_cache(maxsize=8)
def upper_factor(assurance: float) -> float:
    """Return sqrt(3 / q): what a pilot's standard deviation is multiplied by for its one-sided upper limit.

    q is the (1 - `assurance`) quantile of chi-square with 3 degrees of freedom.

    Raises:
        ValueError: `assurance` outside (0, 1).
    """
    if not 0 < assurance < 1:
        raise ValueError(f"assurance must lie between 0 and 1, got {assurance}")
    return math.sqrt((PILOT_BLOCKS - 1) / _inverse(_chi_square_3, 1 - assurance))


def _chi_square_3(x: float) -> float:
    """Return P(X <= x) for chi-square with 3 degrees of freedom (Abramowitz & Stegun 26.4.4)."""
    return math.erf(math.sqrt(x / 2)) - math.sqrt(2 * x / math.pi) * math.exp(-x / 2)


def _inverse(distribution: Callable[[float], float], probability: float) -> float:
    low, high = 0.0, 1.0
    while distribution(high) < probability:
        high *= 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if distribution(middle) < probability else (low, middle)
    return high
