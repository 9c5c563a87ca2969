"""Two questions to a series of measured logarithms: does it drift, and are some of it far from the rest?

Neither removes anything: an estimate without its inconvenient blocks would have an interval that covers less than it says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spanbench.judge.stats import median, t_quantile

__all__ = ["Trend", "outliers", "trend"]

_CERTAIN = 0.99  # of the two-sided t-test: one steady series in a hundred is called a trend
_LEAST_TREND = 4  # points: two degrees of freedom
_LEAST_OUTLIERS = 8  # fewer say too little about their own spread: normal noise of 4 would be flagged in 9% of runs, of 8 in 3%
_FAR = 5.0  # robust sigmas
_NORMAL = 1.4826  # 1 / 0.6745: what turns a median absolute deviation into the sigma of a normal distribution
_SMALL = {8: 1.129, 9: 1.107}  # what it falls short by in few values (Croux & Rousseeuw, COMPSTAT 1992); beyond, n / (n - 0.8)
_ROUNDING = 1e-9  # logarithms nearer than this are equal: what is left is arithmetic


@dataclass(frozen=True, slots=True)
class Trend:
    """A slope in logarithms a step, and whether it is one: two-sided t-test at 1%."""

    slope: float
    significant: bool

    @property
    def percent(self) -> float:
        """Return the change a step, in percent."""
        return 100 * math.expm1(self.slope)


def trend(places: Sequence[float], logs: Sequence[float]) -> Trend:
    """Return the slope of the least-squares line of `logs` over `places`, tested against none.

    Fewer than four points, or points all at one place, have no trend that could be told.
    """
    count = len(logs)
    middle, mean = math.fsum(places) / max(count, 1), math.fsum(logs) / max(count, 1)
    across = math.fsum((x - middle) ** 2 for x in places)
    if count < _LEAST_TREND or across == 0:
        return Trend(0.0, significant=False)
    slope = math.fsum((x - middle) * (y - mean) for x, y in zip(places, logs, strict=True)) / across
    left = math.fsum((y - mean - slope * (x - middle)) ** 2 for x, y in zip(places, logs, strict=True))
    error = math.sqrt(left / (count - 2) / across)
    reach = abs(slope) * (max(places) - min(places))
    return Trend(slope, significant=reach > _ROUNDING and abs(slope) > t_quantile(_CERTAIN, count - 2) * error)


def outliers(logs: Sequence[float]) -> tuple[int, ...]:
    """Return the indices of what lies more than five robust sigmas from the median.

    A robust sigma is 1.4826 times the median absolute deviation, with its correction for few values. Fewer than eight
    have no outlier that could be told.
    """
    if len(logs) < _LEAST_OUTLIERS:
        return ()
    middle = median(logs)
    distances = [abs(value - middle) for value in logs]
    small = _SMALL.get(len(logs), len(logs) / (len(logs) - 0.8))
    limit = max(_FAR * _NORMAL * small * median(distances), _ROUNDING)
    return tuple(index for index, distance in enumerate(distances) if distance > limit)
