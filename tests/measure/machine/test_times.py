"""CPU time of the machine and of this process, and the load that follows from two moments."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.measure.machine import load, others
from spanbench.measure.machine.times import cpu_times, present_core
from tests.measure.host.test_memory import tree

LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux has /proc")
TICKS = st.integers(0, 10**9)
NAMES = st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), min_size=1, max_size=15)


def stat(name: str, user: int, system: int, core: int) -> str:
    return f"7 ({name}) " + " ".join(["R", *["0"] * 10, str(user), str(system), "0", "0", *["0"] * 21, str(core), "0", "0"])


@given(name=NAMES, fields=st.lists(TICKS, min_size=10, max_size=10), user=TICKS, system=TICKS, core=st.integers(0, 4095))
def test_the_kernels_columns_are_read_whatever_a_process_is_called(name: str, fields: list[int], user: int, system: int, core: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = tree(
            Path(folder), {"proc/stat": f"cpu  {' '.join(map(str, fields))}\nintr 5", "proc/self/stat": stat(name, user, system, core)}
        )
        times, found_core = cpu_times(root), present_core(root)
    assert times is not None
    user_, nice, in_kernel, _idle, _iowait, irq, softirq, steal, _guest, _guest_nice = fields
    assert times.busy == pytest.approx((user_ + nice + in_kernel + irq + softirq) / 100)
    assert (times.stolen, times.own) == pytest.approx((steal / 100, (user + system) / 100))
    assert found_core == core


def test_a_kernel_before_steal_was_counted_has_none_stolen(tmp_path: Path) -> None:
    times = cpu_times(tree(tmp_path, {"proc/stat": "cpu  1 2 3 4 5 6 7", "proc/self/stat": stat("a", 1, 0, 0)}))
    assert times is not None
    assert times.stolen == 0


@LINUX
def test_our_own_work_is_counted_as_ours_on_this_machine() -> None:
    before = cpu_times()
    started = os.times()
    while os.times().user - started.user < 0.3:
        sum(range(1000))
    after = cpu_times()
    assert before is not None
    assert after is not None
    assert after.own - before.own >= 0.25  # ticks round
    assert after.busy - before.busy >= 0.2


@LINUX
def test_a_living_child_is_counted_as_ours_on_this_machine() -> None:
    before = cpu_times()
    reader, writer = os.pipe()
    child = os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo; exec sleep 60"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)],
    )
    try:
        os.read(reader, 1)  # it has done its work, and lives
        after = cpu_times()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
    assert before is not None
    assert after is not None
    assert after.own - before.own >= 0.1


def test_a_load_names_the_moment(tmp_path: Path) -> None:
    files = {
        "proc/loadavg": "0.50 1.25 2.00 3/95 17801",
        "proc/pressure/cpu": "some avg10=12.50 avg60=1.38 avg300=2.48 total=3075313700\nfull avg10=0.00",
        "proc/uptime": "100.25 50.00",
    }
    found = load(tree(tmp_path, {**files, "proc/stat": "cpu  500 0 0 0 0 0 0 100 0 0", "proc/self/stat": stat("a", 200, 0, 0)}))
    assert (found["average"], found["runnable"], found["waiting"], found["uptime_s"]) == ([0.5, 1.25, 2.0], 3, 0.125, 100.25)
    assert found["cpu_seconds"] == {"busy": 5.0, "stolen": 1.0, "own": 2.0}


def moment(uptime: float, busy: float, own: float) -> dict[str, object]:
    return {"uptime_s": uptime, "cpu_seconds": {"busy": busy, "own": own, "stolen": 0.0}}


def test_two_moments_tell_how_many_cores_others_used() -> None:
    assert others(moment(100, 50, 10), moment(110, 75, 30)) == pytest.approx(0.5)


def test_rounded_ticks_never_make_others_use_less_than_nothing() -> None:
    assert others(moment(100, 50, 10), moment(110, 59.98, 20)) == 0


@pytest.mark.parametrize("unknown", [{"uptime_s": None, "cpu_seconds": None}, {}, moment(100, 50, 10)])
def test_without_two_known_moments_others_are_unknown(unknown: dict[str, object]) -> None:
    assert others(moment(100, 50, 10), unknown) is None
