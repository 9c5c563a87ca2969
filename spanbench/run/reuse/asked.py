"""What is asked of `reuse`: a document, queries behind it, and the numbers that are summed over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from spanbench.judge.reuse.result import Rate
from spanbench.point import Point
from spanbench.prompt import Prompt
from spanbench.tally import Convention

__all__ = ["Asked", "drawn"]

DRAWN = 16
"""Queries that a drawn text has room for behind the document; later ones repeat it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One document of N tokens and queries of `query_tokens` each behind it, cut from the text that follows the document.

    Attributes:
        queries: numbers of queries that costs are summed over.
        documents: numbers of documents that are composed.
        rate: FLOP/s given for crossover bandwidths; None: measured where it is run.
    """

    point: Point
    prompt: Prompt
    query_tokens: int
    queries: tuple[int, ...]
    documents: tuple[int, ...]
    convention: Convention = "dense"
    rate: Rate | None = None

    def query(self, number: int = 0) -> tuple[tuple[int, ...], ...]:
        """Return the ids of one query (B × q): the text's next q tokens, of the next query those behind them."""
        start = number * self.query_tokens
        return tuple(row[start:] for row in self.prompt.following(start + self.query_tokens))


def drawn(prompt: Prompt, vocab: int, seed: int, query_tokens: int) -> Prompt:
    """Return a prompt of as many ids, drawn by a seed: in the built-in text, repeated, most spans would be equal and stored once."""
    random = Random(seed)  # noqa: S311 - a text, not a secret
    text = tuple(random.randrange(vocab) for _ in range(prompt.tokens + DRAWN * query_tokens))
    source = f"drawn at random, seed {seed}"
    return replace(prompt, source=source, text=text, text_tokens=len(text)).cut(prompt.tokens, len(prompt.ids))
