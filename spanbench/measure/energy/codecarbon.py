"""Joules from CodeCarbon: an estimate, kept quiet, file-free and off the network.

Without a power sensor CodeCarbon multiplies a table's wattage for the CPU model by 0.1 + 0.9·load³ and the time, so
such joules mostly restate the seconds. Only where every part it adds up is a sensor's (RAPL, NVML) does a session call
its joules measured. Facts below were checked against CodeCarbon 3.3.2.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spanbench.measure.caution import Caution
from spanbench.measure.energy.protocol import IDLE, MeterError, Probe, Reading, Session, Source, Window

__all__ = ["CodeCarbonMeter"]

_JOULES_PER_KWH = 3.6e6
_LOG_LEVEL = "CODECARBON_LOG_LEVEL"
_BOARDS = Path("/proc/driver/nvidia/gpus")
_PERIOD_S = 1.0

_SENSORS = ("CPU(Intel Rapl)", "CPU(Intel Power Gadget)", "CPU(Windows Emi)", "GPU")
"""How the parts that a sensor reads begin to describe themselves; every other part is a wattage times a load."""

_UNALIGNED = Caution(
    "meter-unaligned", "CodeCarbon does not wait for its sensors' ticks (up to 100 ms), so a window of less than 5 s reads low"
)
_BLIND = Caution("meter-partial", "an NVIDIA GPU is not in CodeCarbon's joules: it looks for nvidia-smi on PATH, and that is not there")

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
    "measure_power_secs": _PERIOD_S,
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

    def __init__(self, boards: Path = _BOARDS) -> None:
        """Take the folder in which the NVIDIA driver lists its boards."""
        self._boards = boards

    def probe(self) -> Probe:
        """Return whether the library is installed; its detection of hardware waits for the session."""
        if find_spec("codecarbon") is None:
            return Probe(available=False, reason="CodeCarbon is not installed", mend="pip install codecarbon")
        return Probe(available=True, scope="machine", period_s=_PERIOD_S)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Detect the hardware (about 1.5 s, once a process) and keep one tracker; each window is one of its tasks.

        Raises:
            MeterError: the tracker could not be made, or its first task failed.
        """
        tracker = _tracker()
        try:
            session = _Tasks(tracker, self._boards)
            session.detect()
            yield session
        finally:
            _close(tracker)


class _Tasks:
    """One tracker, one task a window.

    A task opens in 0.5 ms and covers exactly its window; a tracker of its own takes ten times as long to start,
    drops what came after its last periodic sample, and swallows its errors.
    """

    def __init__(self, tracker: Any, boards: Path) -> None:
        self._tracker, self._boards = tracker, boards
        self._failures = _watched(tracker)
        self._cautions: tuple[Caution, ...] = ()
        self.source: Source = "estimated"
        self.by = "codecarbon"

    def detect(self) -> None:
        """Run one empty task, so that no window pays for the detection, and note what was detected."""
        self.begin(IDLE)
        if self._tracker.stop_task() is None:
            raise MeterError("its hardware detection failed")
        hardware = [_described(item) for item in self._tracker._hardware]
        # Memory is left out (force_ram_power is 0), and `by` says so: its joules would be a guess.
        parts = [part for part in hardware if not part.startswith("RAM")]
        sensed = bool(parts) and all(part.startswith(_SENSORS) for part in parts)
        self.source = "measured" if sensed else "estimated"
        self._cautions = ((_UNALIGNED,) if sensed else ()) + ((_BLIND,) if _is_blind(parts, self._boards) else ())
        self.by = f"codecarbon {_version()}: {', '.join(parts) or 'no hardware found'}; memory left out"

    def begin(self, window: Window) -> None:
        self._failures.clear()
        self._tracker.start_task()

    def end(self) -> Reading:
        data = self._tracker.stop_task()
        if data is None:
            return Reading(None, "CodeCarbon gave no reading for this slot")
        if self._failures:
            return Reading(None, f"CodeCarbon's sampling thread failed: {self._failures[0]}")
        if data.cpu_energy is None and data.gpu_energy is None:
            return Reading(None, "CodeCarbon knows the energy of no part of this machine")
        joules = ((data.cpu_energy or 0.0) + (data.gpu_energy or 0.0)) * _JOULES_PER_KWH
        return Reading(joules, cautions=self._cautions)


def _described(item: Any) -> str:
    """Return a part as CodeCarbon describes it, with the wattage that it multiplies, which 'CPU(Cpu Load)' leaves out."""
    text, watts = str(item.description()), getattr(item, "_tdp", None)
    return f"{text} of {watts:g} W" if text == "CPU(Cpu Load)" and isinstance(watts, int | float) else text


def _watched(tracker: Any) -> list[str]:
    """Make the tracker's sampling thread keep its errors in the list returned, where it would print them to stderr."""
    failures: list[str] = []
    for name in ("_scheduler", "_scheduler_monitor_power"):
        scheduler = getattr(tracker, name, None)
        if scheduler is not None:
            scheduler.function = _keeping(scheduler.function, failures)
    return failures


def _keeping(call: Callable[[], object], failures: list[str]) -> Callable[[], None]:
    def kept() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a thread of another library may raise anything
            failures.append(f"{type(error).__name__}: {error}")

    return kept


def _is_blind(parts: Sequence[str], boards: Path) -> bool:
    """Return whether a GPU of the driver's is missing among the parts because CodeCarbon found no nvidia-smi."""
    import shutil

    try:
        listed = any(boards.iterdir())
    except OSError:
        return False
    return listed and shutil.which("nvidia-smi") is None and not any(part.startswith("GPU") for part in parts)


def _tracker() -> Any:
    """Return an idle tracker that has logged nothing.

    Raises:
        MeterError: the library could not be imported, or its constructor failed (it swallows the cause).
    """
    import logging  # here as in `_is_blind`: two of the slowest imports of this package, and only a session needs them

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
