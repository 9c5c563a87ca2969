"""One exception for each cause, each with the exit code that the command line returns for it.

A message is one line: what is wrong, which value, and what would be right.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

__all__ = [
    "CountMismatch",
    "Inconclusive",
    "NotEnoughMemory",
    "NothingMeasured",
    "SpanbenchError",
    "UncountedOperation",
    "UsageError",
    "suggest",
]


class SpanbenchError(Exception):
    """Base of every error that spanbench raises on purpose."""

    exit_code: ClassVar[int] = 2


class UsageError(SpanbenchError):
    """The user asked for something that does not exist or cannot be."""

    exit_code = 2


class NotEnoughMemory(UsageError):
    """The run was refused before it started, because it would not fit in memory."""


class UncountedOperation(SpanbenchError):
    """The ledger met an operation it has no rule for, so the total is refused."""

    exit_code = 3


class CountMismatch(SpanbenchError):
    """Two ways of counting the same work disagree, so neither is printed."""

    exit_code = 3


class Inconclusive(SpanbenchError):
    """What was measured does not tell the arms apart as finely as was asked, and `--strict` was given."""

    exit_code = 4


class NothingMeasured(SpanbenchError):
    """No figure came out of the command."""

    exit_code = 5


def suggest(value: str, known: Iterable[str]) -> str:
    """Return ' — did you mean X?' for the nearest known name, else the list of known names."""
    names = sorted(known)
    near = get_close_matches(value.lower(), names, n=1, cutoff=0.55)
    return f" — did you mean {near[0]!r}?" if near else f" — known: {', '.join(names)}"
