"""What a user feels, measured: the first token, tokens per second, every step of a span by itself (docs/speaking.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from spanbench.count.formula import step_forms, steps_of
from spanbench.judge.stats import Estimate, unknown
from spanbench.measure.clock import synchronizer
from spanbench.measure.energy import NullMeter
from spanbench.measure.pair.paired import measure_pair
from spanbench.measure.pair.result import PairMeasurement, Plan
from spanbench.measure.steps import StepArm, StepsMeasurement, StepTimes, measure_steps
from spanbench.model.pair import Model, Pair
from spanbench.model.speak import start_session
from spanbench.point import Point, Regime
from spanbench.record import Measure
from spanbench.run.counted import Counts
from spanbench.run.rows import measured, with_ratios
from spanbench.units import RATIO_PREFIX

__all__ = [
    "bytes_per_token",
    "dearest",
    "edges",
    "first_token",
    "first_token_measures",
    "half",
    "rates",
    "single_steps",
    "step_arm",
    "step_measures",
]

SINGLY = "perf_counter, each step singly"
TOO_SHORT = unknown("a single step is too short for any meter; decode has the joules of all steps")

Progress = Callable[[int, int], None]


def half(plan: Plan) -> Plan:
    """Return the plan of each of two measurements that share a regime's time."""
    return replace(plan, max_seconds=plan.max_seconds / 2)


# ---- the first token ------------------------------------------------------------------------------------------------


def first_token(pair: Pair, text_BxT: Tensor, point: Point, plan: Plan, progress: Progress) -> PairMeasurement:
    """Time both arms from the prompt's ids to its last logits, with a session that has room for all that will be said."""
    prompts = text_BxT[:, : point.tokens].tolist()
    arms = {arm: partial(start_session, model, prompts, point.generate - 1) for arm, model in pair.arms().items()}
    with torch.inference_mode():
        return measure_pair(arms, plan, NullMeter(), synchronize=synchronizer(point.device), progress=progress, null=False)


def first_token_measures(found: PairMeasurement) -> list[Measure]:
    """Return the seconds of both arms until the first token can be chosen, and their ratio."""
    rows = [measured(name, "request", "first_token_seconds", arm.seconds) for name, arm in found.arms.items()]
    return [*rows, measured("pair", "request", f"{RATIO_PREFIX}first_token_seconds", found.seconds_ratio)]


# ---- tokens per second ----------------------------------------------------------------------------------------------


def rates(found: PairMeasurement, point: Point, regime: Regime) -> list[Measure]:
    """Return B · steps ÷ seconds of each arm: a request's G tokens (its prefill gives the first), or decode's S."""
    tokens = point.batch * point.steps(regime)
    rows = [measured(name, regime, "tokens_per_second", _rate(tokens, arm.seconds)) for name, arm in found.arms.items()]
    return [*rows, measured("pair", regime, f"{RATIO_PREFIX}tokens_per_second", _inverse(found.seconds_ratio))]


def _inverse(ratio: Estimate) -> Estimate:
    """Return the ratio of rates: that of times, turned over, its interval with it."""
    if not ratio.value:
        return unknown(ratio.reason or "no time passed on this clock")
    if not (ratio.low and ratio.high):
        return Estimate(1 / ratio.value, None, None, ratio.reason)
    return Estimate(1 / ratio.value, 1 / ratio.high, 1 / ratio.low)


def _rate(tokens: int, seconds: Estimate) -> Estimate:
    """Turn seconds into a rate; the longest time is the lowest rate."""
    if not (seconds.value and seconds.low and seconds.high):
        return unknown(seconds.reason or "no time passed on this clock")
    return Estimate(tokens / seconds.value, tokens / seconds.high, tokens / seconds.low)


# ---- single steps ---------------------------------------------------------------------------------------------------


