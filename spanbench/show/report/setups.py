"""Which records belong together: the `Setup` of a record as plain JSON, and the machine that its figures are of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from spanbench.presets import changes
from spanbench.show.report.summary import Setup

__all__ = ["changed", "machine", "setup_of"]


def setup_of(plain: Mapping[str, Any]) -> Setup:
    """Return what a record shares with its section."""
    point, environment = plain["point"], plain["environment"]
    return Setup(
        convention=plain["convention"],
        machine=machine(environment),
        device=point["device"],
        preset=point["preset"],
        allocation=point["allocation"],
        changed=changed(point),
        dtype=point["dtype"],
        batch=point["batch"],
        tokenizer=str(point.get("tokenizer") or ""),
        compiled=bool((environment.get("schedule") or {}).get("compiled")),
        span=point["span"],
    )


def changed(point: Mapping[str, Any]) -> str:
    """Return the sizes that are not those of preset and allocation, 'mixer.layers=6 …'."""
    return _changed(point["preset"], point["allocation"], json.dumps(point["shape"], sort_keys=True), point["span"])


@lru_cache(maxsize=4096)  # thousands of points share a few shapes, and resolving one takes as long as reading a record
def _changed(preset: str, allocation: str, shape: str, span: int) -> str:
    return " ".join(changes(preset, allocation, json.loads(shape), span))


def machine(environment: Mapping[str, Any]) -> str:
    """Return what the work ran on: a GPU's name, or the CPU's model with its cores and torch's threads; 'unknown machine' where not said.

    Software is no part of it: a report names the versions beside the figures.
    """
    name = str((environment.get("device") or {}).get("name") or "cpu")
    if name != "cpu":
        return name
    cpu, threads = environment.get("cpu") or {}, (environment.get("torch") or {}).get("threads")
    cores = cpu.get("usable_cores")
    parts = [str(cpu.get("model") or "unknown machine"), _counted(cores, "core"), _counted(threads, "thread")]
    return ", ".join(part for part in parts if part)


def _counted(count: Any, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if isinstance(count, int) else ""
