"""Joules: one protocol, one file a meter. No meter's library is imported before a meter is probed or a session opens."""

from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.null import NullMeter
from spanbench.measure.energy.protocol import Meter, MeterError, Probe, Reading, Session, Source
from spanbench.measure.energy.registry import AUTO, METERS, Target, best_meter, get_meter

__all__ = [
    "AUTO",
    "METERS",
    "Guard",
    "Meter",
    "MeterError",
    "NullMeter",
    "Probe",
    "Reading",
    "Session",
    "Source",
    "Target",
    "best_meter",
    "get_meter",
]
