"""Each condition on a made-up machine: it speaks when it should, with its figures, and is silent otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spanbench.measure.conditions.condition import Place
from spanbench.measure.conditions.load import LOAD
from spanbench.measure.conditions.stolen import STOLEN
from spanbench.measure.conditions.threads import THREADS, Allowance
from spanbench.measure.machine.times import CpuTimes
from tests.measure.conditions.machines import CORES, Machine, own, stat

HEAT = f"{CORES}/cpu0/thermal_throttle"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_said_of_a_quiet_machine_that_only_worked_for_us(machine: Machine) -> None:
    assert machine.run({"proc/stat": stat(user=2000, idle=10), "proc/self/stat": own(user=1990)}) == ()


def test_others_load_is_what_is_left_of_the_busy_time_after_ours(machine: Machine) -> None:
    (caution,) = machine.run({"proc/stat": stat(user=1200, system=300), "proc/self/stat": own(user=1000)})
    assert caution.code == "load"
    assert caution.text == "other processes used 5 s of CPU time in the run's 10 s (0.50 of a core on average)"


def test_ended_children_are_ours(machine: Machine) -> None:
    assert machine.codes({"proc/stat": stat(user=1000), "proc/self/stat": own(user=100, ended_children=900)}) == []


def test_living_children_and_theirs_are_ours(machine: Machine) -> None:
    tree: dict[str, object] = {"proc/self/task/77/children": "81 ", "proc/81/task/81/children": "82 ", "proc/82/task/82/children": ""}
    times = {"proc/81/stat": own(user=400), "proc/82/stat": own(user=500)}
    machine.set(tree)  # before the run they have no times: such a child ended as it was looked at
    assert machine.codes({"proc/stat": stat(user=1000), "proc/self/stat": own(user=100), **times}) == []


@given(others=st.integers(0, 400), ours=st.integers(0, 2000), seconds=st.floats(0.05, 20), stolen=st.integers(0, 50))
def test_load_and_stolen_time_are_told_exactly_beyond_their_limits(others: int, ours: int, seconds: float, stolen: int) -> None:
    # At a limit itself the rounding of floats decides.
    assume(others != 5 and abs(others - 5 * seconds) > 1e-6 and 100 * stolen != others + ours + stolen)
    before, after = CpuTimes(0, 0, 0), CpuTimes((others + ours) / 100, stolen / 100, ours / 100)
    assert (LOAD.judge((7.0, before), (7.0 + seconds, after)) is not None) == (others > 5 * seconds and others > 5)
    assert (STOLEN.judge(before, after) is not None) == (stolen >= 5 and 100 * stolen > others + ours + stolen)


@pytest.mark.parametrize(("ticks", "told"), [(4, False), (7, True)])
def test_a_few_ticks_of_a_short_run_are_no_load(machine: Machine, ticks: int, told: bool) -> None:
    assert (machine.codes({"proc/stat": stat(user=ticks)}, seconds=0.1) == ["load"]) is told


def test_stolen_time_is_a_share_of_what_was_wanted(machine: Machine) -> None:
    (caution,) = machine.run({"proc/stat": stat(user=900, stolen=100, idle=99_000), "proc/self/stat": own(user=900)})
    assert (caution.code, caution.text) == ("stolen", "this virtual machine's host took 10.0% of the CPU time that it wanted (1 s)")


def test_a_throttle_count_that_grew_is_told_with_the_largest_growth(machine: Machine) -> None:
    (caution,) = machine.run({f"{HEAT}/core_throttle_count": 15, f"{HEAT}/package_throttle_count": 7})
    assert caution.code == "throttling"
    assert "12 times" in caution.text


def test_a_core_that_was_switched_on_during_the_run_has_not_throttled(machine: Machine) -> None:
    machine.set({f"{CORES}/online": "0"})
    assert machine.codes({f"{CORES}/online": "0-1", f"{CORES}/cpu1/thermal_throttle/core_throttle_count": 9}) == []


@pytest.mark.parametrize(("before", "after"), [("powersave", "powersave"), ("performance", "schedutil"), ("ondemand", "performance")])
def test_a_governor_that_changes_the_clock_is_told_at_either_end(machine: Machine, before: str, after: str) -> None:
    path = f"{CORES}/cpufreq/policy0/scaling_governor"
    machine.set({path: before})
    (caution,) = machine.run({path: after})
    assert caution.code == "governor"
    assert all(name in caution.text for name in {before, after} - {"performance"})


def test_where_no_clock_can_be_set_there_is_no_governor(machine: Machine) -> None:
    machine.set({f"{CORES}/cpufreq/policy0/scaling_governor": None})
    assert machine.codes({}) == []


def test_the_battery_is_told_when_the_plug_is_pulled(machine: Machine) -> None:
    (caution,) = machine.run({"sys/class/power_supply/AC/online": 0})
    assert (caution.code, "part of the time" in caution.text) == ("battery", True)


def test_the_battery_of_a_mouse_is_not_the_machines(machine: Machine) -> None:
    for supply in ("AC/type", "AC/online", "BAT0/type", "BAT0/status"):
        machine.set({f"sys/class/power_supply/{supply}": None})
    mouse = "sys/class/power_supply/hidpp_battery_0"
    assert machine.codes({f"{mouse}/type": "Battery", f"{mouse}/status": "Discharging", f"{mouse}/scope": "Device"}) == []


@pytest.mark.parametrize(("kilohertz", "told"), [(4_000_000, False), (3_650_000, False), (3_500_000, True), (800_000, True)])
def test_a_clock_that_fell_by_more_than_a_tenth_is_told(machine: Machine, kilohertz: int, told: bool) -> None:
    assert (machine.codes({f"{CORES}/cpu1/cpufreq/scaling_cur_freq": kilohertz}) == ["frequency"]) is told


def test_the_clock_that_counts_is_that_of_the_core_we_run_on(machine: Machine) -> None:
    assert machine.codes({f"{CORES}/cpu0/cpufreq/scaling_cur_freq": 400_000}) == []


def test_a_move_to_a_slower_kind_of_core_is_no_fall(machine: Machine) -> None:
    slow: dict[str, object] = {f"{CORES}/cpu0/cpufreq/{name}": 2_000_000 for name in ("scaling_cur_freq", "cpuinfo_max_freq")}
    assert machine.codes(slow | {"proc/self/stat": own(core=0)}) == []


def test_swapping_is_told_in_bytes(machine: Machine) -> None:
    (caution,) = machine.run({"proc/vmstat": "pswpin 100\npswpout 456"})
    assert caution.code == "memory-pressure"
    assert "0 MiB were swapped in and 1 MiB out" in caution.text


@pytest.mark.parametrize(
    ("allowance", "figures"),
    [
        (Allowance(8, 8, None, {}), []),
        (Allowance(None, 1, 0.5, {"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "2"}), []),
        (Allowance(8, 2, None, {}), ["8 threads on 2 usable cores"]),
        (Allowance(4, 8, 1.5, {}), ["4 threads", "1.5 cores' time"]),
        (Allowance(8, 2, 1.0, {}), ["2 usable cores", "1 cores' time"]),
        (Allowance(2, 8, None, {"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "2"}), ["OMP_NUM_THREADS=8", "MKL_NUM_THREADS=2"]),
        (Allowance(4, 8, None, {"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "2"}), []),  # torch was told another number
        (Allowance(2, 8, None, {"OMP_NUM_THREADS": "2,4", "MKL_NUM_THREADS": "2"}), []),  # of nested levels the first counts
        (Allowance(2, 8, None, {"OMP_NUM_THREADS": "many", "MKL_NUM_THREADS": "2"}), []),
    ],
)
def test_threads_are_judged_by_what_there_is_after_the_run(allowance: Allowance, figures: list[str]) -> None:
    text = THREADS.judge(Allowance(None, None, None, {}), allowance)
    assert (text is None) == (not figures)
    assert all(figure in (text or "") for figure in figures)


def test_torchs_own_threads_and_a_made_up_quota_are_what_is_judged(tmp_path: Path) -> None:
    import torch

    machine = Machine(tmp_path)
    machine.set({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"})
    state = THREADS.read(Place(machine.root))
    assert (state.threads, state.quota) == (torch.get_num_threads(), 0.5)
    assert "0.5 cores' time" in (THREADS.judge(state, state) or "")
