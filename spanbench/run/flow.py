"""The flow as code: count a point, check every count, then time what was counted, and write it all down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanbench.measure.energy import CodeCarbonMeter, Meter
from spanbench.measure.machine import environment
from spanbench.measure.result import Plan
from spanbench.point import Point
from spanbench.prompt import Prompt
from spanbench.record import Measure, Record, counted_measures
from spanbench.run.counted import Counts, count_point
from spanbench.run.fit import check_fit
from spanbench.run.timed import Timed, time_point
from spanbench.tally import Convention

__all__ = ["Progress", "Timing", "compare", "count"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how much of it is done of how much."""


def silent(what: str, done: int, of: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How to measure, and what to do with a pair that does not fit in memory.

    `must_run` refuses it (NotEnoughMemory); otherwise it is counted and not run, and the record says so.
    """

    plan: Plan = field(default_factory=Plan)
    meter: Meter = field(default_factory=CodeCarbonMeter)
    must_run: bool = False


def count(point: Point, prompt: Prompt, convention: Convention, *, verify: bool = False, progress: Progress = silent) -> Record:
    """Count a point on the meta device and return its record. Nothing is run on real numbers.

    Args:
        point: what to count.
        prompt: its ids; the bytes of embedding rows depend on how many of them differ.
        convention: how FLOPs of attention are expressed.
        verify: run the witnesses even if they agreed on this shape before.
        progress: told how far the work is.

    Raises:
        CountMismatch, UncountedOperation: the count cannot be trusted, so there is none.
    """
    counts = count_point(point, prompt.ids, prompt.following(point.said), verify=verify, progress=progress)
    return _record(point, prompt, convention, counts, Timed())


def compare(
    point: Point, prompt: Prompt, convention: Convention, timing: Timing, *, verify: bool = False, progress: Progress = silent
) -> Record:
    """Count a point, then time both arms if they fit in memory, and return the record of both.

    Raises:
        CountMismatch, UncountedOperation: the count cannot be trusted, so nothing was timed.
        NotEnoughMemory: the pair does not fit, and `timing.must_run` is set.
    """
    refusal, said = check_fit(point, must_run=timing.must_run), prompt.following(point.said)
    counts = count_point(point, prompt.ids, said, verify=verify, progress=progress)
    if refusal:
        return _record(point, prompt, convention, counts, Timed(warnings=[refusal]))
    timed = time_point(point, prompt.ids, said, counts, timing.plan, timing.meter, progress)
    return _record(point, prompt, convention, counts, timed)


def _record(point: Point, prompt: Prompt, convention: Convention, counts: Counts, timed: Timed) -> Record:
    measures: list[Measure] = []
    for regime in point.regimes:
        measures += counted_measures(counts.tallies[regime], counts.flops_other[regime], regime, convention, steps=point.steps(regime))
        measures += timed.measures.get(regime, [])
    surroundings: dict[str, Any] = environment(point.device) | {"prompt": prompt.source, "schedule": timed.schedule}
    return Record(
        point=point.to_json(),
        convention=convention,
        environment=surroundings,
        warnings=[*_prompt_notes(prompt), *timed.warnings],
        verified=[*counts.verified, *timed.verified],
        measures=measures,
    )


def _prompt_notes(prompt: Prompt) -> Sequence[str]:
    if prompt.repeats <= 1:
        return []
    return [f"The prompt has {prompt.text_tokens:,} tokens and was repeated {prompt.repeats:.1f} times over."]
