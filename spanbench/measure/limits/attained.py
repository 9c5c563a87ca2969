"""The best rate that some work attains, found within a budget of time: noise can only lower a rate, so the best try is the closest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spanbench.measure.clock import Clock

__all__ = ["Rate", "Trial", "best_rates"]

_LEAST_TRIES = 2
"""Timed, after one that is not: a first call allocates, and chooses its kernel."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Something to try: a call that does `work` units (FLOP, or bytes)."""

    name: str
    work: int
    call: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Rate:
    """The best of a trial's tries, in units per second; None where its time would not have fitted the budget."""

    name: str
    per_second: float | None


def best_rates(trials: Sequence[Trial], budget_s: float, wait: Callable[[], None], clock: Clock) -> tuple[Rate, ...]:
    """Try each trial again and again in its share of `budget_s` seconds, in the order given: the cheapest first.

    The first trial is always measured. A later one is left out where the best rate so far says that it would not be done
    before the budget is spent, so a machine that is slow at something costs time once and not once a trial.
    """
    end = clock.now() + budget_s
    rates: list[Rate] = []
    for done, trial in enumerate(trials):
        now = clock.now()
        fastest = max((rate.per_second for rate in rates if rate.per_second), default=None)
        if fastest and now + (_LEAST_TRIES + 1) * trial.work / fastest > end:
            rates.append(Rate(trial.name, None))
            continue
        share = now + (end - now) / (len(trials) - done)
        rates.append(Rate(trial.name, trial.work / _least_seconds(trial.call, share, end, wait, clock)))
    return tuple(rates)


def _least_seconds(call: Callable[[], object], share: float, end: float, wait: Callable[[], None], clock: Clock) -> float:
    """Return the shortest of the tries that fit before `share`: at least two, or one where even that comes after `end`."""
    call()
    wait()
    seconds: list[float] = []
    opened = clock.now()
    while not seconds or opened < share or (len(seconds) < _LEAST_TRIES and opened < end):
        call()
        wait()
        closed = clock.now()
        seconds.append(closed - opened)
        opened = closed
    return min(seconds)
