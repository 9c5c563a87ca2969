"""The engine of many machines: Ray's own cluster decides where and when, and each job is one task that starts one child.

Ray itself is imported where it is used, since it is an extra. Facts in this package were checked against Ray 2.60.
"""

from __future__ import annotations

from spanbench.sweep.ray.engine import RayEngine
from spanbench.sweep.ray.mark import DAEMONS, marked

__all__ = ["DAEMONS", "RayEngine", "marked"]
