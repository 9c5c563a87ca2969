"""The counts of a record derived again from its point, by the closed form: no torch, tolerance 0.

One figure depends on more than the sizes: compulsory bytes, on how many rows of a table the prompt's ids ask for. They are
derived where the prompt is at hand, and said to be left where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

from spanbench.count.distinct import Distinct, StepRows, distinct_rows
from spanbench.count.formula import closed_form
from spanbench.point import Point
from spanbench.prompt import Prompt
from spanbench.record import Measure, Record, counted_measures
from spanbench.record.findings import Audit, Place, place_of
from spanbench.units import RATIO_PREFIX

__all__ = ["ALONE", "NO_FORMULA", "NO_PROMPT", "Derived", "audit_counts", "derived"]

NO_PROMPT = "they depend on the ids, and the record's prompt is not at hand (--prompt, --tokenizer)"
ALONE = "flops_other"
"""What only the ledger counts."""
NO_FORMULA = "element-wise work has no closed form (--deep runs the ledger)"


@dataclass(frozen=True, slots=True)
class Derived:
    """Measures as they should be, and the places of those that the missing prompt leaves open."""

    rows: Mapping[Place, Measure]
    open: frozenset[Place]


def derived(record: Record, point: Point, prompt: Prompt | None) -> Derived:
    """Return the counts of a point by the closed form, as the record would have them."""
    if prompt is not None:
        known = distinct_rows(prompt.ids, point, prompt.following(point.said) or None)
        return Derived(_forms(point, record, known), frozenset())
    none, one = (_forms(point, record, _rows_each(point, rows)) for rows in (0, 1))
    return Derived(none, frozenset(place for place, row in none.items() if row.value != one[place].value))


def _rows_each(point: Point, rows: int) -> Distinct:
    """Return as many rows of each table in each step: what changes with their number depends on the ids."""
    return Distinct(rows, rows, {"score": rows, "prefill": rows}, (StepRows(rows, rows, rows),) * point.said)


def _forms(point: Point, record: Record, distinct: Distinct) -> dict[Place, Measure]:
    measures = (
        row
        for regime in point.regimes
        for row in counted_measures(closed_form(point, regime, distinct), None, regime, record.convention, steps=point.steps(regime))
    )
    return {place_of(row): row for row in measures}


def audit_counts(record: Record, wanted: Derived, check: str, audit: Audit, *, alone: str | None = NO_FORMULA) -> None:
    """Hold the counted figures of both arms against those derived; each must be there, and no other.

    Ratios are held against the arms' figures elsewhere: here they must only be there. `alone` is why the figures that the
    ledger alone counts are left; None holds them too.
    """
    recorded = {place_of(row): row for row in record.measures if row.source == "counted"}
    stages = {(place.arm, place.regime, place.stage) for place in recorded}
    for place, row in wanted.rows.items():
        found = recorded.get(place)
        if found is None:
            # The bridge that cross-attention replaces: one counter has zeros for it, the other no row.
            absent = not row.value and (place.arm, place.regime, place.stage) not in stages
            audit.hold(check, place, absent, "missing", row.value)
        elif alone is not None and place.quantity.removeprefix(RATIO_PREFIX) == ALONE:
            audit.leave(check, alone)
        elif place in wanted.open:
            audit.leave(check, NO_PROMPT)
        elif place.arm != "pair":
            audit.same(check, place, found.value, row.value)
    for place in sorted(recorded.keys() - wanted.rows.keys(), key=astuple):
        if not place.quantity.endswith("bytes_per_token"):  # held against the bytes beside it
            audit.hold(check, place, not recorded[place].value, recorded[place].value, "no such count")
