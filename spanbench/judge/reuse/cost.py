"""What one strategy of reading a document again costs: once, and for each query."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from spanbench.judge.stats import Estimate, unknown

__all__ = ["NOT_RUN", "Arm", "Cost", "Place", "Strategy", "cumulative", "overlap"]

Arm = Literal["token", "latent"]
Place = Literal["nowhere", "memory", "disk"]

NOT_RUN = unknown("it was not run, only counted")


@dataclass(frozen=True, slots=True)
class Cost:
    """Counted exactly: FLOPs by the run's convention, compulsory bytes moved, and those of them that are weights (table rows apart).

    Measured where it was run: seconds, joules.
    """

    flops: int
    bytes_moved: int
    seconds: Estimate = NOT_RUN
    joules: Estimate = NOT_RUN
    weight_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to answer queries about a document of N tokens; each query is q tokens behind it and wants one token.

    Attributes:
        name: a short name for programs, `label` for readers.
        arm: whose model reads.
        place: where what is kept lies between queries.
        once: reading the document and keeping what is kept of it, before the first query.
        query: each query (warm). The first one is cold: it costs `once` too.
        stored_bytes: what is kept, by count.
        read_bytes: of that, what each query reads from disk, by count.
        disk_bytes: what the files on disk measure; None where nothing was written, with `disk_reason`.
    """

    name: str
    label: str
    arm: Arm
    place: Place
    once: Cost
    query: Cost
    stored_bytes: int
    read_bytes: int
    disk_bytes: int | None = None
    disk_reason: str | None = "nothing was written, only counted"
    notes: tuple[str, ...] = field(default=())

    @property
    def cold_flops(self) -> int:
        """FLOPs of the first query, the document's reading in it."""
        return self.once.flops + self.query.flops

    def flops(self, queries: int) -> int:
        """FLOPs of the document and so many queries."""
        return cumulative(self.once.flops, self.query.flops, queries)

    def seconds(self, queries: int) -> float | None:
        """Median seconds of the document and so many queries; None where they were not measured."""
        once, query = self.once.seconds.value, self.query.seconds.value
        return None if once is None or query is None else once + queries * query

    def seconds_range(self, queries: int) -> tuple[float, float] | None:
        """Least and most seconds of the document and so many queries, of the slots that were timed; None where unknown."""
        ends = [_ends(cost.seconds) for cost in (self.once, self.query)]
        if ends[0] is None or ends[1] is None:
            return None
        return ends[0][0] + queries * ends[1][0], ends[0][1] + queries * ends[1][1]

    @property
    def first_token_seconds(self) -> float | None:
        """Seconds to the first token of the first query; that of each later one is `query.seconds`."""
        return self.seconds(1)


def overlap(first: tuple[float, float] | tuple[Fraction, Fraction], second: tuple[float, float] | tuple[Fraction, Fraction]) -> bool:
    """Tell whether two ranges share more than an end: the slots do not tell which of the two is less."""
    return first[0] < second[1] and second[0] < first[1]


def _ends(found: Estimate) -> tuple[float, float] | None:
    if found.value is None:
        return None
    return (found.value if found.low is None else found.low), (found.value if found.high is None else found.high)


def cumulative(once: int, each: int, queries: int) -> int:
    """Return the cost of the document and so many queries."""
    return once + queries * each
