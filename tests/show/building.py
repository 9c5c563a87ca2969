"""Records for the views: counts of real points by the closed form, and measured figures that are set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.point import Point, Regime
from spanbench.presets import resolve
from spanbench.record import Measure, Record, Source, counted_measures, pair_ratio
from spanbench.tally import Convention

BOTH: tuple[Regime, ...] = ("score", "prefill")


def point(preset: str = "small", allocation: str = "lean", tokens: int = 2048, span: int = 32, **overrides: Any) -> Point:
    shape = resolve(preset, allocation, overrides, span)
    return Point(shape, tokens, span, preset=preset, allocation=allocation, prompt="ab" * 32)


def record(at: Point, *, regimes: Sequence[Regime] = BOTH, convention: Convention = "dense", timed: bool = False) -> Record:
    measures: list[Measure] = []
    for regime in regimes:
        counts = closed_form(at, regime, Distinct(40, 40, {"score": 40, "prefill": 0}))
        measures += counted_measures(counts, None, regime, convention, by="closed form")
        measures += _timed(regime) if timed else []
    return Record(
        point=at.to_json(),
        convention=convention,
        environment={"prompt": "the documents' own"},
        warnings=["The prompt was repeated 17 times."],
        verified=["closed form = ledger", "softmax witness"],
        measures=measures,
    )


def _timed(regime: Regime) -> list[Measure]:
    token = figure("token", regime, "seconds", 2.312, "measured", low=2.301, high=2.33)
    latent = figure("latent", regime, "seconds", 0.4412, "measured", low=0.4402, high=0.4471)
    ratio = pair_ratio(token, latent).model_copy(update={"low": 5.12, "high": 5.31})
    joules = [figure("token", regime, "joules", 61.2, "estimated"), figure("latent", regime, "joules", 11.9, "estimated")]
    return [token, latent, ratio, *joules, pair_ratio(*joules)]


def figure(arm: str, regime: Regime, quantity: str, value: float | None, source: Source, **others: Any) -> Measure:
    unit, by = {"seconds": ("s", "perf_counter"), "joules": ("J", "codecarbon")}[quantity]
    row = {"arm": arm, "regime": regime, "stage": "total", "quantity": quantity, "value": value, "unit": unit, "source": source, "by": by}
    return Measure.model_validate(row | others)
