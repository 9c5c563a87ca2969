"""Available memory from made-up /proc and control-group trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanbench.measure.host.memory import available_bytes, total_bytes

GIB = 1 << 30
MEMINFO = f"MemTotal:       {16 << 20} kB\nMemFree:        100 kB\nMemAvailable:   {8 << 20} kB\n"
UNLIMITED_V1 = 9223372036854771712


def tree(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="utf-8")
    return root


def test_without_groups_it_is_the_kernels_figure(tmp_path: Path) -> None:
    tree(tmp_path, {"proc/meminfo": MEMINFO})
    assert (available_bytes(root=tmp_path), total_bytes(root=tmp_path)) == (8 * GIB, 16 * GIB)


def test_nothing_known_is_none_and_not_zero(tmp_path: Path) -> None:
    assert available_bytes(root=tmp_path) is None
    assert total_bytes(root=tmp_path) is None


def test_a_v2_group_binds_and_its_dropped_cache_is_given_back(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user/job"
    tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/user/job",
            f"{group}/memory.max": 4 * GIB,
            f"{group}/memory.current": 3 * GIB,
            f"{group}/memory.stat": f"anon {GIB}\ninactive_file {GIB}\nactive_file 5",
        },
    )
    assert available_bytes(root=tmp_path) == 2 * GIB
    assert total_bytes(root=tmp_path) == 4 * GIB


@pytest.mark.parametrize("limited", ["", "user/", "user/job/"])
def test_the_limit_of_any_enclosing_v2_group_binds(tmp_path: Path, limited: str) -> None:
    files: dict[str, object] = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/user/job"}
    for group in ("", "user/", "user/job/"):
        files[f"sys/fs/cgroup/{group}memory.max"] = 5 * GIB if group == limited else "max"
        files[f"sys/fs/cgroup/{group}memory.current"] = GIB
    tree(tmp_path, files)
    assert available_bytes(root=tmp_path) == 4 * GIB


def test_a_v1_group_binds(tmp_path: Path) -> None:
    mount = "sys/fs/cgroup/memory"
    tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "4:cpu,memory:/box\n1:cpuset:/\n0::/",
            f"{mount}/box/memory.limit_in_bytes": 2 * GIB,
            f"{mount}/box/memory.usage_in_bytes": GIB,
            f"{mount}/box/memory.stat": f"inactive_file 7\ntotal_inactive_file {GIB // 2}",
            f"{mount}/memory.limit_in_bytes": UNLIMITED_V1,
            f"{mount}/memory.usage_in_bytes": 9 * GIB,
        },
    )
    assert available_bytes(root=tmp_path) == GIB + GIB // 2
    assert total_bytes(root=tmp_path) == 2 * GIB


def test_a_path_of_the_host_falls_back_on_the_containers_mount(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/../../docker/0123",
            "sys/fs/cgroup/memory.max": GIB,
            "sys/fs/cgroup/memory.current": 1024,
        },
    )
    assert available_bytes(root=tmp_path) == GIB - 1024


def test_this_machine_has_some() -> None:
    available, total = available_bytes(), total_bytes()
    assert available is not None
    assert total is not None
    assert 0 < available <= total
