"""What disturbs a timed run: each condition under a code of its own, looked at before and after, never in between."""

from spanbench.measure.conditions.watch import CODES, Watch

__all__ = ["CODES", "Watch"]
