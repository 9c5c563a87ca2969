"""A process's own memory: made-up status files, and a planted buffer in a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from spanbench.measure.host.peak import ALLOCATOR, Resident, reset_high_water, resident
from tests.waiting import gone

MIB = 1 << 20
STATUS = "Name:\tpython\nVmHWM:\t    5000 kB\nVmRSS:\t    1800 kB\nRssAnon:\t     1200 kB\nRssFile:\t    500 kB\nRssShmem:\t      100 kB\n"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def status(root: Path, text: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/status").write_text(text, encoding="ascii")
    return root


def test_the_most_anonymous_bytes_are_the_mark_without_the_files(tmp_path: Path) -> None:
    now = resident(status(tmp_path, STATUS))
    assert now == Resident(1200 * 1024, 600 * 1024, 5000 * 1024)
    assert now.most_anonymous == 4400 * 1024


@pytest.mark.parametrize("line", ["VmHWM", "RssAnon", "RssFile", "RssShmem"])
def test_a_kernel_that_leaves_a_line_out_tells_nothing(tmp_path: Path, line: str) -> None:
    assert resident(status(tmp_path, "\n".join(kept for kept in STATUS.splitlines() if not kept.startswith(line)))) is None


def test_a_figure_that_is_no_number_tells_nothing(tmp_path: Path) -> None:
    assert resident(status(tmp_path, STATUS.replace("5000", "many"))) is None


def test_no_status_and_no_reset_are_told_and_not_raised(tmp_path: Path) -> None:
    assert resident(tmp_path) is None
    assert not reset_high_water(tmp_path)


PLANTED = """
import sys, torch
from spanbench.measure.host.peak import plain_pages, reset_high_water, resident
plain_pages()
torch.ones(1000).sum()
before = resident().anonymous
first = torch.ones(64 << 20, dtype=torch.uint8)
with_first = resident().most_anonymous - before
del first
reset_high_water()
idle = resident().most_anonymous - before
second = torch.ones(256 << 20, dtype=torch.uint8)
del second
print(with_first, idle, resident().most_anonymous - before, resident().anonymous - before)
"""


@linux
def test_a_planted_buffer_moves_the_mark_by_its_size_and_a_reset_forgets_it() -> None:
    run = [sys.executable, "-c", PLANTED]
    told = subprocess.run(run, check=True, capture_output=True, text=True, env={**os.environ, **ALLOCATOR}).stdout
    first, idle, second, after = map(int, told.split())
    assert first == pytest.approx(64 * MIB, rel=0.05)
    assert second == pytest.approx(256 * MIB, rel=0.05)
    assert max(idle, after) < 4 * MIB


CHILD = """
import sys, time
from spanbench.measure.host.peak import leave_with
leave_with(int(sys.argv[1]))
print("ready", flush=True)
time.sleep(600)
"""
PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


@linux
def test_a_child_ends_with_a_parent_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        assert gone(child)


@linux
def test_a_child_of_somebody_else_ends_at_once() -> None:
    assert subprocess.run([sys.executable, "-c", CHILD, "1"], check=False, capture_output=True, timeout=60).returncode == 1
