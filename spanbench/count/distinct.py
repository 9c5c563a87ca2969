"""How many rows of each embedding table a batch really asks for: the only count that depends on the ids themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spanbench.point import Point, Regime

__all__ = ["Distinct", "distinct_rows"]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Distinct ids that each embedding table is asked for in a whole batch.

    `token` is the dense arm's table, `encoder` the latent arm's for complete spans, `decoder` its other one, by regime:
    every token row of every window in score (carried ones too), those of window K alone in prefill.
    """

    token: int
    encoder: int
    decoder: Mapping[Regime, int]


def distinct_rows(ids: Sequence[Sequence[int]], point: Point) -> Distinct:
    """Count the distinct ids of a batch (B sequences of N ids), a table at a time.

    Raises:
        ValueError: the batch is not B × N, so the counts would be those of another point.
    """
    if len(ids) != point.batch or any(len(prompt) != point.tokens for prompt in ids):
        raise ValueError(f"ids must be {point.batch} × {point.tokens}, got {len(ids)} prompts of {sorted({len(p) for p in ids})} ids")
    mixed = point.windows.complete * point.span
    return Distinct(
        token=_count(ids),
        encoder=_count(prompt[:mixed] for prompt in ids),
        decoder={
            "score": _count(_read_in_score(prompt, point) for prompt in ids),
            "prefill": _count(_read_in_prefill(prompt, point) for prompt in ids),
        },
    )


def _count(parts: Iterable[Sequence[int]]) -> int:
    """Return how many distinct ids the parts hold together."""
    return len(set().union(*parts))


def _read_in_score(prompt: Sequence[int], point: Point) -> Sequence[int]:
    """Return the ids some window reads: a complete span's last token is fed to no window unless the next one carries it."""
    if point.windows.carry:
        return prompt
    read = list(prompt)
    del read[point.span - 1 : point.windows.complete * point.span : point.span]
    return read


def _read_in_prefill(prompt: Sequence[int], point: Point) -> Sequence[int]:
    """Return the ids of window K: the carried tail of span K-1, where there is one, and the open tokens."""
    windows = point.windows
    carried = windows.carry if windows.complete else 0
    return prompt[windows.complete * windows.span - carried :]
