"""The measured run: the pair that was counted, on real numbers, arm against arm."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import torch

from spanbench.measure.caution import Caution
from spanbench.measure.clock import synchronizer
from spanbench.measure.conditions import Watch
from spanbench.measure.energy import Meter, NullMeter
from spanbench.measure.host.allocator import keep_freed_memory
from spanbench.measure.limits.limits import Limits, better_limits, measure_limits
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.result import PairMeasurement
from spanbench.model.pair import build_pair
from spanbench.point import SPOKEN, Point, Regime
from spanbench.run.bench import Bench, Progress, Timed
from spanbench.run.census import check_census
from spanbench.run.compiled import compile_caution, compiled
from spanbench.run.counted import Counts
from spanbench.run.felt import time_what_is_felt
from spanbench.run.limited import limit_rows
from spanbench.run.modelled import costs_of
from spanbench.run.paired import paired_measures
from spanbench.run.rows import CLOCK
from spanbench.run.stages import SPOKEN_HAS_NO_STAGES, stage_measures, time_stages
from spanbench.run.steps import half, rates
from spanbench.run.subjects import ids_tensor
from spanbench.run.timing import Timing
from spanbench.run.work import Work, work_of

__all__ = ["Timed", "time_point"]

COMPILED = f"{CLOCK}, torch.compile"


def time_point(point: Point, text: Sequence[Sequence[int]], counts: Counts, timing: Timing, progress: Progress) -> Timed:
    """Build the pair on its device, show that it does what was counted, then time it in every regime.

    `text` has a row of ids a prompt: its own, and behind them what is fed one a step.

    Raises:
        CountMismatch: the model on the device does other matrix work than the one that was counted.
        UsageError: the pair cannot be compiled, where that was asked for.
    """
    keep_freed_memory()
    text_BxT = ids_tensor(text, point.device)
    bench = Bench(point, build_pair(point), text_BxT, counts, timing, progress, Timed(verified=["census of the timed model"]))
    for regime in point.regimes:
        check_census(bench.pair, regime, text_BxT, point, counts)
    bench.timed.warn(_seen_by_meter(timing.meter, point.device))
    before = _limits(bench)
    with Watch(point.device) as watch:
        _time_regimes(bench)
    bench.timed.warn(watch.cautions)
    if before is not None:
        _hold_against_limits(bench, before, _limits(bench) or before)
    if timing.stages:
        _time_stages(bench)
    return bench.timed


def _seen_by_meter(meter: Meter, device: str) -> list[Caution]:
    """Say so where a meter reads other hardware than the work runs on: its joules are then those of a bystander."""
    place = "gpu-board" if device.startswith("cuda") else "cpu-package"
    scope = meter.probe().scope
    if scope not in ("gpu-board", "cpu-package") or scope == place:
        return []
    reads, runs = ("GPU boards", "the CPU") if scope == "gpu-board" else ("CPU packages", "a GPU")
    return [Caution("meter-elsewhere", f"the meter {meter.name} reads {reads}, and the work runs on {runs}")]


def _time_regimes(bench: Bench) -> None:
    """Time every regime; the dearest step of decode is among its single steps, and has no slots of its own."""
    for regime in bench.point.regimes:
        if regime != "decode_worst":
            _time_regime(bench, regime)
    time_what_is_felt(bench)
    caution = compile_caution(bench.point.regimes) if bench.timing.compiled else None
    bench.timed.warn([caution] if caution else [])


def _time_regime(bench: Bench, regime: Regime) -> None:
    point, timed = bench.point, bench.timed
    if bench.timing.compiled and regime not in SPOKEN:
        with compiled(bench.pair, regime, bench.text_BxT[:, : point.tokens], point.device) as works:
            found = _measure(bench, regime, {arm: one.work for arm, one in works.items()})
        told = {arm: {"compile_seconds": one.seconds, "apart_from_eager": one.apart} for arm, one in works.items()}
        timed.schedule.setdefault("compiled", {})[regime] = told
        took = ", ".join(f"{arm} in {one.seconds:.1f} s" for arm, one in works.items())
        timed.warn([Caution("compiled", f"timed under torch.compile, compiled before ({took}); the counts are the eager model's")], regime)
    else:
        steps = point.generate - 1 if regime == "request" else point.span
        found = _measure(
            bench, regime, {arm: work_of(model, regime, bench.text_BxT, point.tokens, steps) for arm, model in bench.pair.arms().items()}
        )
    timed.schedule[regime] = found.schedule()
    timed.warn(found.cautions, regime)
    by = COMPILED if regime in timed.schedule.get("compiled", {}) else CLOCK
    timed.add(regime, paired_measures(found, regime, point.steps(regime), bench.timing.carbon, by))
    timed.add(regime, rates(found, point, regime) if regime in SPOKEN else [])


def _measure(bench: Bench, regime: Regime, works: dict[str, Work]) -> PairMeasurement:
    plan = bench.timing.plan
    share = half(plan) if regime in SPOKEN else plan  # the other half times what is felt of it
    costs, wait = costs_of(bench.counts, regime), synchronizer(bench.point.device)
    with torch.inference_mode():
        return measure_pair(works, share, bench.timing.meter, costs=costs, synchronize=wait, progress=bench.tell(f"timing {regime}"))


def _limits(bench: Bench) -> Limits | None:
    if not bench.timing.limits:
        return None
    bench.progress("measuring the machine's limits", 0, 1)
    return measure_limits(bench.point.device, bench.point.dtype)


def _hold_against_limits(bench: Bench, before: Limits, after: Limits) -> None:
    limits, cautions = better_limits(before, after)
    bench.timed.warn(cautions)
    bench.timed.limits.update(json.loads(json.dumps(asdict(limits))))  # a record holds lists, not tuples
    for regime, rows in list(bench.timed.measures.items()):
        totals = {arm: stages["total"] for arm, stages in bench.counts.tallies[regime].items()}
        found = limit_rows(rows, totals, regime, limits, bench.point.steps(regime))
        bench.timed.add(regime, found.measures)
        bench.timed.warn(found.cautions)
        bench.timed.notes.extend(found.told)


def _time_stages(bench: Bench) -> None:
    """Time the stages of every regime that has some, in as much time again as the pair had.

    An estimate of joules would restate the time here too, and its long windows would make a stage's slots take minutes.
    """
    meter = bench.timing.meter if bench.timing.meter.source == "measured" else NullMeter()
    for regime in bench.point.regimes:
        if regime in SPOKEN:
            bench.timed.warn([Caution("no-stages", SPOKEN_HAS_NO_STAGES)], regime)
            continue
        found = time_stages(
            bench.pair, bench.point, regime, bench.text_BxT, bench.timing.plan, meter,
            bench.tell(f"timing the stages of {regime}"), bench.counts.tallies[regime],
        )  # fmt: skip
        slots = [[slot.arm, slot.seconds, slot.joules] for slot in found.slots]
        bench.timed.schedule.setdefault("stages", {})[regime] = {"order": [list(names) for names in found.order], "slots": slots}
        bench.timed.add(regime, stage_measures(found, regime))
        bench.timed.warn(found.cautions, regime)
