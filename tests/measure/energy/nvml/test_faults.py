"""Each way for a GPU's meter to fail: the joules are unknown with a reason that names the cause, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.measure.nvml.fake import run

# One window of two seconds behind the guard, as a run has it. `during` happens within.
WINDOW = """
import json, os, sys
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.nvml import NvmlMeter, NvmlPowerMeter
from tests.measure.nvml.world import WORK, Boards, seeded
boards = Boards() if os.environ.get("SPANBENCH_FAKE_NVML") else None

def meter(name, device=None):
    made = {"nvml": NvmlMeter, "nvml-power": NvmlPowerMeter}[name]
    return made(device, pace=boards.pace) if boards else made(device)

def window(name, device=None, during=None):
    probe = meter(name, device).probe()
    with Guard(meter(name, device)) as guard:
        guard.begin(WORK)
        if boards:
            boards.draw(300.0)
            boards.sleep(1.0)
            if during:
                during()
            boards.sleep(1.0)
            boards.draw(50.0)
        reading = guard.end()
    return {"available": probe.available, "reason": reading.reason, "joules": reading.joules, "probed": probe.reason, "mend": probe.mend,
            "cautions": {c.code: c.text for c in reading.cautions}}
"""

METERS = ("nvml", "nvml-power")


def refused(found: dict[str, Any], cause: str) -> None:
    """Check that a meter was not available, for that cause, and that the window says so too."""
    assert (found["available"], found["joules"]) == (False, None)
    assert cause in found["probed"]
    assert cause in found["reason"]
    assert found["mend"]


def failed(found: dict[str, Any], cause: str) -> None:
    """Check that a meter was there and lost its joules in the window, for that cause."""
    assert (found["available"], found["joules"]) == (True, None)
    assert cause in found["reason"]


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("nvmlInit=9", "the NVIDIA driver is not loaded"),
        ("nvmlInit=4", "no permission"),
        ("nvmlInit=17", "the operating system blocks"),
        ("nvmlInit=18", "different versions"),
        ("nvmlInit=999", "Unknown Error"),
        ("nvmlDeviceGetCount=10", "did not answer in time"),
        ("nvmlDeviceGetHandleByIndex=15", "the GPU is lost"),
        ("boards=0", "lists no GPU"),
    ],
)
def test_a_driver_that_does_not_start_is_a_reason(meter: str, word: str, cause: str) -> None:
    refused(run(WINDOW + f"print(json.dumps(window('{meter}')))", "driven=1", word), cause)


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize(
    ("setting", "cause"),
    [
        ("", "CUDA_VISIBLE_DEVICES is empty"),
        ("-1", "CUDA_VISIBLE_DEVICES=-1"),
        ("GPU-dead", "CUDA_VISIBLE_DEVICES=GPU-dead"),
        ("5", "none of the 1 GPUs"),
        ("MIG-1", "CUDA_VISIBLE_DEVICES=MIG-1"),
    ],
)
def test_a_list_that_hides_every_board_is_a_reason(meter: str, setting: str, cause: str) -> None:
    refused(run(WINDOW + f"print(json.dumps(window('{meter}')))", "driven=1", CUDA_VISIBLE_DEVICES=setting), cause)


@pytest.mark.parametrize("meter", METERS)
def test_a_device_that_does_not_exist_is_a_reason(meter: str) -> None:
    refused(run(WINDOW + f"print(json.dumps(window('{meter}', 'cuda:1')))", "driven=1"), "cuda:1 does not exist")


@pytest.mark.parametrize("meter", METERS)
def test_a_missing_library_is_a_reason(meter: str, tmp_path: Path) -> None:
    script = "import os; os.environ['SPANBENCH_FAKE_NVML'] = ''\n" + WINDOW + f"print(json.dumps(window('{meter}')))"
    found = run(script, LD_LIBRARY_PATH=str(tmp_path))
    if found["available"]:
        pytest.skip("this machine has a real driver")
    refused(found, "libnvidia-ml.so.1 was not found")


def test_a_file_that_is_no_library_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library", encoding="utf-8")
    script = "import os; os.environ['SPANBENCH_FAKE_NVML'] = ''\n" + WINDOW + "print(json.dumps(window('nvml')))"
    found = run(script, LD_LIBRARY_PATH=str(tmp_path))
    if found["available"]:
        pytest.skip("this machine has a real driver")
    refused(found, "libnvidia-ml.so.1 was not found")


@pytest.mark.parametrize("meter", METERS)
def test_missing_bindings_are_a_reason(meter: str) -> None:
    script = "import sys; sys.modules['pynvml'] = None\n" + WINDOW + f"print(json.dumps(window('{meter}')))"
    refused(run(script, "driven=1"), "bindings")


@pytest.mark.parametrize("meter", METERS)
def test_a_library_too_old_to_start_is_a_reason(meter: str) -> None:
    found = run(WINDOW + f"print(json.dumps(window('{meter}')))", "driven=1", without=("nvmlInitWithFlags",))
    refused(found, "too old")


def test_a_missing_counter_function_is_a_reason_and_power_still_serves() -> None:
    script = WINDOW + "print(json.dumps([window('nvml'), window('nvml-power')]))"
    counter, power = run(script, "driven=1", without=("nvmlDeviceGetTotalEnergyConsumption",))
    refused(counter, "no energy counter")
    assert "nvml-power" in counter["mend"]
    assert power["joules"] == pytest.approx(600, rel=0.1)


def test_a_library_without_field_values_is_read_by_its_older_power_call() -> None:
    found = run(WINDOW + "print(json.dumps(window('nvml-power')))", "driven=1", without=("nvmlDeviceGetFieldValues",))
    assert found["joules"] == pytest.approx(600, rel=0.01)


@pytest.mark.parametrize(
    ("meter", "words", "cause"),
    [
        ("nvml", ("nvmlDeviceGetTotalEnergyConsumption=3",), "no energy counter"),
        ("nvml", ("nvmlDeviceGetTotalEnergyConsumption=4",), "no permission"),
        ("nvml", ("nvmlDeviceGetTotalEnergyConsumption=15",), "the GPU is lost"),
        ("nvml", ("boards=2", "nvmlDeviceGetTotalEnergyConsumption.1=3"), "GPU-aaaa0001-0000-4000-8000-000000000001"),
        ("nvml", ("gain=-1",), "impossible"),
        ("nvml-power", ("nvmlDeviceGetFieldValues=3", "nvmlDeviceGetPowerUsage=3"), "no power reading"),
        ("nvml-power", ("nvmlDeviceGetFieldValues=4",), "no permission"),
        ("nvml-power", ("power_gain=-1",), "no power reading"),
        ("nvml-power", ("power_gain=0",), "reads 0 W"),
    ],
)
def test_a_board_without_a_usable_sensor_is_a_reason(meter: str, words: tuple[str, ...], cause: str) -> None:
    found = run(WINDOW + f"print(json.dumps(window('{meter}')))", "driven=1", *words)
    assert (found["available"], found["joules"]) == (False, None)
    assert cause in found["probed"]
    assert cause in found["reason"]


@pytest.mark.parametrize(
    ("meter", "during", "cause"),
    [
        ("nvml", "boards.word('nvmlDeviceGetTotalEnergyConsumption=15')", "the GPU is lost"),
        ("nvml", "boards.word('nvmlDeviceGetTotalEnergyConsumption=3')", "no longer gives its energy counter"),
        ("nvml", "boards.word('nvmlDeviceGetTotalEnergyConsumption=999')", "Unknown Error"),
        ("nvml", "boards.library.fake_reset(0)", "was reset"),
        ("nvml", "boards.library.fake_stick(0)", "is stuck"),
        ("nvml", "boards.word('gain=-1')", "impossible"),
        ("nvml", "boards.word('gain=1.5')", "jumped"),
        ("nvml-power", "boards.word('nvmlDeviceGetFieldValues=15')", "the GPU is lost"),
        ("nvml-power", "boards.word('nvmlField186=3')", "no power reading"),
        ("nvml-power", "boards.word('power_gain=-1')", "no power reading"),
        ("nvml-power", "boards.word('power_gain=0')", "reads 0 W"),
    ],
)
def test_a_sensor_that_fails_within_a_window_costs_that_window_s_joules(meter: str, during: str, cause: str) -> None:
    failed(run(WINDOW + f"print(json.dumps(window('{meter}', during=lambda: {during})))", "driven=1"), cause)


@pytest.mark.parametrize("meter", METERS)
def test_a_board_that_recovers_is_read_again_in_the_next_window(meter: str) -> None:
    script = f"""
