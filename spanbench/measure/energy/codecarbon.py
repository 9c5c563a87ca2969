"""Joules from CodeCarbon: an estimate, kept quiet, file-free and off the network.

Without a power sensor CodeCarbon multiplies a table's wattage for the CPU model by the load and the time, so such
joules mostly restate the seconds. Facts below were checked against CodeCarbon 3.3.2.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from spanbench.measure.energy.protocol import IDLE, MeterError, Probe, Reading, Session, Source, Window

__all__ = ["CodeCarbonMeter"]

_JOULES_PER_KWH = 3.6e6
_LOG_LEVEL = "CODECARBON_LOG_LEVEL"

# Every setting that could reach a file, the network or the figure is given: what is left out would be taken from
# a .codecarbon.config in the home or working directory, or from CODECARBON_* in the environment.
_SETTINGS: dict[str, Any] = {
    "country_iso_code": "USA",  # only for its grams of CO2e, which are not read
    "region": None,
    "cloud_provider": None,
    "cloud_region": None,
    "country_2letter_iso_code": None,
    "output_methods": [],
    "output_handlers": [],
    "emissions_endpoint": False,
    "electricitymaps_api_token": False,  # None would let an older setting's token in, and with it the network
    "api_call_interval": -1,
    "log_level": "critical",
    "allow_multiple_runs": True,  # False takes a lock file and the signal handlers
    "measure_power_secs": 1,
    "tracking_mode": "machine",
    "gpu_ids": None,
    "force_cpu_power": None,
    "force_mode_cpu_load": False,
    "force_ram_power": 0,  # its constant for memory is a guess that can outweigh everything else
    "force_carbon_intensity_g_co2e_kwh": None,
    "rapl_include_dram": False,
    "rapl_prefer_psys": False,  # counts the packages' joules again
    "pue": 1.0,
    "wue": 0.0,
}


class CodeCarbonMeter:
    """CodeCarbon's figure for CPU and GPU of the whole machine, without its guess for memory."""

    name = "codecarbon"
    source: Source = "estimated"
    note = "CodeCarbon estimates joules from a wattage, the load and the time, memory left out: they mostly restate the seconds"
    min_window_s = 0.5
    """Its load comes from the kernel's ticks of 10 ms: 50 of them in a window resolve the load to 2%."""

    def probe(self) -> Probe:
        """Return whether the library is installed; its detection of hardware waits for the session."""
        if find_spec("codecarbon") is None:
            return Probe(available=False, reason="CodeCarbon is not installed", mend="pip install codecarbon")
        return Probe(available=True, scope="machine")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Detect the hardware (about 1.5 s, once a process) and keep one tracker; each window is one of its tasks.

        Raises:
            MeterError: the tracker could not be made, or its first task failed.
        """
        tracker = _tracker()
        try:
            session = _Tasks(tracker)
            session.detect()
            yield session
        finally:
            _close(tracker)


class _Tasks:
    """One tracker, one task a window.

    A task opens in 0.5 ms and covers exactly its window; a tracker of its own takes ten times as long to start,
    drops what came after its last periodic sample, and swallows its errors.
    """

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self.by = "codecarbon"

    def detect(self) -> None:
        """Run one empty task, so that no window pays for the detection, and note what was detected."""
        self.begin(IDLE)
        if self._tracker.stop_task() is None:
            raise MeterError("its hardware detection failed")
        hardware = [item.description() for item in self._tracker._hardware]
        # Memory is left out (force_ram_power is 0), so it is not named among the parts either.
        parts = ", ".join(part for part in hardware if not part.startswith("RAM")) or "no hardware found"
        self.by = f"codecarbon {_version()}: {parts}"

    def begin(self, window: Window) -> None:
        self._tracker.start_task()

    def end(self) -> Reading:
        data = self._tracker.stop_task()
        if data is None:
            return Reading(None, "CodeCarbon gave no reading for this slot")
        if data.cpu_energy is None and data.gpu_energy is None:
            return Reading(None, "CodeCarbon knows the energy of no part of this machine")
        return Reading(((data.cpu_energy or 0.0) + (data.gpu_energy or 0.0)) * _JOULES_PER_KWH)


def _tracker() -> Any:
    """Return an idle tracker that has logged nothing.

    Raises:
        MeterError: the library could not be imported, or its constructor failed (it swallows the cause).
    """
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it logs before it has read its own settings
    with _environment(_LOG_LEVEL, "critical"):
        try:
            from codecarbon import OfflineEmissionsTracker
        except ImportError as error:
            raise MeterError(f"CodeCarbon cannot be imported ({error})") from error
        tracker = OfflineEmissionsTracker(**_SETTINGS)
    if not hasattr(tracker, "run_id"):  # the last thing that its constructor sets
        raise MeterError("CodeCarbon could not be set up")
    return tracker


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for a while: CodeCarbon reads its log level at import."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _close(tracker: Any) -> None:
    """Stop the tracker, and end the timers of its samplers, which outlive `stop` by a moment or, if one fires then, for ever."""
    tracker.stop()
    for _ in range(3):  # a timer that is firing sets its successor before it ends
        timers = _samplers()
        for timer in timers:
            timer.cancel()
            timer.join(timeout=2)
        if not timers:
            return


def _samplers() -> list[threading.Timer]:
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    return [timer for timer in timers if type(getattr(timer.function, "__self__", None)).__module__.startswith("codecarbon.")]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # half of this module's import time

    try:
        return version("codecarbon")
    except PackageNotFoundError:
        return "of unknown version"