def single_steps(pair: Pair, text_BxT: Tensor, point: Point, plan: Plan, progress: Progress) -> StepsMeasurement:
    """Time each of the S steps that follow the prompt by itself, of both arms in turn."""
    with torch.inference_mode():
        arms = [step_arm(name, model, text_BxT, point) for name, model in pair.arms().items()]
        return measure_steps(arms, plan, synchronize=synchronizer(point.device), progress=progress)


def step_arm(name: str, model: Model, text_BxT: Tensor, point: Point) -> StepArm:
    """Read the prompt once; return its S steps as calls, and the way back."""
    session, _ = start_session(model, text_BxT[:, : point.tokens].tolist(), point.span)
    said_TxB = text_BxT[:, point.tokens : point.tokens + point.span].T.contiguous()
    return StepArm(name, session.mark(), [partial(session.step, ids_B) for ids_B in said_TxB])


def step_measures(found: StepsMeasurement, point: Point, counts: Counts) -> dict[Regime, list[Measure]]:
    """Return the rows of single steps: their distribution under decode, the dearest of them under decode_worst."""
    spread = [row for times in found.arms.values() for row in _distribution(times, point)] + _ratios(found, point)
    where = dearest(point, counts)
    worst = [measured(name, "decode_worst", "seconds", times.at(where[name]), by=SINGLY) for name, times in found.arms.items()]
    worst += [measured("pair", "decode_worst", f"{RATIO_PREFIX}seconds", found.ratio(where), by=SINGLY)]
    joules = ((*found.arms, "joules"), ("pair", f"{RATIO_PREFIX}joules"))
    worst += [measured(arm, "decode_worst", names[-1], TOO_SHORT, by=SINGLY) for names in joules for arm in names[:-1]]
    return {"decode": spread, "decode_worst": worst}


def _distribution(times: StepTimes, point: Point) -> list[Measure]:
    found = {
        "step_seconds_p50": times.percentile(50),
        "step_seconds_p90": times.percentile(90),
        "step_seconds_max": times.percentile(100),
        "edge_jitter": times.jitter(edges(point)),
    }
    return [measured(times.name, "decode", name, estimate, by=SINGLY) for name, estimate in found.items()]


def _ratios(found: StepsMeasurement, point: Point) -> list[Measure]:
    ratios = {
        "step_seconds_p50": found.percentile_ratio(50),
        "step_seconds_p90": found.percentile_ratio(90),
        "step_seconds_max": found.percentile_ratio(100),
        "edge_jitter": found.jitter_ratio(edges(point)),
    }
    return [measured("pair", "decode", f"{RATIO_PREFIX}{name}", estimate, by=SINGLY) for name, estimate in ratios.items()]


def edges(point: Point) -> list[int]:
    """Return the positions in the period at which a span closes: for the dense arm steps like any other."""
    return [position for position, n in enumerate(steps_of(point, "decode")) if (n + 1) % point.span == 0]


def dearest(point: Point, counts: Counts) -> Mapping[str, int]:
    """Return each arm's position of most counted FLOPs, of equal ones the last: the step that decode_worst counts."""
    forms = step_forms(point, "decode", counts.distinct)
    return {arm: max((step["total"].flops(), t) for t, step in enumerate(steps))[1] for arm, steps in forms.items()}


# ---- bytes ----------------------------------------------------------------------------------------------------------


def bytes_per_token(point: Point, counts: Counts) -> list[Measure]:
    """Return decode's compulsory bytes ÷ (S · B): what must be moved for one more token of one prompt. Whole where it divides."""
    tokens = point.span * point.batch
    rows = []
    for arm, stages in counts.tallies["decode"].items():
        whole, rest = divmod(stages["total"].bytes_compulsory, tokens)
        value = whole if not rest else stages["total"].bytes_compulsory / tokens
        rows.append(measured(arm, "decode", "bytes_per_token", Estimate(value, None, None), "counted", "ledger", point.span))
    return with_ratios(rows)
