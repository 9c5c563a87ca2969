"""Recorded counts held against the ledger: the point run once more on the meta device, element-wise work included."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from spanbench.count.recorded import Derived, audit_counts, derived
from spanbench.point import Point
from spanbench.prompt import Prompt
from spanbench.record import Record, counted_measures
from spanbench.record.findings import Audit, place_of
from spanbench.run.counted import count_point

__all__ = ["audit_ledger"]

_AS_COUNTED = ("spanbench", "torch")
"""What element-wise work depends on beside the sizes: how it is written, and into what torch takes it apart."""


def audit_ledger(record: Record, point: Point, prompt: Prompt | None, audit: Audit) -> None:
    """Run the ledger over a record's point in all its regimes, and hold every count against it.

    Without the prompt the ledger is given ids that are all 0: no count but compulsory bytes depends on them, and those are
    left. Element-wise work is held where the record was made with this spanbench and this torch, and left elsewhere.

    Raises:
        CountMismatch: ledger and closed form disagree here and now, so nothing can be held against either.
        UncountedOperation: this torch runs something that no rule counts.
    """
    ids = prompt.ids if prompt else [[0] * point.tokens] * point.batch
    said = prompt.following(point.said) if prompt else [[0] * point.said] * point.batch
    counts = count_point(point, ids, said, progress=_silent)
    rows = {
        place_of(row): row
        for regime in point.regimes
        for row in counted_measures(
            counts.tallies[regime], counts.flops_other[regime], regime, record.convention, steps=point.steps(regime)
        )
    }
    audit_counts(record, Derived(rows, derived(record, point, prompt).open), "ledger", audit, alone=_why_left(record))


def _why_left(record: Record) -> str | None:
    """Return why the record's element-wise work is not that of this version, or None where it must be."""
    packages = record.environment.get("packages")
    recorded = {name: packages.get(name) if isinstance(packages, dict) else None for name in _AS_COUNTED}
    others = [f"{name} {was}" for name, was in recorded.items() if _release(str(was)) != _release(_version(name))]
    return f"element-wise work was counted by {' and '.join(others)}" if others else None


def _release(version_text: str) -> str:
    """Return a version without its build: 2.13.0 of 2.13.0+cpu."""
    return version_text.partition("+")[0]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _silent(what: str, done: int, of: int) -> None:
    """Tell nobody."""
