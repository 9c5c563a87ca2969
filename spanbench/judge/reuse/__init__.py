"""What reuse of a document costs and saves: results as data, break-even and crossover. Plain Python."""

from __future__ import annotations

from spanbench.judge.reuse.breakeven import BreakEven, break_even, break_even_seconds
from spanbench.judge.reuse.cost import NOT_RUN, Cost, Strategy, cumulative, overlap
from spanbench.judge.reuse.crossover import Crossover, crossover
from spanbench.judge.reuse.result import SCHEMA, Choice, Composition, Edit, Memory, Reuse

__all__ = [
    "NOT_RUN",
    "SCHEMA",
    "BreakEven",
    "Choice",
    "Composition",
    "Cost",
    "Crossover",
    "Edit",
    "Memory",
    "Reuse",
    "Strategy",
    "break_even",
    "break_even_seconds",
    "crossover",
    "cumulative",
    "overlap",
]
