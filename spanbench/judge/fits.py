"""How a figure grows with the prompt: the exponent k of y ~ N^k, its interval, and what it says of "near-constant scaling".

The exponent is the slope of the least-squares line of log y over log N, with the Student t interval of a slope (n - 2
degrees of freedom). For measured figures the interval is mostly noise. Counts have no noise: where theirs has a width,
the count is a sum of several powers (24 N² + 7 N + 3) and no single exponent describes it; the local exponents between
neighbouring N then say where it is heading.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from spanbench.judge.stats import CONFIDENCE, median, t_quantile

__all__ = ["LEAST_POINTS", "NEAR_CONSTANT", "Fit", "Judgement", "Local", "fit", "growth", "near_constant"]

LEAST_POINTS = 3
"""Different N; a line through two has no interval."""
NEAR_CONSTANT = 0.2
"""Exponents up to this are near-constant: twice the prompt costs at most 15% more (2^0.2 = 1.149)."""

_WHOLE = ((0, "constant"), (1, "linear"), (2, "quadratic"), (3, "cubic"))
_CLOSE = 0.05
"""An interval this near to a whole exponent is taken to reach it: counts are sums of powers, never one exactly."""

Judgement = Literal["holds", "refuted", "undecided"]


@dataclass(frozen=True, slots=True)
class Local:
    """The exponent between two neighbouring N: log(y'/y) ÷ log(N'/N)."""

    low_tokens: int
    high_tokens: int
    exponent: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted power law, y = scale × N^exponent; what is None has a `reason`. `points` counts what was fitted."""

    exponent: float | None
    low: float | None
    high: float | None
    scale: float | None
    points: int
    local: tuple[Local, ...] = ()
    reason: str | None = None

    def at(self, tokens: float) -> float | None:
        """Return the fitted y at N, in the unit of the figures."""
        if self.scale is None or self.exponent is None:
            return None
        return float(self.scale * tokens**self.exponent)


def fit(tokens: Sequence[int], values: Sequence[float], confidence: float = CONFIDENCE) -> Fit:
    """Return the power law through figures at different N; repeated N are several figures of one N and are all used.

    Figures of 0 have no logarithm: with one of them there is no fit, because leaving it out would change the question.

    Raises:
        ValueError: not as many tokens as values.
    """
    pairs = sorted(zip(tokens, values, strict=True))
    if any(n <= 0 or y <= 0 for n, y in pairs):
        return Fit(None, None, None, None, len(pairs), reason="a figure of 0 has no logarithm, so there is no exponent")
    local = _local(pairs)
    different = len({n for n, _ in pairs})
    if different < LEAST_POINTS:
        reason = f"an exponent needs {LEAST_POINTS} lengths of prompt, there {'is' if different == 1 else 'are'} {different}"
        return Fit(None, None, None, None, len(pairs), local, reason)
    return _line([math.log(n) for n, _ in pairs], [math.log(y) for _, y in pairs], local, confidence)


def _line(xs: Sequence[float], ys: Sequence[float], local: tuple[Local, ...], confidence: float) -> Fit:
    count = len(xs)
    middle, mean = math.fsum(xs) / count, math.fsum(ys) / count
    across = math.fsum((x - middle) ** 2 for x in xs)
    slope = math.fsum((x - middle) * (y - mean) for x, y in zip(xs, ys, strict=True)) / across
    left = math.fsum((y - mean - slope * (x - middle)) ** 2 for x, y in zip(xs, ys, strict=True))
    half = t_quantile(confidence, count - 2) * math.sqrt(left / (count - 2) / across)
    return Fit(slope, slope - half, slope + half, _power(mean - slope * middle), count, local)


def _power(log: float) -> float:
    """Return e^log; what lies beyond a double is its end, for a line that is only drawn."""
    return math.exp(min(max(log, -700.0), 700.0))


def _local(pairs: Sequence[tuple[int, float]]) -> tuple[Local, ...]:
    """Return the exponents between neighbours; several figures of one N stand as their median."""
    by_tokens: dict[int, list[float]] = {}
    for n, y in pairs:
        by_tokens.setdefault(n, []).append(math.log(y))
    steps = pairwise((n, median(ys)) for n, ys in by_tokens.items())
    return tuple(Local(n, more, (after - before) / (math.log(more) - math.log(n))) for (n, before), (more, after) in steps)


def growth(found: Fit) -> str:
    """Return in words which whole exponents the interval reaches: 'quadratic', 'between linear and quadratic', 'linear or quadratic'.

    >>> growth(fit([64, 128, 256], [64, 128, 256])), growth(fit([64, 128, 256], [8, 8, 8]))
    ('linear', 'constant')
    """
    if found.low is None or found.high is None:
        return "unknown"
    low, high = found.low, found.high
    reached = [word for whole, word in _WHOLE if low - _CLOSE <= whole <= high + _CLOSE]
    if reached:
        return " or ".join(reached)
    below = [word for whole, word in _WHOLE if whole < low]
    above = [word for whole, word in _WHOLE if whole > high]
    if below and above:
        return f"between {below[-1]} and {above[0]}"
    return f"more than {below[-1]}" if below else f"less than {above[0]}"


def near_constant(found: Fit) -> Judgement:
    """Return whether the figure's cost is near-constant: by both ends of the interval against `NEAR_CONSTANT`.

    A figure that falls as the prompt grows is no more than constant.
    """
    if found.low is None or found.high is None:
        return "undecided"
    if found.high <= NEAR_CONSTANT:
        return "holds"
    return "refuted" if found.low > NEAR_CONSTANT else "undecided"
