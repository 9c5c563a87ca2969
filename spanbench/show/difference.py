"""What differs between two records: their points, their surroundings, their counts to the last digit, and their noisy figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from spanbench import units
from spanbench.errors import NothingMeasured, SpanbenchError
from spanbench.record import Measure, Record

__all__ = ["Changed", "Counted", "Difference", "Differences", "Noisy", "NotComparable", "compare_records", "paired"]

_PASSING = frozenset(
    {"time_utc", "load", "load_average", "schedule", "limits", "available_bytes", "now_hertz", "celsius", "uptime_s", "key", "attempts"}
)
"""Parts of the surroundings that differ between any two runs, and say nothing of what was run."""

Judged = Literal["~", "≠", "?"]
"""`~` the intervals overlap: no difference is shown; `≠` they do not; `?` at least one has no interval."""


class NotComparable(SpanbenchError):
    """Two records do not count the same thing."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Changed:
    """A field of point or surroundings; None where a record does not have it."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Counted:
    """A count: exactly a and b. `known` in both, or None in the one that does not know it or has no such row."""

    arm: str
    regime: str
    stage: str
    quantity: str
    a: int | float | None
    b: int | float | None

    @property
    def differs(self) -> bool:
        """Whether both know it, and it is not the same."""
        return self.a is not None and self.b is not None and self.a != self.b


@dataclass(frozen=True, slots=True)
class Noisy:
    """A noisy figure with what bounds it: an arm's range of slots, a ratio's 95% interval."""

    arm: str
    regime: str
    stage: str
    quantity: str
    a: Measure
    b: Measure

    @property
    def judged(self) -> Judged:
        """Whether the intervals are apart."""
        a, b = self.a, self.b
        if a.low is None or a.high is None or b.low is None or b.high is None:
            return "~" if a.value == b.value else "?"
        return "~" if a.low <= b.high and b.low <= a.high else "≠"


@dataclass(frozen=True, slots=True)
class Difference:
    """Record a against record b. `equal` counts are the same in both; `counts` are all others."""

    a: Record
    b: Record
    point: tuple[Changed, ...]
    environment: tuple[Changed, ...]
    equal: int
    counts: tuple[Counted, ...]
    noisy: tuple[Noisy, ...]

    @property
    def same_counts(self) -> bool:
        """Whether no count that both know differs."""
        return not any(count.differs for count in self.counts)


@dataclass(frozen=True, slots=True)
class Differences:
    """All pairs of two files, and the ids that only one of them has."""

    pairs: tuple[Difference, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def paired(left: Sequence[Record], right: Sequence[Record]) -> Differences:
    """Set records of equal id against one another, in their order; one record against one, whatever their ids.

    Raises:
        NotComparable: two conventions.
        NothingMeasured: no record is in both.
    """
    if len(left) == len(right) == 1:
        return Differences((compare_records(left[0], right[0]),), (), ())
    ours, theirs = _by_id(left), _by_id(right)
    pairs = tuple(compare_records(a, b) for key in ours if key in theirs for a, b in zip(ours[key], theirs[key], strict=False))
    if not pairs:
        raise NothingMeasured("nothing to compare: no record's id is in both; name one record of each as FILE:ID or FILE:LINE")
    return Differences(pairs, _left_over(ours, theirs), _left_over(theirs, ours))


def _by_id(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.id, []).append(record)
    return found


def _left_over(ours: Mapping[str, Sequence[Record]], theirs: Mapping[str, Sequence[Record]]) -> tuple[str, ...]:
    return tuple(key for key, records in ours.items() for _ in records[len(theirs.get(key, ())) :])


def compare_records(a: Record, b: Record) -> Difference:
    """Return what differs between two records.

    Raises:
        NotComparable: their FLOPs have two conventions.
    """
    if a.convention != b.convention:
        raise NotComparable(
            f"records {a.id} and {b.id} have the conventions {a.convention} and {b.convention}: their FLOPs are not comparable"
        )
    counts = list(_counts(a, b))
    return Difference(
        a, b, tuple(_changes(a.point, b.point)), tuple(_changes(a.environment, b.environment)),
        sum(count.a == count.b for count in counts), tuple(count for count in counts if count.a != count.b), tuple(_noisy(a, b)),
    )  # fmt: skip


def _changes(a: Any, b: Any, name: str = "") -> Iterator[Changed]:
    """Yield the leaves that differ, named by their path: 'cpu.model'."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            if key not in _PASSING:
                yield from _changes(a.get(key), b.get(key), f"{name}.{key}" if name else key)
    elif a != b:
        yield Changed(name, a, b)


def _rows(record: Record, *, counted: bool) -> dict[tuple[str, str, str, str], Measure]:
    """Return a record's rows by place. A ratio of counts restates them, and is left out."""
    return {
        (m.arm, m.regime, m.stage, m.quantity): m
        for m in record.measures
        if (m.source == "counted") is counted and not (counted and m.quantity.startswith(units.RATIO_PREFIX))
    }


def _counts(a: Record, b: Record) -> Iterator[Counted]:
    ours, theirs = _rows(a, counted=True), _rows(b, counted=True)
    for place in dict.fromkeys((*ours, *theirs)):
        left, right = ours.get(place), theirs.get(place)
        yield Counted(*place, left.value if left else None, right.value if right else None)


def _noisy(a: Record, b: Record) -> Iterator[Noisy]:
    """Yield the noisy figures that both have."""
    ours, theirs = _rows(a, counted=False), _rows(b, counted=False)
    for place, left in ours.items():
        right = theirs.get(place)
        if right is not None and left.value is not None and right.value is not None:
            yield Noisy(*place, left, right)
