"""The order in which the two arms take their slots, as pure functions.

A slot is one timed window of one arm. Four slots make a block, ABBA or BAAB in turn: within either, both arms run
first once and second once, and their mean positions coincide. So neither 'the second of two runs is slower' nor a
linear drift of the machine reaches a block's ratio; over a pair of blocks quadratic drift cancels too. Blocks
therefore come in pairs. (ABAB would turn a drift of +0.5% a slot into a bias of -0.49%.)
"""

from __future__ import annotations

import math

__all__ = ["LEAST_BLOCKS", "choose_blocks", "order"]

LEAST_BLOCKS = 2
"""ABBA BAAB: eight slots, the shortest balanced schedule."""

_BLOCKS = ("ABBA", "BAAB")


def order(blocks: int) -> tuple[str, ...]:
    """Return the run order, one string a block: ('ABBA', 'BAAB', 'ABBA', ...).

    Raises:
        ValueError: `blocks` is odd or below 2.
    """
    if blocks < LEAST_BLOCKS or blocks % 2:
        raise ValueError(f"blocks must be even and at least {LEAST_BLOCKS}, got {blocks}")
    return tuple(_BLOCKS[index % 2] for index in range(blocks))


def choose_blocks(block_seconds: float, max_seconds: float, most: int) -> int:
    """Return how many blocks of `block_seconds` fit into `max_seconds`: even, at most `most`, at least 2.

    The number is fixed before the first slot. To stop when an interval happens to be narrow would make a 95%
    interval cover the truth in about 91% of runs.
    """
    # A clock that did not move gives no estimate of a block; the cap then decides.
    fitting = math.floor(max_seconds / block_seconds) if block_seconds > 0 else most
    chosen = min(fitting, most)
    return max(LEAST_BLOCKS, chosen - chosen % 2)
