"""The one flow: prompt -> pair -> counted run -> measured run -> record."""

from spanbench.run.flow import Timing, compare, count, meter_of

__all__ = ["Timing", "compare", "count", "meter_of"]
