"""The real bindings over the fake driver: what each board says of itself, and each way to say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.measure.nvml.fake import run

DESCRIBE = """
import json, sys
from spanbench.measure.nvml.library import NvmlError, opened
wanted = sys.argv[1] if len(sys.argv) > 1 else None
try:
    with opened() as library:
        devices = library.devices(wanted)
        print(json.dumps({
            "driver": library.driver, "nvml": library.nvml, "cuda": library.cuda, "assumption": library.assumption,
            "devices": [{
                "uuid": d.uuid, "name": d.name, "index": d.index, "mig": d.is_mig, "instance": d.instance, "joules": d.energy_joules(),
                "watts": d.power_watts(), "kind": d.power_kind, "limit": d.power_limit_watts(), "clocks": d.clocks_hertz(),
                "most": d.max_clocks_hertz(), "celsius": d.temperature_celsius(), "reasons": d.throttle_reasons(),
                "processes": d.processes(), "utilization": d.utilization(), "persistence": d.persistence_mode(), "mode": d.compute_mode(),
            } for d in devices],
        }))
except NvmlError as error:
    print(json.dumps({"error": str(error), "mend": error.mend}))
"""

OF_A_BOARD = [
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetMaxClockInfo",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetTemperatureV",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    "nvmlDeviceGetComputeRunningProcesses",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetPersistenceMode",
    "nvmlDeviceGetComputeMode",
    "nvmlDeviceGetMigMode",
]


def test_a_board_says_everything_in_base_units() -> None:
    found = run(DESCRIBE, "driven=1", "reasons=36", "foreign=4242", "limit=700")
    assert (found["driver"], found["nvml"], found["cuda"], found["assumption"]) == ("580.65.06", "13.580.65.06", "13.0", None)
    assert found["devices"] == [
        {
            "uuid": "GPU-aaaa0000-0000-4000-8000-000000000000",
            "name": "Fake GPU",
            "index": 0,
            "mig": False,
            "instance": None,
            "joules": 50_000.0,  # it has idled at 50 W for 1000 s
            "watts": pytest.approx(50.0, abs=2e-3),
            "kind": "instant",
            "limit": 700.0,
            "clocks": {"sm": 1.4e9, "memory": 1.593e9},
            "most": {"sm": 1.98e9, "memory": 1.593e9},
            "celsius": 41.0,
            "reasons": ["power-cap", "thermal"],
            "processes": [4242],
            "utilization": 0.75,
            "persistence": True,
            "mode": "default",
        }
    ]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ((), "instant"),
        (("nvmlField186=3",), "average"),
        (("nvmlField186=3", "nvmlField185=3"), "usage"),
        (("nvmlDeviceGetFieldValues=3",), "usage"),
        (("nvmlDeviceGetFieldValues=3", "nvmlDeviceGetPowerUsage=3"), None),
    ],
)
def test_power_comes_from_the_best_source_that_answers(words: tuple[str, ...], kind: str | None) -> None:
    (device,) = run(DESCRIBE, "driven=1", *words)["devices"]
    assert device["kind"] == kind
    assert device["watts"] == (None if kind is None else pytest.approx(50.0, abs=2e-3))


def silent(found: dict[str, Any]) -> None:
    """Check that a board says nothing but its identity, and never a zero for it."""
    (device,) = found["devices"]
    unknown = {name: value for name, value in device.items() if name not in {"uuid", "name", "index", "mig", "instance"}}
    assert unknown.pop("clocks") == unknown.pop("most") == {"sm": None, "memory": None}
    assert set(unknown.values()) == {None}


def test_what_a_board_does_not_support_is_none() -> None:
    silent(run(DESCRIBE, *(f"{name}=3" for name in OF_A_BOARD)))


def test_what_an_old_library_lacks_is_none() -> None:
    hidden = [name + "_v3" * name.endswith("RunningProcesses") for name in OF_A_BOARD]
    found = run(DESCRIBE, without=(*hidden, "nvmlSystemGetCudaDriverVersion_v2"))
    assert found["cuda"] is None
    silent(found)


def test_older_names_of_a_call_are_tried() -> None:
    without = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetCurrentClocksEventReasons")
    (device,) = run(DESCRIBE, "reasons=1", without=without)["devices"]
    assert (device["celsius"], device["reasons"]) == (41.0, ["idle"])


def test_a_figure_below_zero_is_not_taken_for_four_megawatts() -> None:
    (device,) = run(DESCRIBE, "driven=1", "power_gain=-0.2")["devices"]
    assert device["watts"] is None


@pytest.mark.parametrize("name", [name for name in OF_A_BOARD if name not in {"nvmlDeviceGetTemperature", "nvmlDeviceGetPowerUsage"}])
def test_a_lost_board_is_an_error_whatever_is_asked(name: str) -> None:
    if name == "nvmlDeviceGetCurrentClocksThrottleReasons":
        found = run(DESCRIBE, f"{name}=15", "nvmlDeviceGetCurrentClocksEventReasons=3")
    else:
        found = run(DESCRIBE, f"{name}=15")
    assert "the GPU is lost" in found["error"]
    assert "Xid" in found["mend"]


def test_twelve_boards_are_told_apart_by_uuid() -> None:
    found = run(DESCRIBE, "boards=12", CUDA_VISIBLE_DEVICES="11,GPU,3")["devices"]
    assert [device["index"] for device in found] == [11]  # the list ends at what is no number
    found = run(DESCRIBE, "boards=12", CUDA_VISIBLE_DEVICES="11,3")["devices"]
    assert [(device["index"], device["uuid"][:12]) for device in found] == [(11, "GPU-aaaa000b"), (3, "GPU-aaaa0003")]
    assert [device["index"] for device in run(DESCRIBE, "boards=12")["devices"]] == list(range(12))


def test_a_device_name_picks_one_of_the_visible_boards() -> None:
    (device,) = run(DESCRIBE, "boards=12", arguments=("cuda:1",), CUDA_VISIBLE_DEVICES="GPU-aaaa000a,GPU-aaaa0007")["devices"]
    assert device["index"] == 7


def test_a_mig_slice_is_shown_as_its_board() -> None:
    found = run(DESCRIBE, "boards=2", "slices.1=3", CUDA_VISIBLE_DEVICES="MIG-bbbb0009")["devices"]
    assert [(device["index"], device["mig"], device["instance"][:12]) for device in found] == [(1, True, "MIG-bbbb0009")]


@pytest.mark.parametrize(
    ("settings", "assumed"),
    [
        ({}, True),
        ({"CUDA_VISIBLE_DEVICES": "1"}, True),
        ({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False),
        ({"CUDA_VISIBLE_DEVICES": "GPU-aaaa0001"}, False),
    ],
)
def test_unlike_boards_named_by_number_are_an_assumption_that_is_told(settings: dict[str, Any], assumed: bool) -> None:
    found = run(DESCRIBE, "boards=2", "name.0=A2", "name.1=H100", **settings)
    assert (found["assumption"] is not None) == assumed


@pytest.mark.parametrize(
    ("word", "reason", "mend"),
    [
        ("nvmlInit=9", "the NVIDIA driver is not loaded", "modprobe nvidia"),
        ("nvmlInit=4", "no permission", "/dev/nvidiactl"),
        ("nvmlInit=17", "the operating system blocks", "container toolkit"),
        ("nvmlInit=18", "different versions", "reboot"),
        ("nvmlInit=999", "NVML answered 'Unknown Error' (code 999)", "nvidia-smi"),
        ("nvmlInit=77", "NVML answered 'fake error 77' (code 77)", "nvidia-smi"),
        ("nvmlDeviceGetCount=10", "the GPUs cannot be listed: the NVIDIA driver did not answer in time", "Xid"),
        ("nvmlDeviceGetHandleByIndex=15", "GPU 0 does not answer: the GPU is lost", "Xid"),
        ("nvmlDeviceGetUUID=16", "GPU 0 does not answer: the GPU needs a reset", "Xid"),
        ("nvmlSystemGetDriverVersion=999", "NVML does not answer", "nvidia-smi"),
        ("boards=0", "lists no GPU", "nvidia-smi -L"),
    ],
)
def test_a_driver_that_cannot_be_used_says_why_and_what_would_help(word: str, reason: str, mend: str) -> None:
    found = run(DESCRIBE, word)
    assert reason in found["error"]
    assert mend in found["mend"]


def test_a_library_too_old_to_open_says_so() -> None:
    found = run(DESCRIBE, without=("nvmlInitWithFlags",))
    assert "too old" in found["error"]
    assert "update the NVIDIA driver" in found["mend"]


def test_a_missing_library_says_so(tmp_path: Path) -> None:
    found = run(DESCRIBE, LD_LIBRARY_PATH=str(tmp_path))
    if "devices" in found:
        pytest.skip("this machine has a real driver")
    assert "libnvidia-ml.so.1 was not found" in found["error"]
    assert "install the NVIDIA driver" in found["mend"]


def test_missing_bindings_say_so() -> None:
    found = run("import sys; sys.modules['pynvml'] = None\n" + DESCRIBE)
    assert "cannot be imported" in found["error"]
    assert found["mend"] == "pip install nvidia-ml-py"


def test_the_library_is_closed_as_often_as_it_was_opened() -> None:
    script = """
import ctypes, json
from spanbench.measure.nvml.library import NvmlError, opened
library = ctypes.CDLL("libnvidia-ml.so.1")
with opened() as outer:
    with opened() as inner:
        inner.devices()
    still = outer.devices()[0].energy_joules() is not None
print(json.dumps([still, library.nvmlShutdown()]))
"""
    assert run(script) == [True, 1]  # NVML_ERROR_UNINITIALIZED: it was closed already
