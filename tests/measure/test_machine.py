"""The environment of a record, of this machine and of made-up ones."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from spanbench.measure.machine import environment, git_commit
from tests.measure.host.test_memory import MEMINFO, tree

COMMIT = "0123456789abcdef0123456789abcdef01234567"
KEYS = {
    "time_utc",
    "os",
    "python",
    "packages",
    "commit",
    "cpu",
    "memory",
    "load_average",
    "load",
    "threads",
    "numa_nodes",
    "power",
    "system",
    "hardware",
    "gpu",
    "container",
    "virtual_machine",
    "torch",
    "device",
}


def test_it_is_json_and_says_what_it_must() -> None:
    import torch

    found = json.loads(json.dumps(environment()))
    assert set(found) == KEYS
    assert found["packages"]["torch"] == torch.__version__
    assert found["torch"]["threads"] == torch.get_num_threads()
    assert found["memory"]["total_bytes"] > 0
    assert found["device"] == {"name": "cpu"}


def test_an_empty_machine_is_null_and_no_error(tmp_path: Path) -> None:
    found = environment(root=tmp_path)
    assert found["memory"] == {"total_bytes": None, "available_bytes": None}
    assert (found["container"], found["virtual_machine"]) == (False, None)


def test_a_made_up_machine(tmp_path: Path) -> None:
    flags = "processor : 0\nmodel name\t: A CPU: of note\nflags\t: fpu hypervisor sse\n\nprocessor : 1\nmodel name : another\n"
    tree(tmp_path, {"proc/cpuinfo": flags, "proc/meminfo": MEMINFO, "proc/1/cgroup": "0::/kubepods/pod1"})
    found = environment(root=tmp_path)
    assert found["cpu"]["model"] == "A CPU: of note"
    assert (found["container"], found["virtual_machine"]) == (True, True)


def test_nothing_of_an_empty_machine_is_made_up(tmp_path: Path) -> None:
    found = environment(root=tmp_path)
    known = {"architecture", "model", "usable_cores"}  # asked of the system, not of files
    assert {name for name, value in found["cpu"].items() if value} <= known
    assert set(found["load"].values()) == {None}
    assert (found["numa_nodes"], found["power"], set(found["hardware"].values())) == ([], None, {None})


def test_it_says_nothing_of_who_uses_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "HOSTNAME", "HOME"):
        monkeypatch.setenv(name, "/a-very-private-name")
    monkeypatch.setattr(platform, "node", lambda: "a-very-private-name")
    assert "a-very-private-name" not in json.dumps(environment())


def test_a_device_that_is_not_there_is_null() -> None:
    assert environment("cuda:63")["device"] is None


def test_it_does_not_load_torch() -> None:
    script = "import sys; from spanbench.measure.machine import environment; print(environment()['torch'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]


@pytest.mark.parametrize(
    "files",
    [
        {".git/HEAD": COMMIT},
        {".git/HEAD": "ref: refs/heads/main", ".git/refs/heads/main": COMMIT},
        {".git/HEAD": "ref: refs/heads/main", ".git/packed-refs": f"# pack-refs\n{'f' * 40} refs/heads/other\n{COMMIT} refs/heads/main"},
        {
            ".git": "gitdir: kept/worktrees/one",
            "kept/worktrees/one/HEAD": "ref: refs/heads/main",
            "kept/worktrees/one/commondir": "../..",
            "kept/refs/heads/main": COMMIT,
        },
    ],
)
def test_the_commit_is_found_without_git(tmp_path: Path, files: dict[str, object]) -> None:
    assert git_commit(tree(tmp_path, files)) == COMMIT


@pytest.mark.parametrize("files", [{}, {".git/HEAD": "ref: refs/heads/unborn"}, {".git/HEAD": "nonsense"}])
def test_no_commit_is_none(tmp_path: Path, files: dict[str, object]) -> None:
    assert git_commit(tree(tmp_path, files)) is None
