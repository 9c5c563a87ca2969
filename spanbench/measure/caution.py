"""A condition that a reader of noisy figures must know of."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Caution"]


@dataclass(frozen=True, slots=True)
class Caution:
    """A stable code (docs/measuring.md lists them all), and one sentence."""

    code: str
    text: str
