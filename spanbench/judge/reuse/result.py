"""All that `reuse` found about one point, as data: the tables, the JSON document and the plot are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanbench.judge.reuse.breakeven import BreakEven
from spanbench.judge.reuse.cost import Strategy
from spanbench.judge.reuse.crossover import Crossover

__all__ = ["SCHEMA", "Choice", "Composition", "Edit", "Energy", "Memory", "Rate", "Reuse"]

SCHEMA = "reuse/1"


@dataclass(frozen=True, slots=True)
class Edit:
    """What one edit of the document costs before the next query; nobody speaks, so no head row runs.

    Attributes:
        name: what is done; `position` the first token that it touches.
        tokens: N after the edit.
        encoded: spans that are encoded; `found` those whose latent is in the store already.
        mixed: mixer rows that are made anew.
        flops_u: where u alone is stored: the encoder. `flops_state`: the mixer rows too, and the bridge and the open window's
            rows, whose keys and values the kept session holds and which hang on the last row.
        flops_kv: the dense arm's layers over everything from the edit on.
        flops_anew: the dense arm's layers over the whole document.
    """

    name: str
    position: int
    tokens: int
    encoded: int
    found: int
    mixed: int
    flops_u: int
    flops_state: int
    flops_kv: int
    flops_anew: int


@dataclass(frozen=True, slots=True)
class Composition:
    """One query behind D documents, put together in an order that nobody asked for before, or that is kept already.

    Attributes:
        flops_u: their stored latents mixed together. `flops_state`: behind mixer keys and values of that very order.
        flops_first: the dense arm's best where the order is new: keys and values of the first document are kept, and those of
            the others are read behind it with the query.
        flops_kv: the dense arm behind keys and values of that very order.
        flops_dense: all tokens read anew.
    """

    documents: int
    latents: int
    tokens: int
    flops_u: int
    flops_state: int
    flops_first: int
    flops_kv: int
    flops_dense: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One query that reads k of the K stored latents (sparse activation).

    Attributes:
        latents: k.
        flops_u: mixed anew from u; `flops_state` behind stored mixer keys and values, of which k rows are read.
        flops_choosing: of the cosine similarities that choose them, 2·r·K·Z; 0 where all are read.
        change: the largest change of a logit against reading all, both mixed anew from u, measured; None where it was not run,
            with `reason`. Where the query closes no span nothing says which latents are near: only k = K has figures.
        kl: the KL divergence from reading all, in nats, measured; `same_choice` whether the likeliest token is the same.
    """

    latents: int
    flops_u: int | None
    flops_state: int | None
    flops_choosing: int | None
    change: float | None = None
    kl: float | None = None
    same_choice: bool | None = None
    reason: str | None = "it was not run, only counted"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the document in one form: by count, and what the files hold where they were written.

    `kv_heads` are those of dense keys and values, None of any other form.
    """

    name: str
    bytes: int | None
    per_token: float | None
    disk_bytes: int | None
    reason: str | None = None
    kv_heads: int | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """A matrix rate in FLOP/s and where it comes from: measured on this machine, or given."""

    flops_per_second: float
    by: str


@dataclass(frozen=True, slots=True)
class Energy:
    """Who gave the joules, and what they may be called: measured, estimated or modelled."""

    by: str
    source: str


@dataclass(frozen=True, slots=True)
class Reuse:
    """All figures of one point. FLOPs are in the point's convention; seconds are medians with their range."""

    point: Mapping[str, Any]
    convention: str
    query_tokens: int
    queries: tuple[int, ...]
    strategies: tuple[Strategy, ...]
    break_even: tuple[BreakEven, ...]
    crossovers: tuple[Crossover, ...]
    edits: tuple[Edit, ...]
    compositions: tuple[Composition, ...]
    choices: tuple[Choice, ...]
    memory: tuple[Memory, ...]
    rate: Rate | None
    verified: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: Mapping[str, Any] | None = None
    energy: Energy | None = None

    def strategy(self, name: str) -> Strategy:
        """Return a strategy by its name."""
        return next(one for one in self.strategies if one.name == name)

    @property
    def timed(self) -> bool:
        """Whether any query was run and timed."""
        return any(one.query.seconds.value is not None for one in self.strategies)


def cheapest(strategies: Sequence[Strategy], queries: int) -> list[Strategy]:
    """Return the strategies of fewest FLOPs for so many queries: more than one where they are equal."""
    least = min(one.flops(queries) for one in strategies)
    return [one for one in strategies if one.flops(queries) == least]
