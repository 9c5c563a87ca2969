"""How many rows of each embedding table a batch really asks for: the only count that depends on the ids themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from spanbench.point import Point, Regime

__all__ = ["Distinct", "StepRows", "distinct_rows"]


@dataclass(frozen=True, slots=True)
class StepRows:
    """Distinct ids that one step of a whole batch asks of each table; a table that the step does not touch has 0."""

    token: int
    encoder: int
    decoder: int


@dataclass(frozen=True, slots=True)
class Distinct:
    """Distinct ids that each embedding table is asked for in a whole batch.

    `token` is the dense arm's table, `encoder` the latent arm's for complete spans, `decoder` its other one, by regime:
    every token row of every window in score (carried ones too), those of window K alone in prefill. `steps` are those
    of the one-token steps after the prompt, as many as ids were said.
    """

    token: int
    encoder: int
    decoder: Mapping[Regime, int]
    steps: tuple[StepRows, ...] = ()


def distinct_rows(ids: Sequence[Sequence[int]], point: Point, said: Sequence[Sequence[int]] | None = None) -> Distinct:
    """Count the distinct ids of a batch (B sequences of N ids), a table at a time.

    `said` are the ids fed to the steps after it, B sequences of one length: S for decode, G - 1 for request; where both
    regimes are counted over the same text, the longer of the two serves both.

    Raises:
        ValueError: the batch is not B × N, or what was said not B × a number of steps, so the counts would be those of
            another point.
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
        steps=() if said is None else tuple(_steps(ids, point, said)),
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


def _steps(ids: Sequence[Sequence[int]], point: Point, said: Sequence[Sequence[int]]) -> Iterator[StepRows]:
    """Yield the rows of each step: one token a prompt, or where that closes a span, the span and the tokens carried on."""
    lengths = {len(tail) for tail in said}
    if len(said) != point.batch or len(lengths) != 1:
        raise ValueError(f"said must be {point.batch} × one number of steps, got {len(said)} prompts of {sorted(lengths)} ids")
    texts = [[*prompt, *tail] for prompt, tail in zip(ids, said, strict=True)]
    for end in range(point.tokens + 1, point.tokens + lengths.pop() + 1):
        fed = _count(text[end - 1 : end] for text in texts)
        if end % point.span:
            yield StepRows(fed, 0, fed)
            continue
        closed, carried = (_count(text[end - rows : end] for text in texts) for rows in (point.span, point.shape.carry))
        yield StepRows(fed, closed, carried)
