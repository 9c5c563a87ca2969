"""What is felt of speaking, timed: the first token of a request, and the single steps of decode."""

from __future__ import annotations

from spanbench.judge.precision import half_width, reaches
from spanbench.measure.caution import Caution
from spanbench.measure.steps import StepsMeasurement
from spanbench.run.bench import Bench
from spanbench.run.steps import dearest, first_token, first_token_measures, half, single_steps, step_measures

__all__ = ["time_what_is_felt"]


def time_what_is_felt(bench: Bench) -> None:
    """Add the first token of a request, and the single steps of decode."""
    point, plan, timed = bench.point, half(bench.timing.plan), bench.timed
    if "request" in point.regimes:
        first = first_token(bench.pair, bench.text_BxT, point, plan, bench.tell("timing the first token"))
        timed.schedule["first token"] = first.schedule()
        timed.warn(first.cautions, "first token")
        timed.add("request", first_token_measures(first))
    if {"decode", "decode_worst"} & set(point.regimes):
        found = single_steps(bench.pair, bench.text_BxT, point, plan, bench.tell("timing single steps"))
        timed.schedule["single steps"] = {
            "order": list(found.order),
            "passes": {name: [list(one) for one in times.passes] for name, times in found.arms.items()},
        }
        if "decode_worst" in point.regimes:
            _judge_dearest(bench, found)
        for regime, rows in step_measures(found, point, bench.counts).items():
            if regime in point.regimes:
                timed.add(regime, rows)


def _judge_dearest(bench: Bench, found: StepsMeasurement) -> None:
    """Say whether the dearest step's ratio is known as finely as was asked."""
    precision, timed = bench.timing.plan.precision, bench.timed
    ratio = found.ratio(dearest(bench.point, bench.counts))
    timed.schedule["decode_worst"] = {"conclusive": reaches(ratio, precision), "precision": precision}
    if not reaches(ratio, precision):
        width = half_width(ratio)
        known = f"is known to ±{width:.1%}" if width is not None else f"has no interval ({ratio.reason})"
        timed.warn([Caution("inconclusive", f"the ratio of seconds {known}, where ±{100 * precision:.3g}% was asked for")], "decode_worst")
