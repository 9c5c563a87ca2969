"""The real CodeCarbon: a reading, no trace left, and each of its failures as a reason."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from spanbench.errors import UsageError
from spanbench.measure.energy import METERS, CodeCarbonMeter, Guard, get_meter
from spanbench.measure.energy.protocol import IDLE, Reading

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
from spanbench.measure.energy import CodeCarbonMeter, Guard
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


def test_the_real_one_reads_joules_and_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / ".codecarbon.config").write_text(HOSTILE, encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", "-c", WATCHED], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found = json.loads(done.stdout)  # nothing but the script's own line
    assert found["reasons"] == [None, None]
    short, long = found["joules"]
    assert 0 < short < long < 10_000 * 0.6  # a machine of 10 kW would be news; the settings above would be 1 MW
    assert found["by"].startswith("codecarbon 3.")
    assert "RAM" not in found["by"]
    assert (found["written"], found["sockets"]) == ([], [])
    assert (found["early"], found["threads"], found["environment"], found["handlers"]) == (False, 1, True, True)
    assert [path.name for path in tmp_path.iterdir()] == [".codecarbon.config"]


def window(meter: CodeCarbonMeter) -> Reading:
    with Guard(meter) as guard:
        guard.begin(IDLE)
        return guard.end()


def test_it_is_an_estimate_and_says_so() -> None:
    meter = CodeCarbonMeter()
    assert meter.source == "estimated"
    assert "restate the seconds" in meter.note
    assert meter.probe().available


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


@pytest.mark.parametrize(("joules", "fragment"), [(None, "knows the energy of no part"), (0.0, "read 0 J"), (-1.0, "J, which no")])
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


def test_meters_are_found_by_name_and_a_slip_is_corrected() -> None:
    assert {name: get_meter(name).name for name in METERS} == {name: name for name in METERS}
    with pytest.raises(UsageError, match="did you mean 'codecarbon'"):
        get_meter("codecarbn")
