"""Where the ticks of a logarithmic axis stand, and what stands beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import ceil, floor, log10

from spanbench.units import short

__all__ = ["limits", "log_ticks", "tick_text", "token_ticks"]

_ROOM = 0.06
"""Of the range in logarithms, left free at both ends."""
_LEAST_RANGE = 0.6
"""Decades that an axis spans at least, so that equal figures lie on a level line and not on noise."""
_LEAST_TICKS, _MOST_TICKS = 3, 6
_STEPS: Sequence[Sequence[float]] = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7))


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis that holds all values, with some room beyond them."""
    low, high = log10(min(values)), log10(max(values))
    spare = max(_LEAST_RANGE - (high - low), 0) / 2
    room = _ROOM * max(high - low, _LEAST_RANGE)
    return float(10 ** (low - spare - room)), float(10 ** (high + spare + room))


def log_ticks(low: float, high: float) -> list[float]:
    """Return two to six ticks between two ends: decades, or every second of them, or parts of one where there are few."""
    found = ([tick for tick in _multiples(low, high, steps) if low <= tick <= high] for steps in _STEPS)
    ticks = next((ticks for ticks in found if len(ticks) >= _LEAST_TICKS), [low, high])
    return ticks[:: ceil(len(ticks) / _MOST_TICKS)]


def _multiples(low: float, high: float, steps: Sequence[float]) -> Iterator[float]:
    for power in range(floor(log10(low)), ceil(log10(high)) + 1):
        # 10.0 ** -3 is 0.001 to the last digit, 1e3 * 10 ** -6 need not be.
        yield from (step * 10.0**power for step in steps)


def token_ticks(values: Sequence[float], apart: float) -> list[float]:
    """Return the values themselves, as many as stay `apart` (a share of the axis): both ends, and between them the longer first."""
    ordered = sorted(set(values))
    if len(ordered) < 2:
        return ordered
    low, width = log10(ordered[0]), log10(ordered[-1]) - log10(ordered[0])
    kept = [ordered[-1]]
    for value in reversed(ordered[:-1]):
        near_first = value != ordered[0] and (log10(value) - low) / width < apart
        if not near_first and (log10(kept[-1]) - log10(value)) / width >= apart:
            kept.append(value)
    return kept[::-1]


def tick_text(quantity: str, value: float) -> str:
    """Return what stands at a tick, with no digit that says nothing: '10 G', '1 ms', '0.1×', '1,024'.

    >>> tick_text("flops", 1e10), tick_text("seconds", 0.001), tick_text("ratio:flops", 0.1), tick_text("tokens", 1024)
    ('10 G', '1 ms', '0.1×', '1,024')
    """
    if quantity == "tokens":
        return f"{value:,.0f}"
    if quantity == "number":
        return f"{value:,.10g}"
    if not quantity.startswith("ratio:") and value == int(value):
        value = int(value)  # a count below 10,000 is printed as it is
    return re.sub(r"(\.\d*?)0+(?=\D|$)", lambda found: found[1].rstrip("."), short(quantity, value))
