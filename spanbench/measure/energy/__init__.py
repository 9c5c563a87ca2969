"""Joules: one protocol, one file a meter. No meter's library is imported before a session opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from spanbench.errors import UsageError, suggest
from spanbench.measure.energy.codecarbon import CodeCarbonMeter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.null import NullMeter
from spanbench.measure.energy.protocol import Meter, MeterError, Probe, Reading, Session, Source

__all__ = ["METERS", "CodeCarbonMeter", "Guard", "Meter", "MeterError", "NullMeter", "Probe", "Reading", "Session", "Source", "get_meter"]

METERS: Mapping[str, Callable[[], Meter]] = {"codecarbon": CodeCarbonMeter, "none": NullMeter}


def get_meter(name: str) -> Meter:
    """Return the meter of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in METERS:
        raise UsageError(f"--meter: unknown value {name!r}{suggest(name, METERS)}")
    return METERS[name]()
