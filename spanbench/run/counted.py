"""The counted run: closed form, ledger and witnesses of both arms in every regime, all equal or no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from spanbench.count.distinct import Distinct, distinct_rows
from spanbench.count.formula import closed_form
from spanbench.count.ledger import Operation, run_ledger
from spanbench.count.verify import equal
from spanbench.model.pair import Pair, build_pair
from spanbench.point import SPOKEN, Point, Regime
from spanbench.run.spoken import spoken
from spanbench.run.subjects import meta_ids, subject_of
from spanbench.run.witnessed import DEEP, witnesses_agree
from spanbench.tally import Tally

__all__ = ["Counts", "count_point"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts that agree, by regime and arm (and stage); what was checked; what the timed model must show again."""

    distinct: Distinct
    tallies: dict[Regime, dict[str, Mapping[str, Tally]]] = field(default_factory=dict)
    flops_other: dict[Regime, dict[str, Mapping[str, int]]] = field(default_factory=dict)
    census: dict[Regime, dict[str, Counter[Operation]]] = field(default_factory=dict)
    verified: list[str] = field(default_factory=lambda: ["closed form = ledger"])


def count_point(
    point: Point,
    ids: Sequence[Sequence[int]],
    said: Sequence[Sequence[int]] = (),
    *,
    verify: bool = False,
    progress: Callable[[str, int, int], None],
) -> Counts:
    """Count both arms on the meta device and hold every count against the closed form and the witnesses.

    `said` are the ids fed after the prompt, one a step, where a regime takes steps (`Point.said` of them).

    Raises:
        CountMismatch: two ways of counting disagree.
        UncountedOperation: something ran that no rule counts.
    """
    counts, pair = Counts(distinct_rows(ids, point, said or None)), build_pair(point, "meta")
    checks: dict[str, None] = {}
    for done, regime in enumerate(point.regimes):
        progress("counting", done, len(point.regimes))
        _count(point, pair, regime, counts)
        for arm in pair.arms() if regime not in SPOKEN else ():  # a step is parts of what was witnessed
            checks |= dict.fromkeys(witnesses_agree(point, arm, regime, counts.distinct, verify=verify))
    progress("counting", len(point.regimes), len(point.regimes))
    counts.verified.extend(check for check in checks if f"{check}{DEEP}" not in checks)
    return counts


def _count(point: Point, pair: Pair, regime: Regime, counts: Counts) -> None:
    """Run the ledger over both arms in one regime, hold it against the closed form, and keep what it counted."""
    closed = closed_form(point, regime, counts.distinct)
    counts.tallies[regime], counts.flops_other[regime], counts.census[regime] = {}, {}, {}
    for arm, model in pair.arms().items():
        if regime in SPOKEN:
            counted = spoken(point, arm, model, regime, counts.distinct)
        else:
            counted = run_ledger(subject_of(model, regime, meta_ids(point), counts.distinct))
        equal(closed[arm], counted, f"{arm} {regime}")
        counts.tallies[regime][arm] = counted.stages
        counts.flops_other[regime][arm] = counted.flops_other
        counts.census[regime][arm] = counted.census
