"""The NVIDIA GPUs that CUDA would use: what they are and how they stand at this moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spanbench.measure.nvml.device import Device
from spanbench.measure.nvml.errors import NvmlError
from spanbench.measure.nvml.library import Library, opened

__all__ = ["gpu"]


def gpu() -> dict[str, Any]:
    """Return the driver and every visible GPU; `reason` says why there is none, or what was assumed of their order."""
    try:
        with opened() as library:
            found = {"driver": library.driver, "nvml": library.nvml, "cuda": library.cuda}
            return found | _devices(library)
    except NvmlError as error:
        return {"driver": None, "nvml": None, "cuda": None, "devices": [], "reason": str(error)}


def _devices(library: Library) -> dict[str, Any]:
    """Return the devices, or why there are none: where a variable hides them all, the driver is still known."""
    try:
        return {"devices": [_described(device) for device in library.devices()], "reason": library.assumption}
    except NvmlError as error:
        return {"devices": [], "reason": str(error)}


def _described(device: Device) -> dict[str, Any]:
    """Return one GPU. Of a MIG slice these are the whole board's figures, and `mig` is the slice."""
    asked: dict[str, Callable[[], Any]] = {
        "now_hertz": device.clocks_hertz,
        "max_hertz": device.max_clocks_hertz,
        "power_limit_watts": device.power_limit_watts,
        "celsius": device.temperature_celsius,
        "held_back_by": lambda: _listed(device.throttle_reasons()),
        "persistence": device.persistence_mode,
        "compute_mode": device.compute_mode,
    }
    return {"name": device.name, "uuid": device.uuid, "mig": device.instance} | {name: _or_none(ask) for name, ask in asked.items()}


def _listed(reasons: tuple[str, ...] | None) -> list[str] | None:
    return None if reasons is None else list(reasons)


def _or_none(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except NvmlError:
        return None
