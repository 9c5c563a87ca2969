"""Joules of NVIDIA GPUs: the board's energy counter, and its power integrated where there is no counter."""

from __future__ import annotations

from spanbench.measure.energy.nvml.meter import NvmlMeter
from spanbench.measure.energy.nvml.power_meter import NvmlPowerMeter

__all__ = ["NvmlMeter", "NvmlPowerMeter"]
