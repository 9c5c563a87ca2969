"""GPUs of the environment, through NVML's real bindings and a fake driver."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.measure.nvml import fake

ASKED = "import json; from spanbench.measure.machine import environment; print(json.dumps(environment()['gpu']))"


def asked(*words: str, **settings: str) -> dict[str, Any]:
    found: dict[str, Any] = fake.run(ASKED, *words, without=(), arguments=(), **settings)
    return found


def test_every_visible_gpu_is_described_in_base_units() -> None:
    found = asked("boards=2", "reasons.1=4", "limit=700")
    assert (found["driver"], found["nvml"], found["reason"]) == ("580.65.06", "13.580.65.06", None)
    first, second = found["devices"]
    assert first == {
        "name": "Fake GPU",
        "uuid": "GPU-aaaa0000-0000-4000-8000-000000000000",
        "mig": None,
        "now_hertz": {"sm": 1.4e9, "memory": 1.593e9},
        "max_hertz": {"sm": 1.98e9, "memory": 1.593e9},
        "power_limit_watts": 700.0,
        "celsius": 41.0,
        "held_back_by": [],
        "persistence": True,
        "compute_mode": "default",
    }
    assert second["held_back_by"] == ["power-cap"]


def test_only_what_cuda_would_see_is_listed() -> None:
    found = asked("boards=3", CUDA_VISIBLE_DEVICES="2,0")
    assert [device["uuid"][:12] for device in found["devices"]] == ["GPU-aaaa0002", "GPU-aaaa0000"]


def test_hidden_gpus_leave_the_driver_and_the_reason() -> None:
    found = asked(CUDA_VISIBLE_DEVICES="")
    assert (found["driver"], found["devices"]) == ("580.65.06", [])
    assert "CUDA_VISIBLE_DEVICES is empty" in found["reason"]


@pytest.mark.parametrize("code", [3, 15])
def test_what_one_gpu_does_not_tell_is_null_and_the_rest_is_kept(code: int) -> None:
    (device,) = asked(f"nvmlDeviceGetClockInfo={code}", f"nvmlDeviceGetEnforcedPowerLimit={code}")["devices"]
    assert device["power_limit_watts"] is None
    assert device["now_hertz"] in (None, {"sm": None, "memory": None})
    assert device["celsius"] == 41.0


def test_a_driver_that_is_not_loaded_is_the_reason() -> None:
    found = asked("nvmlInit=9")
    assert (found["driver"], found["devices"]) == (None, [])
    assert "driver is not loaded" in json.dumps(found["reason"])
