"""Which meter is taken where nobody names one, what a name may be, and what a sum may hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.measure.energy import AUTO, METERS, Guard, Target, best_meter, get_meter
from spanbench.measure.energy.protocol import Meter, Window
from spanbench.measure.energy.rapl import RaplMeter
from spanbench.measure.energy.registry import METERS as REGISTERED
from tests.measure.energy.powercap import Tree, server
from tests.measure.nvml.fake import run

WORK = Window("work")

CHOOSE = """
import json, sys
from spanbench.measure.energy import Target, best_meter
print(json.dumps({device: best_meter(Target(device)).name for device in sys.argv[1:]}))
"""

ADD = """
import json, sys
from spanbench.measure.energy import Guard, get_meter
from spanbench.measure.energy.protocol import Window
found = {}
for name in sys.argv[1:]:
    with Guard(get_meter(name)) as guard:
        guard.begin(Window("work"))
        reading = guard.end()
        found[name] = [reading.joules, reading.reason]
print(json.dumps(found))
"""


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Let the registry's `rapl` look at the counters of a server, in a folder."""
    tree = Tree(tmp_path, server())
    real: Callable[[Target], Meter] = lambda _: RaplMeter(tmp_path, clock=tree, sleep=tree.sleep)  # noqa: E731 - as the registry has them
    monkeypatch.setitem(dict_of_meters(), "rapl", real)
    return tree


def dict_of_meters() -> dict[str, Callable[[Target], Meter]]:
    assert isinstance(REGISTERED, dict)
    return REGISTERED


def test_a_cpu_is_metered_by_its_own_counters_where_they_can_be_read(powercap: Tree) -> None:
    assert best_meter(Target("cpu")).name == "rapl"
    with Guard(get_meter(AUTO)) as guard:
        guard.begin(WORK)
        before = sum(zone.truth for zone in powercap.zones[:4])  # packages and their memory
        powercap.spend(1.0, 100.0)
        truth = sum(zone.truth for zone in powercap.zones[:4]) - before
        reading = guard.end()
    assert reading.joules == pytest.approx(truth, rel=0.01)


@pytest.mark.usefixtures("powercap")
def test_counters_that_stand_still_are_no_reason_to_take_a_weaker_meter_silently(powercap: Tree) -> None:
    for zone in powercap.zones:
        zone.stuck = True
    with Guard(best_meter()) as guard:
        guard.begin(WORK)
        reading = guard.end()
    assert (guard.name, reading.joules) == ("rapl", None)
    assert "stuck" in (reading.reason or "") or "still" in (reading.reason or ""), reading.reason


def test_without_them_a_cpu_is_metered_by_codecarbon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dict_of_meters(), "rapl", lambda _: RaplMeter(tmp_path))  # an empty machine
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


def test_sums_of_what_counts_the_same_or_something_unlike_have_no_joules_and_say_why() -> None:
    found = run(ADD, arguments=("nvml+nvml-power", "nvml+model", "nvml+codecarbon", "none+nvml"))
    assert [name for name, (joules, _) in found.items() if joules is not None] == []
    assert "nvml and nvml-power both count gpu:GPU-aaaa0000-0000-4000-8000-000000000000" in found["nvml+nvml-power"][1]
    assert "model counts the work alone: its joules cannot be added" in found["nvml+model"][1]
    assert "codecarbon counts the whole machine: its joules cannot be added" in found["nvml+codecarbon"][1]
    assert "none counts nothing: its joules cannot be added" in found["none+nvml"][1]


def test_a_counter_and_an_estimate_of_the_same_packages_are_not_added(powercap: Tree) -> None:
    assert powercap.zones
    with Guard(get_meter("rapl+codecarbon")) as guard:
        guard.begin(WORK)
        reading = guard.end()
    assert reading.joules is None
    assert "codecarbon counts the whole machine: its joules cannot be added" in (reading.reason or "")


def test_a_sum_names_its_parts_in_the_order_given_and_is_as_weak_as_the_weakest() -> None:
    for name, source in (("rapl+nvml", "measured"), ("nvml+rapl", "measured"), ("nvml+codecarbon", "estimated"), ("rapl+model", "modelled")):
        meter = get_meter(name)
        assert (meter.name, meter.source) == (name, source)


@given(st.text(alphabet="abcdelmnoprv-+ 0", max_size=12))
def test_a_name_is_a_meter_a_sum_of_different_meters_or_refused_with_the_names_there_are(name: str) -> None:
    parts = name.split("+")
    if name == AUTO or (set(parts) <= set(METERS) and len(set(parts)) == len(parts)):
        assert get_meter(name).name == (name if name != AUTO else best_meter().name)
        return
    with pytest.raises(UsageError, match="--meter") as refused:
        get_meter(name)
    assert "known" in str(refused.value) or "did you mean" in str(refused.value) or "twice" in str(refused.value)
