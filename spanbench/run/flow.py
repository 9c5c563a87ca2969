"""The flow as code: count a point, check every count, then time what was counted, and write it all down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spanbench.measure.caution import Caution
from spanbench.measure.machine import environment, load
from spanbench.point import Point
from spanbench.prompt import Prompt
from spanbench.record import Measure, Record, counted_measures
from spanbench.run.counted import Counts, count_point
from spanbench.run.fit import check_fit
from spanbench.run.modelled import modelled_measures
from spanbench.run.peak import peak_measures
from spanbench.run.steps import bytes_per_token
from spanbench.run.timed import Timed, time_point
from spanbench.run.timing import Timing, board_of, meter_of
from spanbench.tally import Convention

__all__ = ["Progress", "Timing", "compare", "count", "meter_of"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how much of it is done of how much."""


def silent(what: str, done: int, of: int) -> None:
    """Tell nobody."""


def count(point: Point, prompt: Prompt, convention: Convention, *, verify: bool = False, progress: Progress = silent) -> Record:
    """Count a point on the meta device and return its record. Nothing is run on real numbers.

    Nothing is timed either, so deep stacks need not be executed whole: they are at 1 and at 2 layers, unless `verify` asks.

    Args:
        point: what to count.
        prompt: its ids; the bytes of embedding rows depend on how many of them differ.
        convention: how FLOPs of attention are expressed.
        verify: run the witnesses even if they agreed on this shape before, and all stacks at full depth.
        progress: told how far the work is.

    Raises:
        CountMismatch, UncountedOperation: the count cannot be trusted, so there is none.
    """
    counts = count_point(point, prompt.ids, prompt.following(point.said), verify=verify, whole=False, progress=progress)
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
        return _record(point, prompt, convention, counts, Timed(), [refusal])
    text = [[*row, *tail] for row, tail in zip(prompt.ids, said, strict=True)]
    peaks = peak_measures(point, text, progress) if timing.peak else []  # first: two pairs at once may not fit
    before = load()
    timed = time_point(point, text, counts, timing, progress)
    after = load()
    for row in peaks:
        timed.add(row.regime, [row])
    lost = dict.fromkeys(row.reason for row in peaks if row.value is None and row.arm != "pair" and row.reason)
    timed.warn([Caution("peak-unknown", f"peak memory: {reason}") for reason in lost])
    surroundings = {"schedule": timed.schedule, "limits": timed.limits or None, "load": {"before": before, "after": after}}
    return _record(point, prompt, convention, counts, timed, timed.warnings, surroundings)


def _record(
    point: Point,
    prompt: Prompt,
    convention: Convention,
    counts: Counts,
    timed: Timed,
    warnings: Sequence[str] = (),
    surroundings: Mapping[str, Any] | None = None,
) -> Record:
    measures: list[Measure] = []
    for regime in point.regimes:
        measures += counted_measures(counts.tallies[regime], counts.flops_other[regime], regime, convention, steps=point.steps(regime))
        measures += bytes_per_token(point, counts) if regime == "decode" else []
        measures += timed.measures.get(regime, [])
        measures += modelled_measures(counts, point, regime, board_of(point.device))
    return Record(
        point=point.to_json(),
        convention=convention,
        environment=environment(point.device) | {"prompt": prompt.source} | dict(surroundings or {}),
        warnings=[*_prompt_notes(prompt), *warnings],
        verified=[*counts.verified, *timed.verified],
        measures=measures,
    )


def _prompt_notes(prompt: Prompt) -> Sequence[str]:
    if prompt.repeats <= 1:
        return []
    return [f"The prompt has {prompt.text_tokens:,} tokens and was repeated {prompt.repeats:.1f} times over."]
