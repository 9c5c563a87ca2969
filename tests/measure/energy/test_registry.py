"""Which meter is taken where nobody names one, what a name may be, and what a sum may hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.measure.energy import AUTO, METERS, Guard, Target, best_meter, get_meter
from spanbench.measure.energy.protocol import Meter, Window
from spanbench.measure.energy.rapl import RaplMeter
from spanbench.measure.energy.registry import ADDABLE
from tests.measure.energy.powercap import Tree, server
from tests.measure.nvml.fake import run

WORK = Window("work")

CHOOSE = """
import json, sys
from spanbench.measure.energy import Target, best_meter
print(json.dumps({device: best_meter(Target(device)).name for device in sys.argv[1:]}))
"""


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Let the registry's `rapl` look at the counters of a server, in a folder."""
    tree = Tree(tmp_path, server())
    monkeypatch.setitem(registered(), "rapl", lambda _: RaplMeter(tmp_path, clock=tree, sleep=tree.sleep))
    return tree


def registered() -> dict[str, Callable[[Target], Meter]]:
    """Return the registry as what it is: only its type says that it is not written to."""
    assert isinstance(METERS, dict)
    return METERS


def test_a_cpu_is_metered_by_its_own_counters_where_they_can_be_read(powercap: Tree) -> None:
    assert best_meter(Target("cpu")).name == "rapl"
    with Guard(get_meter(AUTO)) as guard:
        guard.begin(WORK)
        before = sum(zone.truth for zone in powercap.zones[:4])  # packages and their memory
        powercap.spend(1.0, 100.0)
        truth = sum(zone.truth for zone in powercap.zones[:4]) - before
        reading = guard.end()
    assert reading.joules == pytest.approx(truth, rel=0.01)


def test_counters_that_stand_still_are_no_reason_to_take_a_weaker_meter_silently(powercap: Tree) -> None:
    for zone in powercap.zones:
        zone.stuck = True
    with Guard(best_meter()) as guard:
        guard.begin(WORK)
        reading = guard.end()
    assert (guard.name, reading.joules) == ("rapl", None)
    assert reading.reason is not None


def test_without_them_a_cpu_is_metered_by_codecarbon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registered(), "rapl", lambda _: RaplMeter(tmp_path))  # an empty machine
    assert best_meter(Target("cpu")).name == "codecarbon"
    assert get_meter(AUTO).source == "estimated"


@pytest.mark.parametrize(
    ("words", "on_a_gpu"),
    [
        ((), "nvml"),
        (("nvmlDeviceGetTotalEnergyConsumption=3",), "nvml-power"),  # 3: not supported
        (("nvmlDeviceGetTotalEnergyConsumption=3", "nvmlField186=3", "nvmlField185=3", "nvmlDeviceGetPowerUsage=3"), "codecarbon"),
        (("nvmlInit=9",), "codecarbon"),
    ],
)
def test_a_gpu_is_metered_by_its_counter_then_its_power_and_a_cpu_never_by_a_gpu(words: tuple[str, ...], on_a_gpu: str) -> None:
    chosen = run(CHOOSE, *words, arguments=("cuda", "cuda:0", "cpu"))
    assert chosen.pop("cpu") in {"rapl", "codecarbon"}
    assert set(chosen.values()) == {on_a_gpu}


@pytest.mark.parametrize("name", ["nvml+model", "nvml+codecarbon", "none+nvml", "rapl+codecarbon", "auto+nvml", "nvml+", "+"])
def test_only_sensors_stand_in_a_sum(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--meter {name!r}: a sum needs meters of different hardware")):
        get_meter(name)


@pytest.mark.parametrize("name", ["nvml+nvml-power", "rapl+rapl", "nvml+rapl+nvml"])
def test_a_sum_that_reads_the_same_hardware_twice_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="twice"):
        get_meter(name)


@pytest.mark.parametrize("name", ["rapl+nvml", "nvml+rapl", "rapl+nvml-power"])
def test_a_sum_names_its_parts_in_the_order_given(name: str) -> None:
    meter = get_meter(name)
    assert (meter.name, meter.source) == (name, "measured")


@given(st.text(alphabet="abcdelmnoprv-+ 0", max_size=12))
def test_a_name_is_a_meter_a_sum_of_different_meters_or_refused_with_the_names_there_are(name: str) -> None:
    parts = name.split("+")
    sensors = [ADDABLE.get(part.strip()) for part in parts]
    if name in (AUTO, *METERS) or (len(parts) > 1 and None not in sensors and len(set(sensors)) == len(parts)):
        assert get_meter(name).name == (best_meter().name if name == AUTO else "+".join(part.strip() for part in parts))
        return
    with pytest.raises(UsageError, match="--meter") as refused:
        get_meter(name)
    assert "known" in str(refused.value) or "did you mean" in str(refused.value) or "twice" in str(refused.value)
