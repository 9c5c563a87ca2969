"""The one-token steps of a regime, and which of them are alike (docs/architecture.md, "Speaking").

A step's cost is linear in the rows it attends to. So steps of one kind are counted together, whatever their number, from
how many they are and the sums of what each sees; one step alone is a phase of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spanbench.count.distinct import Distinct, StepRows
from spanbench.point import Point, Regime

__all__ = ["Phase", "phases", "rows_of", "steps_of"]


def steps_of(point: Point, regime: Regime) -> range:
    """Return, for each step, how many tokens n were read before it; a request's prefill is not one of them.

    Those of decode_worst are all that are to be compared: the steps of decode.
    """
    steps = {"decode": point.span, "decode_worst": point.span, "request": point.generate - 1}
    return range(point.tokens, point.tokens + steps.get(regime, 0))


@dataclass(frozen=True, slots=True)
class Phase:
    """One or more steps of one kind, by the tokens n that were read before each.

    The kinds: `closing` steps complete a span; the others, ordinary, are in window 0 (`first`) or all behind it.
    """

    point: Point
    steps: tuple[int, ...]
    closing: bool
    first: bool

    @property
    def count(self) -> int:
        """How many steps."""
        return len(self.steps)

    @property
    def read(self) -> int:
        """Tokens read before a step, summed over the steps."""
        return sum(self.steps)

    @property
    def latents(self) -> int:
        """K = ⌊n/S⌋, summed."""
        return sum(n // self.point.span for n in self.steps)

    @property
    def rows(self) -> int:
        """Rows that window K holds before a step, P + w·[K>0] + o, summed."""
        shape = self.point.shape
        start = shape.prefix + (0 if self.first else shape.carry)
        return self.count * start + sum(n % self.point.span for n in self.steps)


def phases(point: Point, steps: Iterable[int]) -> list[Phase]:
    """Return the phases of steps, none of them empty."""
    kinds: dict[tuple[bool, bool], list[int]] = {}
    for n in steps:
        closing = (n + 1) % point.span == 0
        kinds.setdefault((closing, not closing and n < point.span), []).append(n)
    return [Phase(point, tuple(alike), closing, first) for (closing, first), alike in kinds.items()]


def rows_of(phase: Phase, distinct: Distinct) -> StepRows:
    """Return the rows of each table that the steps read, a row again in each step.

    Raises:
        ValueError: fewer ids were said than there are steps.
    """
    start = phase.point.tokens
    if phase.steps[-1] - start >= len(distinct.steps):
        raise ValueError(f"step {phase.steps[-1] - start + 1} needs distinct rows, got those of {len(distinct.steps)} steps")
    rows = [distinct.steps[n - start] for n in phase.steps]
    return StepRows(sum(r.token for r in rows), sum(r.encoder for r in rows), sum(r.decoder for r in rows))
