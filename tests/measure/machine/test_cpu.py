"""The CPU, its clock and its heat, from made-up /proc and /sys trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanbench.measure.host.kernel import listed
from spanbench.measure.machine.clocks import celsius, clocks, governors
from spanbench.measure.machine.cpu import cpu
from tests.measure.host.test_memory import tree

CORES = "sys/devices/system/cpu"


def two_sockets() -> dict[str, object]:
    """Return two sockets of two cores of two threads, numbered as Linux does: threads last."""
    files: dict[str, object] = {f"{CORES}/online": "0-7", f"{CORES}/smt/active": 1}
    for thread in range(8):
        core = thread % 4
        files[f"{CORES}/cpu{thread}/topology/core_cpus_list"] = f"{core},{core + 4}"
        files[f"{CORES}/cpu{thread}/topology/physical_package_id"] = core // 2
    return files


def test_cores_sockets_and_threads_are_counted_apart(tmp_path: Path) -> None:
    found = cpu(tree(tmp_path, two_sockets()))
    assert (found["sockets"], found["physical_cores"], found["logical_cores"], found["smt"]) == (2, 4, 8, True)


def test_a_core_that_is_switched_off_is_not_counted(tmp_path: Path) -> None:
    found = cpu(tree(tmp_path, two_sockets() | {f"{CORES}/online": "0-1,4-5"}))
    assert (found["sockets"], found["physical_cores"], found["logical_cores"]) == (1, 2, 4)


def test_an_older_kernels_name_for_siblings_is_read(tmp_path: Path) -> None:
    files = {name.replace("core_cpus_list", "thread_siblings_list"): content for name, content in two_sockets().items()}
    assert cpu(tree(tmp_path, files))["physical_cores"] == 4


def test_caches_have_bytes_and_sharers_in_order(tmp_path: Path) -> None:
    sizes = {
        0: (1, "Data", "48K", "0"),
        1: (1, "Instruction", "32K", "0"),
        2: (2, "Unified", "2M", "0"),
        3: (3, "Unified", "307200K", "0-31,64-95"),
    }
    files: dict[str, object] = {}
    for index, values in sizes.items():
        names = ("level", "type", "size", "shared_cpu_list")
        files |= {f"{CORES}/cpu0/cache/index{index}/{name}": value for name, value in zip(names, values, strict=True)}
    found = cpu(tree(tmp_path, files))["caches"]
    assert [(cache["level"], cache["type"], cache["bytes"], cache["shared_by_cores"]) for cache in found] == [
        (1, "data", 48 << 10, 1),
        (1, "instruction", 32 << 10, 1),
        (2, "unified", 2 << 20, 1),
        (3, "unified", 300 << 20, 64),
    ]


def test_a_cache_of_unknown_size_is_null(tmp_path: Path) -> None:
    found = cpu(tree(tmp_path, {f"{CORES}/cpu0/cache/index0/size": "many"}))["caches"]
    assert found == [{"level": None, "type": None, "bytes": None, "shared_by_cores": None}]


def test_clocks_are_in_hertz_and_of_the_core_we_run_on(tmp_path: Path) -> None:
    names = ("base_frequency", "scaling_min_freq", "cpuinfo_max_freq", "scaling_cur_freq")
    own = {f"{CORES}/cpu1/cpufreq/{name}": kilo for name, kilo in zip(names, (2_100_000, 800_000, 4_500_000, 3_900_000), strict=True)}
    other = {f"{CORES}/cpu0/cpufreq/{name}": 1 for name in names}
    stat = "7 (spanbench) " + " ".join(["S", *["0"] * 35, "1"])
    found = clocks(tree(tmp_path, {**own, **other, "proc/self/stat": stat, f"{CORES}/cpu1/cpufreq/scaling_driver": "intel_pstate"}))
    assert [found[name] for name in ("base_hertz", "min_hertz", "max_hertz", "now_hertz")] == [2.1e9, 0.8e9, 4.5e9, 3.9e9]
    assert found["driver"] == "intel_pstate"


@pytest.mark.parametrize(
    ("switch", "value", "boost"),
    [
        ("intel_pstate/no_turbo", 0, True),
        ("intel_pstate/no_turbo", 1, False),
        ("cpufreq/boost", 1, True),
        ("cpufreq/boost", 0, False),
        ("cpu0/cpufreq/boost", 1, True),
        ("cpufreq/other", 1, None),
    ],
)
def test_every_drivers_switch_for_the_boost_is_known(tmp_path: Path, switch: str, value: int, boost: bool | None) -> None:
    assert clocks(tree(tmp_path, {f"{CORES}/{switch}": value}))["boost"] is boost


def test_governors_are_those_of_every_group_of_cores(tmp_path: Path) -> None:
    tree(tmp_path, {f"{CORES}/cpufreq/policy{index}/scaling_governor": name for index, name in enumerate(["performance", "powersave"])})
    assert governors(tmp_path) == ("performance", "powersave")
    assert clocks(tmp_path)["governor"] == ["performance", "powersave"]


def test_heat_is_the_hottest_of_the_cpus_own_sensors(tmp_path: Path) -> None:
    disk = {"sys/class/hwmon/hwmon0/name": "nvme", "sys/class/hwmon/hwmon0/temp1_input": 80_000}
    chip = {
        "sys/class/hwmon/hwmon1/name": "coretemp",
        "sys/class/hwmon/hwmon1/temp1_input": 51_000,
        "sys/class/hwmon/hwmon1/temp2_input": 62_500,
    }
    assert celsius(tree(tmp_path, {**disk, **chip})) == 62.5


def test_heat_comes_from_a_thermal_zone_where_there_is_no_sensor(tmp_path: Path) -> None:
    zones = {
        "thermal_zone0/type": "acpitz",
        "thermal_zone0/temp": 90_000,
        "thermal_zone1/type": "x86_pkg_temp",
        "thermal_zone1/temp": 44_000,
    }
    assert celsius(tree(tmp_path, {f"sys/class/thermal/{name}": value for name, value in zones.items()})) == 44.0


@pytest.mark.parametrize(
    ("ranges", "numbers"), [("0", (0,)), ("0-2,8", (0, 1, 2, 8)), ("", ()), ("a-b", ()), ("0-", (0,)), ("3,5-6\n", (3, 5, 6))]
)
def test_a_kernels_list_of_numbers(ranges: str, numbers: tuple[int, ...]) -> None:
    assert listed(ranges) == numbers
