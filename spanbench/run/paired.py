"""A measured pair as rows of a record: seconds, joules, watts and grams of both arms, their ratios, and the A/A null."""

from __future__ import annotations

from collections.abc import Iterator

from spanbench.judge.stats import Estimate, unknown
from spanbench.measure.carbon import Carbon
from spanbench.measure.pair.result import PairMeasurement
from spanbench.point import Regime
from spanbench.record import Measure, Source
from spanbench.run.rows import CLOCK, measured
from spanbench.units import RATIO_PREFIX

__all__ = ["paired_measures"]

NONE = "none"
"""The meter that reads nothing."""


def paired_measures(found: PairMeasurement, regime: Regime, steps: int = 1, carbon: Carbon | None = None, by: str = CLOCK) -> list[Measure]:
    """Return one regime's rows, totals over its `steps`; grams where they were asked for. `by` is what gave the seconds.

    Without a meter joules are there as unknown, and nothing that would follow from them.
    """
    grams = _grams(found, regime, steps, carbon) if carbon and found.meter != NONE else ()
    return [*_seconds(found, regime, steps, by), *_joules(found, regime, steps), *grams]


def _seconds(found: PairMeasurement, regime: Regime, steps: int, by: str) -> Iterator[Measure]:
    for name, arm in found.arms.items():
        yield measured(name, regime, "seconds", arm.seconds, by=by, steps=steps)
    yield measured("pair", regime, f"{RATIO_PREFIX}seconds", found.seconds_ratio, by=by, steps=steps)
    yield measured("pair", regime, "null_seconds", found.null_seconds, by=by)


def _joules(found: PairMeasurement, regime: Regime, steps: int) -> Iterator[Measure]:
    source, by = found.joules_source, found.joules_by
    for name, arm in found.arms.items():
        yield measured(name, regime, "joules", arm.joules, source, by, steps)
        if found.meter != NONE:
            yield measured(name, regime, "joules_dynamic", arm.joules_dynamic, source, by, steps)
            yield measured(name, regime, "watts", arm.watts, source, by)
    yield measured("pair", regime, f"{RATIO_PREFIX}joules", found.joules_ratio, source, by, steps)
    if found.meter == NONE:
        return
    yield measured("pair", regime, f"{RATIO_PREFIX}joules_dynamic", found.dynamic_ratio, source, by, steps)
    yield measured("pair", regime, "null_joules", found.null_joules, source, by)


def _grams(found: PairMeasurement, regime: Regime, steps: int, carbon: Carbon) -> Iterator[Measure]:
    """Turn joules into grams of CO2 equivalent: an intensity is a country's average, so the result is no better than an estimate."""
    source: Source = "modelled" if found.joules_source == "modelled" else "estimated"
    for name, arm in found.arms.items():
        yield measured(name, regime, "grams_co2e", _scaled(arm.joules, carbon), source, f"{found.joules_by}; {carbon.by}", steps)


def _scaled(joules: Estimate, carbon: Carbon) -> Estimate:
    if joules.value is None:
        return unknown(joules.reason or "there are no joules")
    return Estimate(carbon.grams(joules.value), carbon.grams(joules.low), carbon.grams(joules.high))
