"""The system around the process, and its threads, from made-up trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanbench.measure.machine.system import container, guest, hardware, numa_nodes, power, system
from spanbench.measure.machine.threads import quota_cores, threads, variables
from tests.measure.host.test_memory import tree

SUPPLY = "sys/class/power_supply"


def supplies(**files: object) -> dict[str, object]:
    """Return supplies of the machine: AC_online=0 is the file AC/online."""
    return {f"{SUPPLY}/{name.replace('_', '/', 1)}": content for name, content in files.items()}


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({}, None),
        (supplies(AC_type="Mains", AC_online=1), "mains"),
        (supplies(AC_type="Mains", AC_online=1, BAT0_type="Battery", BAT0_status="Discharging"), "mains"),  # a weak charger
        (supplies(AC_type="Mains", AC_online=0, BAT0_type="Battery", BAT0_status="Unknown"), "battery"),
        (supplies(BAT0_type="Battery", BAT0_status="Discharging"), "battery"),
        (supplies(BAT0_type="Battery", BAT0_status="Full"), "mains"),
        (supplies(UC_type="USB", UC_online=1, BAT0_type="Battery", BAT0_status="Charging"), "mains"),
        (supplies(M_type="Battery", M_status="Discharging", M_scope="Device"), None),
    ],
)
def test_what_feeds_the_machine(tmp_path: Path, files: dict[str, object], source: str | None) -> None:
    assert power(tree(tmp_path, files)) == source


def test_kernel_distribution_and_large_pages(tmp_path: Path) -> None:
    files = {
        "etc/os-release": 'NAME="A"\nPRETTY_NAME="A System 12 (\'x=y\')"',
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    }
    found = system(tree(tmp_path, dict(files)))
    assert (found["distribution"], found["huge_pages"]) == ("A System 12 ('x=y')", "madvise")


def test_memory_nodes_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    node = "sys/devices/system/node/node"
    tree(tmp_path, {f"{node}{number}/cpulist": f"{number}-{number}" for number in (0, 2, 10)})
    tree(tmp_path, {f"{node}2/meminfo": "Node 2 MemTotal:       1024 kB\nNode 2 MemFree: 3 kB"})
    assert [(found["node"], found["cores"], found["total_bytes"]) for found in numa_nodes(tmp_path)] == [
        (0, "0-0", None),
        (2, "2-2", 1 << 20),
        (10, "10-10", None),
    ]


@pytest.mark.parametrize(
    ("files", "inside"),
    [
        ({}, False),
        ({".dockerenv": ""}, True),
        ({"run/.containerenv": ""}, True),
        ({"proc/1/cgroup": "0::/kubepods/pod1"}, True),
        ({"proc/1/cgroup": "0::/"}, False),
    ],
)
def test_a_container_is_known_by_its_marks(tmp_path: Path, files: dict[str, object], inside: bool) -> None:
    assert container(tree(tmp_path, files)) is inside


@pytest.mark.parametrize(("flags", "virtual"), [("flags : fpu hypervisor", True), ("flags : fpu", False), ("Features : fp", None)])
def test_a_guest_is_known_by_its_cpus_flags(tmp_path: Path, flags: str, virtual: bool | None) -> None:
    assert guest(tree(tmp_path, {"proc/cpuinfo": f"processor : 0\n{flags}\n\nprocessor : 1\nflags : hypervisor"})) is virtual


def test_hardware_as_its_firmware_names_it(tmp_path: Path) -> None:
    tree(tmp_path, {"sys/class/dmi/id/sys_vendor": "A Maker", "sys/class/dmi/id/product_name": ""})
    assert hardware(tmp_path) == {"vendor": "A Maker", "product": None}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "max 100000"}, None),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": "50000 100000", "sys/fs/cgroup/a/b/cpu.max": "200000 100000"}, 0.5),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "150000 0"}, None),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": ""}, None),
        (
            {
                "proc/self/cgroup": "2:cpu,cpuacct:/a\n0::/",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": 400_000,
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": 100_000,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": -1,
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100_000,
            },
            4.0,
        ),
    ],
)
def test_the_tightest_quota_of_any_group_binds(tmp_path: Path, files: dict[str, object], cores: float | None) -> None:
    assert quota_cores(tree(tmp_path, files)) == cores


def test_variables_are_given_as_they_are_set_and_no_others() -> None:
    assert variables({"OMP_NUM_THREADS": "2, 4", "KMP_AFFINITY": "", "HOME": "secret"}) == {"OMP_NUM_THREADS": "2, 4", "KMP_AFFINITY": ""}


def test_threads_are_torchs_own(tmp_path: Path) -> None:
    import torch

    found = threads(tmp_path)
    assert (found["intra"], found["inter"]) == (torch.get_num_threads(), torch.get_num_interop_threads())
