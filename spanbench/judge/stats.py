"""Medians and intervals of few noisy numbers, in plain Python.

A ratio of two arms is judged by its block log-ratios: one number a block, each already free of linear drift
(spanbench.measure.pair.schedule). Their mean has a Student t interval; ratios are formed in logarithms so that
token/latent and latent/token tell the same story.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["CONFIDENCE", "LEAST_BLOCKS", "Estimate", "block_log_ratio", "median", "ratio_estimate", "spread", "t_quantile", "unknown"]

CONFIDENCE = 0.95
LEAST_BLOCKS = 2
"""A standard deviation needs two numbers; with fewer there is no interval."""

_BISECTIONS = 64  # halves [0, pi/2] below the spacing of doubles


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its interval. What is null has a `reason`, and nothing else has one."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None


def unknown(reason: str) -> Estimate:
    """Return the estimate of something that could not be measured."""
    return Estimate(None, None, None, reason)


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two middle ones.

    Raises:
        ValueError: `values` is empty.
    """
    if not values:
        raise ValueError("median: no values")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return ordered[middle - 1] + (ordered[middle] - ordered[middle - 1]) / 2


def spread(values: Sequence[float]) -> Estimate:
    """Return the median with the smallest and the largest value: a range, not a confidence interval."""
    return Estimate(median(values), min(values), max(values))


def block_log_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return log(geometric mean of the numerators / geometric mean of the denominators) of one block's slots."""
    return math.fsum(map(math.log, numerator)) / len(numerator) - math.fsum(map(math.log, denominator)) / len(denominator)


def ratio_estimate(log_ratios: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return the median ratio of the blocks, and the Student t interval of their mean log-ratio.

    The median is what a reader is shown, because one disturbed block does not move it; the interval is that of the
    mean, because its coverage is known for as few as two blocks. Where a block far outside has pulled the interval
    past the median, the interval is widened to hold it (which can only raise its coverage).
    """
    if not log_ratios:
        return unknown("no complete block was measured")
    ratio = math.exp(median(log_ratios))
    if len(log_ratios) < LEAST_BLOCKS:
        return Estimate(ratio, None, None, f"no interval from {len(log_ratios)} block, it needs at least {LEAST_BLOCKS}")
    mean = math.fsum(log_ratios) / len(log_ratios)
    half = t_quantile(confidence, len(log_ratios) - 1) * _standard_error(log_ratios, mean)
    return Estimate(ratio, min(ratio, math.exp(mean - half)), max(ratio, math.exp(mean + half)))


def _standard_error(values: Sequence[float], mean: float) -> float:
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1) / len(values))


@lru_cache(maxsize=256)
def t_quantile(confidence: float, freedom: int) -> float:
    """Return t with P(|T| <= t) = `confidence` for Student's T with `freedom` degrees of freedom.

    The distribution function is a finite sum for whole degrees of freedom; it is inverted by bisection.

    Raises:
        ValueError: `confidence` outside (0, 1), or `freedom` below 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if freedom < 1:
        raise ValueError(f"degrees of freedom must be at least 1, got {freedom}")
    low, high = 0.0, math.pi / 2
    for _ in range(_BISECTIONS):
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, freedom) < confidence else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """Return P(|T| <= t) at t = sqrt(freedom) * tan(angle): Abramowitz & Stegun 26.7.3 (odd) and 26.7.4 (even)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = total = (cosine if freedom > 1 else 0.0) if odd else 1.0
    for k in range(3 + odd, freedom, 2):
        term *= cosine * cosine * (k - 2) / (k - 1)
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
