"""What is asked of `reuse`: a document, queries behind it, and the numbers that are summed over."""

from __future__ import annotations

from dataclasses import dataclass

from spanbench.judge.reuse.result import Rate
from spanbench.point import Point
from spanbench.prompt import Prompt
from spanbench.tally import Convention

__all__ = ["Asked"]


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
