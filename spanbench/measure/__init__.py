"""Seconds and joules of two callables, side by side, and the machine they ran on.

Nothing here knows a model or a counter: `measure_pair` takes callables, so a user's own pair works too.
torch is imported inside functions only, and only where a device must be spoken to.
"""

from spanbench.measure.caution import Caution
from spanbench.measure.clock import Clock, PerfCounter, synchronizer
from spanbench.measure.pair import measure_pair
from spanbench.measure.result import ArmMeasurement, PairMeasurement, Plan, SlotResult

__all__ = [
    "ArmMeasurement",
    "Caution",
    "Clock",
    "PairMeasurement",
    "PerfCounter",
    "Plan",
    "SlotResult",
    "measure_pair",
    "synchronizer",
]
