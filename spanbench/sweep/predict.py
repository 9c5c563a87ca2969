"""What a point will take, before it is run: FLOPs and memory by the closed form, time at an assumed rate. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from spanbench.count.distinct import Distinct, StepRows
from spanbench.count.formula import closed_form
from spanbench.count.needed import needed_bytes
from spanbench.point import Point
from spanbench.sweep.job import Job
from spanbench.sweep.plan import Planned

__all__ = ["RATES", "Prediction", "predict"]

RATES = {"cpu": 5e10, "cuda": 2e13}
"""FLOP/s assumed of a device: a few cores, and a GPU in float32. Within a factor of some; the table says which was taken."""

COUNTING_S = 0.5
"""Of one counted point in a worker."""

STARTING_S = 12.0
"""Of one measured point in a fresh process: imports, counts, peak memory and the machine's limits."""

LEAST_RUNS = 5
"""Of each arm, however long it takes: a warm-up and four slots, half of the least schedule (ABBA BAAB) each."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """`flops` of both arms in all regimes, once; `needed` bytes of memory; `seconds` for the whole point, modelled."""

    flops: int
    needed: int
    seconds: float


def predict(planned: Planned) -> Prediction:
    """Return what a point will take. A batch of 'max' is taken for 1: what fits is known only where it runs."""
    flops, needed = _sizes(replace(planned.point, seed=0, prompt=""))  # neither depends on those
    return Prediction(flops, needed, _seconds(planned.job, flops, planned.point.device))


@cache
def _sizes(point: Point) -> tuple[int, int]:
    """Return the FLOPs of both arms, one forward or one run of steps in each regime, and the bytes that they need."""
    nothing = Distinct(0, 0, {"score": 0, "prefill": 0}, (StepRows(0, 0, 0),) * point.said)  # bytes alone depend on the ids
    forms = [closed_form(point, regime, nothing) for regime in point.regimes]
    return sum(stages["total"].flops() for form in forms for stages in form.values()), needed_bytes(point)


def _seconds(job: Job, flops: int, device: str) -> float:
    if job.timing is None:
        return COUNTING_S
    once = flops / RATES[device.partition(":")[0]]
    return STARTING_S + max(float(job.timing["max_seconds"]), LEAST_RUNS * once)
