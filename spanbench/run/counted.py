"""The counted run: closed form, ledger and witnesses of both arms in every regime, all equal or no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from spanbench.count.cache import key, recall, remember
from spanbench.count.distinct import Distinct, distinct_rows
from spanbench.count.formula import closed_form
from spanbench.count.ledger import Counted, Operation, run_ledger
from spanbench.count.subject import Subject
from spanbench.count.verify import equal, witness
from spanbench.model.pair import build_pair
from spanbench.point import Point, Regime
from spanbench.run.subjects import meta_ids, subject_of
from spanbench.tally import Tally

__all__ = ["Counts", "count_point"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts that agree, by regime and arm (and stage); what was checked; what the timed model must show again."""

    distinct: Distinct
    tallies: dict[Regime, dict[str, Mapping[str, Tally]]] = field(default_factory=dict)
    flops_other: dict[Regime, dict[str, Mapping[str, int]]] = field(default_factory=dict)
    census: dict[Regime, dict[str, Counter[Operation]]] = field(default_factory=dict)
    verified: list[str] = field(default_factory=list)


def count_point(
    point: Point, ids: Sequence[Sequence[int]], *, verify: bool = False, progress: Callable[[str, int, int], None]
) -> Counts:
    """Count both arms on the meta device and hold every count against the closed form and the witnesses.

    Raises:
        CountMismatch: two ways of counting disagree.
        UncountedOperation: something ran that no rule counts.
    """
    counts = Counts(distinct_rows(ids, point), verified=["closed form = ledger"])
    pair, checked = build_pair(point, "meta"), list[str]()
    for done, regime in enumerate(point.regimes):
        progress("counting", done, len(point.regimes))
        closed = closed_form(point, regime, counts.distinct)
        counts.tallies[regime], counts.flops_other[regime], counts.census[regime] = {}, {}, {}
        for arm, model in pair.arms().items():
            subject, what = subject_of(model, regime, meta_ids(point), counts.distinct), f"{arm} {regime}"
            counted = run_ledger(subject)
            equal(closed[arm], counted, what)
            checked = _witnessed(point, subject, counted, what, verify=verify)
            counts.tallies[regime][arm] = counted.stages
            counts.flops_other[regime][arm] = counted.flops_other
            counts.census[regime][arm] = counted.census
    progress("counting", len(point.regimes), len(point.regimes))
    counts.verified.extend(checked)
    return counts


def _witnessed(point: Point, subject: Subject, counted: Counted, what: str, *, verify: bool) -> list[str]:
    """Run the witnesses once for each shape and version; return what they checked."""
    sizes = {name: value for name, value in point.to_json().items() if name in ("shape", "tokens", "span", "batch")}
    agreed = key({**sizes, "what": what})
    known = None if verify else recall(agreed)
    if known is None:
        known = witness(subject, counted, what)
        remember(agreed, known)
    return known
