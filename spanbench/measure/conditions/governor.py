"""The governor: who sets the CPU's clock."""

from __future__ import annotations

from spanbench.measure.conditions.condition import Condition, Place
from spanbench.measure.machine.clocks import governors

__all__ = ["GOVERNOR"]


def _read(place: Place) -> tuple[str, ...]:
    return governors(place.root)


def _judge(before: tuple[str, ...], after: tuple[str, ...]) -> str | None:
    slow = sorted({*before, *after} - {"performance"})
    return f"the CPU's governor is {' and '.join(slow)}, not performance, so its clock depends on what ran just before" if slow else None


GOVERNOR = Condition("governor", _read, _judge)
"""Some group of cores is governed by anything but 'performance'; where no clock can be set there is no governor."""
