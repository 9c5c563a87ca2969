"""Conditions of the GPU, through NVML's real bindings and a fake driver that changes while the run lasts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.measure.conditions.machines import Machine
from tests.measure.nvml import fake

OUTERMOST, CONTAINER = "pid:[4026531836]", "pid:[4026532555]"
UUID = "GPU-aaaa0000-0000-4000-8000-000000000000"

WATCHED = """
import ctypes, json, os, sys
from pathlib import Path
from spanbench.measure.conditions import Watch

root, *during = sys.argv[1:]
watch = Watch("cuda", root=Path(root))
watch.start()
for word in during:
    ctypes.CDLL("libnvidia-ml.so.1").fake_word(word.replace("OWN", str(os.getpid())).encode())
print(json.dumps({caution.code: caution.text for caution in watch.stop()}))
"""


def watched(folder: Path, *during: str, before: tuple[str, ...] = (), namespace: str = OUTERMOST, **settings: str) -> dict[str, str]:
    """Return the cautions of a run on the first fake board, during which words of the scenario change."""
    machine = Machine(folder)
    (machine.root / "proc/self/ns").mkdir()
    (machine.root / "proc/self/ns/pid").symlink_to(namespace)
    found: dict[str, str] = fake.run(WATCHED, *before, without=(), arguments=(str(folder), *during), **settings)
    return found


@pytest.mark.parametrize("during", [(), ("foreign=OWN",), ("foreign.1=4242",), ("reasons=3",)])
def test_our_own_process_and_an_idle_clock_and_another_board_are_no_disturbance(tmp_path: Path, during: tuple[str, ...]) -> None:
    assert watched(tmp_path, *during, before=("boards=2",)) == {}


def test_another_process_is_told_when_it_comes_during_the_run(tmp_path: Path) -> None:
    assert watched(tmp_path, "foreign=4242") == {"foreign-gpu": f"1 other process computed on {UUID}"}


def test_another_process_is_told_when_it_left_during_the_run(tmp_path: Path) -> None:
    assert list(watched(tmp_path, "foreign=0", before=("foreign=4242",))) == ["foreign-gpu"]


@pytest.mark.parametrize(("during", "listed"), [(("foreign=4242",), "1 process"), ((), "0 processes")])
def test_in_a_container_that_hides_numbers_it_is_said_to_be_unknown(tmp_path: Path, during: tuple[str, ...], listed: str) -> None:
    found = watched(tmp_path, *during, namespace=CONTAINER)
    assert list(found) == ["unwatched"]
    assert f"foreign-gpu could not be watched: the driver lists {listed} on {UUID}" in found["unwatched"]


def test_a_container_in_which_the_driver_knows_our_number_can_tell(tmp_path: Path) -> None:
    assert watched(tmp_path, "foreign=OWN", namespace=CONTAINER) == {}


def test_a_clock_that_is_held_down_is_told_with_reason_and_moment(tmp_path: Path) -> None:
    found = watched(tmp_path, "reasons=0x48", before=("reasons=5",))
    text = f"the GPU's clock was held down: power-cap before the run on {UUID}; hardware-slowdown, hardware-thermal after the run on {UUID}"
    assert found == {"throttling": text}


@pytest.mark.parametrize(
    ("during", "said"),
    [
        ("nvmlDeviceGetCurrentClocksEventReasons=15", "throttling of the GPU could not be watched: throttle reasons of GPU-"),
        ("nvmlDeviceGetClockInfo=15", "frequency of the GPU could not be watched: sm clock of GPU-"),
        ("nvmlDeviceGetComputeRunningProcesses=3", "foreign-gpu could not be watched: the driver does not list the processes"),
    ],
)
def test_a_gpu_that_stops_answering_costs_only_the_knowledge(tmp_path: Path, during: str, said: str) -> None:
    found = watched(tmp_path, during)
    assert list(found) == ["unwatched"]
    assert found["unwatched"].startswith(said)


def test_hidden_gpus_are_said_with_the_variable_that_hides_them(tmp_path: Path) -> None:
    found = watched(tmp_path, CUDA_VISIBLE_DEVICES="")
    assert list(found) == ["unwatched"]
    assert "CUDA_VISIBLE_DEVICES is empty" in found["unwatched"]
