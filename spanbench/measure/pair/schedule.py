"""The order in which the two arms take their slots, as pure functions.

A slot is one timed window of one arm. Four slots make a block, ABBA or BAAB in turn: within either, both arms run
first once and second once, and their mean positions coincide. So neither 'the second of two runs is slower' nor a
linear drift of the machine reaches a block's ratio; over a pair of blocks quadratic drift cancels too. Blocks
therefore come in pairs. (ABAB would turn a drift of +0.5% a slot into a bias of -0.49%.)

Behind each pair of blocks comes a block of one arm against itself (the A/A null), in which A and B are labels only: what
its ratio is away from 1, the machine and the schedule have made. Rests, in which nothing runs, are spread over the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["LEAST_BLOCKS", "SLOTS_PER_BLOCK", "Kind", "Part", "choose_blocks", "order", "parts", "rests_for", "slots_of"]

LEAST_BLOCKS = 2
"""ABBA BAAB: eight slots, the shortest balanced schedule."""

SLOTS_PER_BLOCK = 4

_BLOCKS = ("ABBA", "BAAB")
_LEAST_RESTS = 3  # before, between, after
_MOST_RESTS = 9  # more would tell nothing new about a machine at rest
_RESTING = 0.1  # of the time, unless the least number of rests takes more

Kind = Literal["pair", "null", "pilot", "rest"]


@dataclass(frozen=True, slots=True)
class Part:
    """A block of its kind, or a rest, which has no letters."""

    kind: Kind
    letters: str = ""

    def __str__(self) -> str:
        return f"{'' if self.kind == 'pair' else self.kind} {self.letters}".strip()


def order(blocks: int) -> tuple[str, ...]:
    """Return the run order, one string a block: ('ABBA', 'BAAB', 'ABBA', ...).

    Raises:
        ValueError: `blocks` is odd or below 2.
    """
    if blocks < LEAST_BLOCKS or blocks % 2:
        raise ValueError(f"blocks must be even and at least {LEAST_BLOCKS}, got {blocks}")
    return tuple(_BLOCKS[index % 2] for index in range(blocks))


def parts(blocks: int, *, null: bool, rests: int) -> tuple[Part, ...]:
    """Return the whole run behind its first rest: blocks, an A/A block behind every second, and `rests` evenly spread.

    The last rest is the run's end. Raises what `order` raises.
    """
    run: list[Part] = []
    for index, letters in enumerate(order(blocks)):
        run.append(Part("pair", letters))
        if null and index % 2:
            run.append(Part("null", _BLOCKS[index // 2 % 2]))
    places = {math.ceil(len(run) * (rest + 1) / rests) for rest in range(rests)}
    return tuple(part for place, block in enumerate(run, 1) for part in (block, *((Part("rest"),) if place in places else ())))


def slots_of(run: Sequence[Part]) -> int:
    """Return how many slots a run has; a rest is none."""
    return sum(len(part.letters) for part in run)


def choose_blocks(block_seconds: float, max_seconds: float, most: int) -> int:
    """Return how many blocks of `block_seconds` fit into `max_seconds`: even, at most `most`, at least 2.

    The number is fixed before the first slot. To stop when an interval happens to be narrow would make a 95%
    interval cover the truth in about 91% of runs.
    """
    # A clock that did not move gives no estimate of a block; the cap then decides.
    fitting = math.floor(max_seconds / block_seconds) if block_seconds > 0 else most
    chosen = min(fitting, most)
    return max(LEAST_BLOCKS, chosen - chosen % 2)


def rests_for(rest_seconds: float, max_seconds: float) -> int:
    """Return how many rests of `rest_seconds` to take: a tenth of the time, but at least 3 and at most 9."""
    fitting = math.floor(_RESTING * max_seconds / rest_seconds) if rest_seconds > 0 else _LEAST_RESTS
    return min(max(_LEAST_RESTS, fitting), _MOST_RESTS)