with Guard(meter("{meter}")) as guard:
    def measured():
        guard.begin(WORK)
        boards.draw(300.0)
        boards.sleep(5.0)
        boards.draw(50.0)
        return guard.end().joules
    found = [measured()]
    boards.word("nvmlDeviceGetTotalEnergyConsumption=15")
    boards.word("nvmlDeviceGetFieldValues=15")
    found.append(measured())
    boards.library.fake_mend()
    found.append(measured())
print(json.dumps(found))
"""
    before, lost, after = run(WINDOW + script, "driven=1")
    assert lost is None
    assert (before, after) == (pytest.approx(1500, rel=0.05), pytest.approx(1500, rel=0.05))


def test_a_counter_and_a_power_that_disagree_are_told_with_both_figures() -> None:
    found = run(WINDOW + "print(json.dumps(window('nvml')))", "driven=1", f"power_gain={327 / 187}")
    assert found["joules"] is not None
    text = found["cautions"]["counters-disagree"]
    counter, power = (float(word) for word in text.split() if word[0].isdigit() and float(word) > 100)
    assert power / counter == pytest.approx(327 / 187, rel=0.1)


def test_an_agreeing_power_says_nothing() -> None:
    assert run(WINDOW + "print(json.dumps(window('nvml')))", "driven=1")["cautions"] == {}


@pytest.mark.parametrize(
    ("words", "during"),
    [
        (("nvmlDeviceGetFieldValues=3", "nvmlDeviceGetPowerUsage=3"), "None"),
        (("nvmlDeviceGetFieldValues=4",), "None"),
        ((), "boards.word('nvmlDeviceGetFieldValues=15')"),
    ],
)
def test_a_power_sensor_that_fails_costs_the_check_and_not_the_counter_s_joules(words: tuple[str, ...], during: str) -> None:
    script = f"""
with meter("nvml").session() as session:
    by = session.by
found = window("nvml", during=lambda: {during})
print(json.dumps([by, found["joules"], list(found["cautions"])]))
"""
    by, joules, codes = run(WINDOW + script, "driven=1", *words)
    assert joules is not None
    assert ("not checked" in by) == bool(words)
    assert codes == ([] if words else ["counter-unchecked"])


@pytest.mark.parametrize("meter", METERS)
def test_a_board_that_hides_its_power_limit_gives_joules_without_a_bound(meter: str) -> None:
    found = run(WINDOW + f"print(json.dumps(window('{meter}')))", "driven=1", "nvmlDeviceGetEnforcedPowerLimit=3")
    assert found["joules"] is not None
    assert list(found["cautions"]) == ["energy-unbounded"]


def test_an_interrupt_within_a_window_leaves_no_sampler_behind() -> None:
    script = """
import threading
for made in (NvmlMeter, NvmlPowerMeter):
    try:
        with Guard(made()) as guard:
            guard.begin(WORK)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
print(json.dumps([thread.name for thread in threading.enumerate()]))
"""
    assert run(WINDOW + script, "limit=300") == ["MainThread"]
