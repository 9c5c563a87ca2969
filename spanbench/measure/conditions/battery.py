"""The battery: a machine that runs on it saves power, and its clocks follow."""

from __future__ import annotations

from spanbench.measure.conditions.condition import Condition, Place
from spanbench.measure.machine.system import power

__all__ = ["BATTERY"]


def _read(place: Place) -> bool:
    return power(place.root) == "battery"


def _judge(before: bool, after: bool) -> str | None:
    if not (before or after):
        return None
    when = "ran" if before and after else "ran for a part of the time"
    return f"the machine {when} on its battery, where clocks and power limits are lower"


BATTERY = Condition("battery", _read, _judge)
"""The kernel lists a battery that feeds the machine."""
