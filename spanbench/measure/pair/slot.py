"""One timed window: repeat, synchronise, read the clock and the meter; and the trial that finds the repeats."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from spanbench.measure.clock import Clock
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import Cost, Window
from spanbench.measure.pair.result import SlotResult

__all__ = ["Arm", "Stage", "find_repeats", "refuse_observers", "run_slot"]

MOST_REPEATS = 1 << 16
"""Where even this many forwards do not fill a window, the clock is stuck or the arm does nothing."""

_GROWTH = 16  # of the trial's repeats in one step: a first call too short for the clock says little
_TRUSTED = 0.25  # of the window: a trial this long gives the time of one forward within a few percent
_BEYOND_DOUBT = 2.0  # times the window: a trial held up by as much as that would be a rare one, and a long arm is dear to try twice
_MARGIN = 1.05  # aimed at above the window, so that a slot a little faster than the trial still fills it


@dataclass(frozen=True, slots=True)
class Arm:
    """A callable that runs one forward, and its name."""

    name: str
    forward: Callable[[], object]
    cost: Cost | None = None
    """What one forward costs, as it was counted; only a modelling meter asks."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What every slot runs on: the clock, the wait for the device, and the meter."""

    clock: Clock
    synchronize: Callable[[], None]
    meter: Guard


def run_slot(arm: Arm, repeats: int, stage: Stage) -> SlotResult:
    """Run one slot. The device is idle when the window opens, and has finished when it closes.

    The meter's window encloses the clock's, so that no joule of the work is lost.
    """
    refuse_observers()
    stage.synchronize()
    with _no_collector():
        stage.meter.begin(Window(arm.name, repeats, arm.cost))
        seconds = _timed(arm, repeats, stage)
        reading = stage.meter.end()
    return SlotResult(arm.name, seconds, reading)


def find_repeats(arm: Arm, window_s: float, stage: Stage) -> tuple[int, float]:
    """Return how often `arm` must run to fill `window_s`, and the seconds of one such slot (the trial's estimate).

    The faster of two trials decides: one that another process held up would make every slot too short.
    """
    refuse_observers()
    stage.synchronize()
    repeats = 1
    while True:
        elapsed = _timed(arm, repeats, stage)
        if _TRUSTED * window_s <= elapsed < _BEYOND_DOUBT * window_s and repeats < MOST_REPEATS:
            elapsed = min(elapsed, _timed(arm, repeats, stage)) or elapsed
        if elapsed >= _MARGIN * window_s or repeats >= MOST_REPEATS:
            return repeats, elapsed
        wanted = math.ceil(_MARGIN * window_s * repeats / elapsed) if elapsed > 0 else MOST_REPEATS
        if elapsed >= _TRUSTED * window_s:
            return min(wanted, MOST_REPEATS), elapsed * wanted / repeats
        repeats = min(wanted, repeats * _GROWTH, MOST_REPEATS)


def _timed(arm: Arm, repeats: int, stage: Stage) -> float:
    forward = arm.forward
    opened = stage.clock.now()
    for _ in range(repeats):
        forward()  # the result is dropped at once: two sets of logits need not fit
    stage.synchronize()
    return stage.clock.now() - opened


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep Python's garbage collector out of the window: it would charge one arm for what both have allocated."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def refuse_observers() -> None:
    """Raise if a counter or profiler would watch the timed region: it would be timed with it.

    Raises:
        RuntimeError: a TorchDispatchMode, torch's profiler or a Python profile function is active.
    """
    if sys.getprofile() is not None:
        raise RuntimeError("a Python profiler is active in the timed region: stop it before measuring")
    if "torch" not in sys.modules:
        return
    import torch
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    modes = _get_current_dispatch_mode_stack()
    if modes:
        names = ", ".join(type(mode).__name__ for mode in modes)
        raise RuntimeError(f"a counter is active in the timed region: leave {names} before measuring")
    if torch.autograd.profiler._is_profiler_enabled:
        raise RuntimeError("torch's profiler is active in the timed region: stop it before measuring")
