"""The watch: it never raises, says what it could not tell, and sees a real competitor."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from spanbench.measure.conditions import CODES, Watch
from spanbench.measure.conditions.condition import Condition, Gpus, Place, Unwatched
from tests.measure.conditions.machines import CORES, Machine, own, stat

# Burns a core for as long as a test may need it, then ends of itself.
COMPETITOR = "import time; end = time.monotonic() + 3\nwhile time.monotonic() < end: pass"


def test_a_machine_that_tells_nothing_costs_only_the_knowledge(tmp_path: Path) -> None:
    watch = Watch(root=tmp_path)
    watch.start()
    (caution,) = watch.stop()
    assert (caution.code, caution.text) == ("unwatched", "load could not be watched: this system does not tell its CPU times (/proc/stat)")


@pytest.mark.parametrize("nonsense", ["", "cpu", "cpu  a b c d e f g h", "cpu 1 2 3", "\0\xff"])
def test_nonsense_in_the_kernels_files_never_raises(tmp_path: Path, nonsense: str) -> None:
    machine = Machine(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    codes = machine.codes({str(path.relative_to(tmp_path)): nonsense for path in files})
    assert "unwatched" in codes
    assert set(codes) <= {"unwatched", "governor"}  # a governor of an unknown name is one that is not 'performance'


def test_several_conditions_at_once_each_have_their_code(tmp_path: Path) -> None:
    codes = Machine(tmp_path).codes(
        {
            "proc/stat": stat(user=1000, stolen=100),
            "proc/vmstat": "pswpin 101\npswpout 200",
            f"{CORES}/cpu1/thermal_throttle/core_throttle_count": 1,
            f"{CORES}/cpu1/cpufreq/scaling_cur_freq": 1_000_000,
            f"{CORES}/cpufreq/policy0/scaling_governor": "powersave",
            "sys/class/power_supply/AC/online": 0,
        }
    )
    assert codes == ["frequency", "throttling", "load", "stolen", "governor", "battery", "memory-pressure"]
    assert set(codes) < set(CODES)


def test_a_watch_that_was_not_started_says_nothing(tmp_path: Path) -> None:
    assert Watch(root=tmp_path).stop() == ()


def test_a_watch_that_was_stopped_already_says_nothing_more(tmp_path: Path) -> None:
    watch = Watch(root=tmp_path)
    watch.start()
    assert watch.stop() != ()
    assert watch.stop() == ()


def test_a_watch_may_be_used_again_and_forgets_the_run_before(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    watch = Watch(root=tmp_path, clock=machine.world)
    with watch:
        machine.world.seconds += 1
        machine.set({"proc/stat": stat(user=100)})
    first = watch.cautions
    with watch:
        machine.world.seconds += 1
        machine.set({"proc/stat": stat(user=200), "proc/self/stat": own(user=100)})
    assert [caution.code for caution in first] == ["load"]
    assert watch.cautions == ()


def test_the_runs_own_error_passes_through_a_watch(tmp_path: Path) -> None:
    watch = Watch(root=tmp_path)
    with pytest.raises(KeyError), watch:
        raise KeyError
    assert [caution.code for caution in watch.cautions] == ["unwatched"]


def test_gpus_that_cannot_be_looked_at_are_said_once_for_all_their_conditions() -> None:
    script = (
        "from spanbench.measure.conditions import Watch\n"
        "watch = Watch('cuda:63')\nwatch.start()\n"
        "found = [c for c in watch.stop() if c.code == 'unwatched']\nassert len(found) == 1, found\nprint(found[0].text)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("frequency of the GPU, throttling of the GPU, foreign-gpu could not be watched: ")
    assert done.stderr == ""


def test_a_condition_can_say_that_it_cannot_be_told() -> None:
    condition = Condition("some", lambda place: place.gpus.all(), lambda _, after: str(after))
    with pytest.raises(Unwatched, match="the reason"):
        condition.read(Place(gpus=Gpus(reason="the reason")))


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells the CPU time of all processes")
def test_a_real_competitor_is_seen_and_is_no_child_of_ours() -> None:
    # The shell ends at once, so that the competitor is handed to init: our own children would count as ours.
    with Watch() as watch:
        command = '"$0" -c "$1" >/dev/null 2>&1 &'
        subprocess.run(["sh", "-c", command, sys.executable, COMPETITOR], check=True)
        time.sleep(1.5)
    assert "load" in [caution.code for caution in watch.cautions]
