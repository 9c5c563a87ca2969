"""All counts of `reuse` about one point, put together; what was measured is put in afterwards (spanbench.run.reuse)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from spanbench.count.reuse.edits import edits
from spanbench.count.reuse.memories import choices, compositions, memories
from spanbench.count.reuse.strategies import (
    ANEW,
    BASELINES,
    DENSE,
    DENSE_DISK,
    DENSE_KV,
    DENSE_TOKENS,
    LATENT_STATE,
    LATENT_U,
    LATENTS,
    strategies,
)
from spanbench.judge.reuse import BreakEven, Crossover, Reuse, break_even, break_even_seconds, crossover
from spanbench.judge.reuse.result import Rate
from spanbench.point import Point
from spanbench.tally import Convention

__all__ = ["counted_reuse", "judged"]

LOADED = ((DENSE_DISK, DENSE_TOKENS), (LATENT_U, ANEW), (LATENT_STATE, LATENT_U), (LATENT_STATE, ANEW))
"""What is loaded, and what would be computed instead."""

HELD = (*((name, baseline) for name in LATENTS for baseline in BASELINES), (LATENT_U, ANEW), (LATENT_STATE, LATENT_U), (DENSE_KV, DENSE))
"""What is asked about, and the baseline it is held against."""


def counted_reuse(
    point: Point,
    ids: Sequence[Sequence[int]],
    asked: Sequence[Sequence[int]],
    queries: Sequence[int],
    documents: Sequence[int],
    convention: Convention = "dense",
    rate: Rate | None = None,
) -> Reuse:
    """Count every strategy, edit, composition and choice of one document; nothing is executed.

    Args:
        point: the document's, N tokens.
        ids: its tokens (B × N).
        asked: a query's tokens (B × q).
        queries: numbers of queries that are summed over.
        documents: numbers of documents that are composed.
        convention: how FLOPs of attention are expressed.
        rate: FLOP/s that crossover bandwidths are for; None leaves them out.
    """
    read = len(asked[0])
    found = Reuse(
        point=point.to_json(),
        convention=convention,
        query_tokens=read,
        queries=tuple(queries),
        strategies=strategies(point, ids, asked, convention),
        break_even=(),
        crossovers=(),
        edits=edits(point, convention),
        compositions=compositions(point, read, documents, convention),
        choices=choices(point, read, convention),
        memory=memories(point),
        rate=rate,
    )
    return judged(found)


def judged(found: Reuse, **changes: Any) -> Reuse:
    """Return the result with some fields changed, and with break-even and crossover derived from what it now holds."""
    changed = replace(found, **changes)
    return replace(changed, break_even=tuple(_breaks(changed)), crossovers=tuple(_crossovers(changed)))


def _breaks(found: Reuse) -> list[BreakEven]:
    pairs = [(found.strategy(name), found.strategy(baseline)) for name, baseline in HELD]
    exact = [break_even(*pair) for pair in pairs]
    return [*exact, *(break_even_seconds(*pair) for pair in pairs)] if found.timed else exact


def _crossovers(found: Reuse) -> list[Crossover]:
    rate = found.rate.flops_per_second if found.rate else None
    return [_crossover(found, stored, computed, rate) for stored, computed in LOADED]


def _crossover(found: Reuse, stored: str, computed: str, rate: float | None) -> Crossover:
    loads, computes = found.strategy(stored), found.strategy(computed)
    more = max(0, loads.read_bytes - computes.read_bytes)
    return crossover(stored, computed, more, computes.query.flops - loads.query.flops, rate)
