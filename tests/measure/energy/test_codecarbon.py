"""The real CodeCarbon: a reading, no trace left, and each of its failures as a reason."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from spanbench.measure.energy.codecarbon import CodeCarbonMeter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import IDLE, Probe, Reading

hardware_cache = pytest.importorskip("codecarbon.core.hardware_cache")

# A process of its own, so that an audit hook (which cannot be taken out again) sees every file and socket.
WATCHED = """
import json, os, signal, sys, tempfile, threading, time
tempfile.gettempdir()  # the standard library finds it by writing there, once a process
written, sockets = [], []
def watch(event, args):
    if event == "open" and not isinstance(args[0], int) and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        written.append(str(args[0]))
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        sockets.append(event)
sys.addaudithook(watch)
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
environment = dict(os.environ)
from spanbench.measure.energy.codecarbon import CodeCarbonMeter
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import IDLE
loaded_early = "codecarbon" in sys.modules
with Guard(CodeCarbonMeter()) as guard:
    by, readings = guard.by, []
    for length in (0.3, 0.6):
        guard.begin(IDLE)
        start = time.perf_counter()
        while time.perf_counter() - start < length:
            pass
        readings.append(guard.end())
print(json.dumps({
    "by": by, "joules": [reading.joules for reading in readings], "reasons": [reading.reason for reading in readings],
    "written": [name for name in written if name != os.devnull], "sockets": sockets, "early": loaded_early,
    "threads": threading.active_count(), "environment": environment == dict(os.environ),
    "handlers": handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
}))
"""

# What a user may have lying about; none of it may reach the figure, a file or the network.
HOSTILE = """[codecarbon]
pue = 1000000
force_ram_power = 1000000
output_methods = csv
log_level = debug
emissions_endpoint = http://127.0.0.1:9
co2_signal_api_token = token
allow_multiple_runs = False
measure_power_secs = 0.1
"""


HOSTILE_ENVIRONMENT = {
    "CODECARBON_PUE": "1000000",
    "CODECARBON_FORCE_CPU_POWER": "1000000",
    "CODECARBON_FORCE_RAM_POWER": "1000000",
    "CODECARBON_SAVE_TO_API": "true",
    "CODECARBON_SAVE_TO_FILE": "true",
    "CODECARBON_OUTPUT_METHODS": "csv,http",
    "CODECARBON_EMISSIONS_ENDPOINT": "http://127.0.0.1:9",
    "CODECARBON_ELECTRICITYMAPS_API_TOKEN": "token",
    "CODECARBON_ALLOW_MULTIPLE_RUNS": "False",
    "CODECARBON_TRACKING_MODE": "process",
    "CODECARBON_LOG_LEVEL": "debug",
}


@pytest.mark.parametrize(("config", "environment"), [(HOSTILE, {}), ("", HOSTILE_ENVIRONMENT)], ids=["config", "environment"])
def test_the_real_one_reads_joules_and_leaves_no_trace(tmp_path: Path, config: str, environment: dict[str, str]) -> None:
    (tmp_path / ".codecarbon.config").write_text(config, encoding="utf-8")
    done = started(WATCHED, tmp_path, environment)
    assert done.stderr == ""
    found = json.loads(done.stdout)  # nothing but the script's own line
    assert found["reasons"] == [None, None]
    short, long = found["joules"]
    assert 0 < short < long < 10_000 * 0.6  # a machine of 10 kW would be news; the settings above would be 1 MW
    assert found["by"].startswith("codecarbon 3.")
    assert "RAM" not in found["by"]
    assert found["by"].endswith("; memory left out")
    assert (found["written"], found["sockets"]) == ([], [])
    assert (found["early"], found["threads"], found["environment"], found["handlers"]) == (False, 1, True, True)
    assert [path.name for path in tmp_path.iterdir()] == [".codecarbon.config"]


def test_a_config_file_that_cannot_be_read_costs_the_joules_and_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / ".codecarbon.config").write_text("no section\n= [", encoding="utf-8")
    done = started(WATCHED, tmp_path, {})
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["joules"] == [None, None]
    assert found["reasons"][0].startswith("codecarbon could not start: ")
    assert (found["written"], found["sockets"], found["threads"]) == ([], [], 1)


def started(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, **environment, "HOME": str(folder)}
    return subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=folder, capture_output=True, text=True, check=True, env=whole)


@pytest.fixture
def undetected() -> Iterator[None]:
    """CodeCarbon keeps what it detected for the rest of the process: forget it before a test that changes it, and after."""
    hardware_cache.clear_cache()
    yield
    hardware_cache.clear_cache()


def window(meter: CodeCarbonMeter) -> Reading:
    with Guard(meter) as guard:
        guard.begin(IDLE)
        return guard.end()


def test_it_is_an_estimate_and_says_so() -> None:
    meter = CodeCarbonMeter()
    assert meter.source == "estimated"
    assert "restate the seconds" in meter.note
    assert meter.probe() == Probe(available=True, scope="machine", period_s=1.0)
    with Guard(meter) as guard:
        assert guard.source == "estimated"


def test_not_installed_is_a_reason_and_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    assert window(CodeCarbonMeter()) == Reading(None, "CodeCarbon is not installed; pip install codecarbon")


def broken(*_: object, **__: object) -> None:
    raise OSError("planted")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("codecarbon.emissions_tracker.get_hierarchical_config", "could not start: CodeCarbon could not be set up"),
        ("codecarbon.core.resource_tracker.ResourceTracker.set_CPU_GPU_ram_tracking", "could not start: OSError: planted"),
        ("codecarbon.OfflineEmissionsTracker._ensure_emissions_engine", "could not start"),
        ("codecarbon.OfflineEmissionsTracker.start_task", "could not start: OSError: planted"),
        ("codecarbon.OfflineEmissionsTracker.stop_task", "could not start: OSError: planted"),
    ],
)
def test_a_failure_before_the_first_window_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], place: str, reason: str
) -> None:
    monkeypatch.setattr(place, broken)
    reading = window(CodeCarbonMeter())
    assert reading.joules is None
    assert reason in (reading.reason or "")
    assert capfd.readouterr() == ("", "")


def test_a_failure_in_a_window_is_a_reason_and_leaves_no_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    with Guard(CodeCarbonMeter()) as guard:
        guard.begin(IDLE)
        monkeypatch.setattr("codecarbon.OfflineEmissionsTracker._measure_power_and_energy", broken)
        reading = guard.end()
        assert reading == Reading(None, "codecarbon could not close a window: OSError: planted")
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("joules", "fragment"),
    [(None, "knows the energy of no part"), (0.0, "read 0 J"), (-1.0, "J, which no"), (math.nan, "read nan J"), (math.inf, "read inf J")],
)
def test_a_reading_that_cannot_be_is_a_reason(monkeypatch: pytest.MonkeyPatch, joules: Any, fragment: str) -> None:
    from codecarbon import OfflineEmissionsTracker

    real = OfflineEmissionsTracker.stop_task

    def emptied(tracker: OfflineEmissionsTracker) -> object:
        data = real(tracker)
        data.cpu_energy = data.gpu_energy = joules
        return data

    monkeypatch.setattr(OfflineEmissionsTracker, "stop_task", emptied)
    reading = window(CodeCarbonMeter())
    assert reading.joules is None
    assert fragment in (reading.reason or "")


def test_a_task_that_gives_nothing_back_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with Guard(CodeCarbonMeter()) as guard:
        guard.begin(IDLE)
        monkeypatch.setattr("codecarbon.OfflineEmissionsTracker.stop_task", lambda _: None)
        assert guard.end() == Reading(None, "CodeCarbon gave no reading for this slot")


def test_a_sampling_thread_that_fails_is_a_reason_and_prints_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sampled = threading.Event()

    def failing(_: object) -> None:
        sampled.set()
        raise OSError("planted")

    monkeypatch.setattr("codecarbon.OfflineEmissionsTracker._monitor_power", failing)
    with Guard(CodeCarbonMeter()) as guard:
        guard.begin(IDLE)
        assert sampled.wait(timeout=30)
        first = guard.end()
        guard.begin(IDLE)  # a failure is charged to its own window only
        spin()
        second = guard.end()
    assert first == Reading(None, "CodeCarbon's sampling thread failed: OSError: planted")
    assert second.joules is not None
    assert capfd.readouterr() == ("", "")


def spin() -> None:
    assert sum(number * number for number in range(300_000)) > 0


@pytest.mark.usefixtures("undetected")
def test_no_right_to_read_the_load_is_a_constant_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    def denied(*_: object, **__: object) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr("codecarbon.core.cpu.psutil.cpu_times", denied)
    with Guard(CodeCarbonMeter()) as guard:
        assert "CPU(Cpu Load)" not in guard.by
        assert re.search(r"> \d+W", guard.by)  # such as 'CPU(Intel(R) Xeon(R) > 85W [generic])'
        assert guard.source == "estimated"


@pytest.mark.usefixtures("undetected")
def test_without_nvidia_smi_a_gpu_is_missing_and_the_reading_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "boards" / "0000:01:00.0").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with Guard(CodeCarbonMeter(boards=tmp_path / "boards")) as guard:
        guard.begin(IDLE)
        spin()
        reading = guard.end()
        assert guard.source == "estimated"
    assert reading.joules is not None
    assert [caution.code for caution in reading.cautions] == ["meter-partial"]


def test_no_nvidia_driver_is_no_caution(tmp_path: Path) -> None:
    with Guard(CodeCarbonMeter(boards=tmp_path / "absent")) as guard:
        guard.begin(IDLE)
        spin()
        assert guard.end().cautions == ()


@pytest.mark.usefixtures("undetected")
def test_joules_that_it_reads_from_rapl_are_measured_and_not_taken_for_aligned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    counter = powercap(tmp_path)
    from codecarbon.core import cpu

    available = cpu.is_rapl_available

    class Tree(cpu.IntelRAPL):
        def __init__(self, rapl_dir: str, **kept: bool) -> None:  # /sys is given, where this test may not write
            super().__init__(rapl_dir=str(tmp_path), **kept)  # type: ignore[no-untyped-call]  # CodeCarbon's own are not typed

    monkeypatch.setattr(cpu, "is_rapl_available", partial(available, str(tmp_path)))
    monkeypatch.setattr("codecarbon.external.hardware.IntelRAPL", Tree)
    with Guard(CodeCarbonMeter()) as guard:
        assert guard.by.startswith("codecarbon 3.")
        assert "CPU(Intel Rapl)" in guard.by
        assert guard.source == "measured"
        guard.begin(IDLE)
        counter.write_text(str(1_000_000 + 42_000_000), encoding="utf-8")  # 42 J later, in microjoules
        reading = guard.end()
    assert reading.joules == pytest.approx(42.0, rel=1e-6)
    assert [caution.code for caution in reading.cautions] == ["meter-unaligned"]


def powercap(root: Path) -> Path:
    zone = root / "intel-rapl:0"
    zone.mkdir()
    for name, text in {"name": "package-0", "energy_uj": "1000000", "max_energy_range_uj": "262143328850"}.items():
        (zone / name).write_text(text, encoding="utf-8")
    return zone / "energy_uj"
