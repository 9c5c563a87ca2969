"""The measured run: the pair that was counted, on real numbers, arm against arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from spanbench.count.ledger import Counted, run_ledger
from spanbench.count.verify import equal, same_census
from spanbench.measure.allocator import keep_freed_memory
from spanbench.measure.clock import synchronizer
from spanbench.measure.energy import Meter
from spanbench.measure.pair import measure_pair
from spanbench.measure.result import PairMeasurement, Plan
from spanbench.model.pair import Pair, build_pair
from spanbench.point import SPOKEN, Point, Regime
from spanbench.record import Measure
from spanbench.run.counted import Counts
from spanbench.run.spoken import spoken
from spanbench.run.steps import bytes_per_token, first_token, half, measured, rates, single_steps, step_measures
from spanbench.run.subjects import ids_tensor, subject_of
from spanbench.run.work import work_of

__all__ = ["Timed", "time_point"]


@dataclass(frozen=True, slots=True)
class Timed:
    """Measures by regime, the run order, and what a reader must know of them; empty where nothing was timed."""

    measures: dict[Regime, list[Measure]] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)


def time_point(
    point: Point,
    ids: Sequence[Sequence[int]],
    said: Sequence[Sequence[int]],
    counts: Counts,
    plan: Plan,
    meter: Meter,
    progress: Callable[[str, int, int], None],
) -> Timed:
    """Build the pair on its device, show that it does what was counted, then time it in every regime.

    Raises:
        CountMismatch: the model on the device does other matrix work than the one that was counted.
    """
    timed = Timed(verified=["census of the timed model"])
    keep_freed_memory()
    pair, text_BxT = build_pair(point), ids_tensor([[*row, *tail] for row, tail in zip(ids, said, strict=True)], point.device)
    cautions: dict[str, list[str]] = {}
    for regime in point.regimes:
        if regime in SPOKEN:
            _check_steps(pair, regime, text_BxT, point, counts)
        else:
            _check_census(pair, regime, text_BxT[:, : point.tokens], counts)
        if regime == "decode_worst":
            continue  # its time is among those of single steps
        share = half(plan) if regime in SPOKEN else plan  # the other half times what is felt of it
        found = _measure(pair, regime, text_BxT, point, share, meter, partial(progress, f"timing {regime}"))
        timed.measures[regime] = _measures(found, regime)
        timed.schedule[regime] = {"order": list(found.order), "repeats": {a.name: a.repeats for a in found.arms.values()}}
        for caution in found.cautions:
            cautions.setdefault(f"{caution.text} [{caution.code}]", []).append(regime)
        if regime in SPOKEN:
            timed.measures[regime] += rates(found, point, regime)
    timed.warnings.extend(f"{', '.join(regimes)}: {text}" for text, regimes in cautions.items())
    _time_what_is_felt(timed, pair, text_BxT, point, counts, half(plan), progress)
    return timed


def _time_what_is_felt(
    timed: Timed, pair: Pair, text_BxT: Tensor, point: Point, counts: Counts, plan: Plan, progress: Callable[[str, int, int], None]
) -> None:
    """Add the first token of a request, and the single steps of decode."""
    if "request" in point.regimes:
        timed.measures["request"] += first_token(pair, text_BxT, point, plan, partial(progress, "timing the first token"))
    if "decode" in point.regimes:
        timed.measures["decode"] += bytes_per_token(point, counts)
    if {"decode", "decode_worst"} & set(point.regimes):
        found = single_steps(pair, text_BxT, point, plan, partial(progress, "timing single steps"))
        timed.schedule["single steps"] = {"order": list(found.order)}
        for regime, rows in step_measures(found, point, counts).items():
            if regime in point.regimes:
                timed.measures.setdefault(regime, []).extend(rows)


def _check_census(pair: Pair, regime: Regime, ids_BxN: Tensor, counts: Counts) -> None:
    for arm, model in pair.arms().items():
        _hold(counts, regime, arm, run_ledger(subject_of(model, regime, ids_BxN, counts.distinct)))


def _check_steps(pair: Pair, regime: Regime, text_BxT: Tensor, point: Point, counts: Counts) -> None:
    for arm, model in pair.arms().items():
        _hold(counts, regime, arm, spoken(point, arm, model, regime, counts.distinct, text_BxT=text_BxT))


def _hold(counts: Counts, regime: Regime, arm: str, seen: Counted) -> None:
    """Hold what ran on the device against what was counted: masks and ids have contents only here."""
    same_census(counts.census[regime][arm], seen.census, f"{arm} {regime}")
    equal(counts.tallies[regime][arm], seen, f"{arm} {regime} on the device")


def _measure(
    pair: Pair, regime: Regime, text_BxT: Tensor, point: Point, plan: Plan, meter: Meter, progress: Callable[[int, int], None]
) -> PairMeasurement:
    steps = point.generate - 1 if regime == "request" else point.span
    arms = {arm: work_of(model, regime, text_BxT, point.tokens, steps) for arm, model in pair.arms().items()}
    with torch.inference_mode():
        return measure_pair(arms, plan, meter, synchronize=synchronizer(point.device), progress=progress)


def _measures(found: PairMeasurement, regime: Regime) -> list[Measure]:
    rows = []
    for name, arm in found.arms.items():
        rows.append(measured(name, regime, "seconds", arm.seconds))
        rows.append(measured(name, regime, "joules", arm.joules, found.joules_source, found.joules_by))
    rows.append(measured("pair", regime, "ratio:seconds", found.seconds_ratio))
    rows.append(measured("pair", regime, "ratio:joules", found.joules_ratio, found.joules_source, found.joules_by))
    return rows
