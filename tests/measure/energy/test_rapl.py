"""RAPL in a fake powercap tree: the joules against the truth, what is counted, wraps, and every fault as a reason."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.powercap import Zone, find_zones
from spanbench.measure.energy.protocol import IDLE, MeterError, Reading, Window
from spanbench.measure.energy.rapl import RaplMeter, ZoneCounter, _Keeper
from tests.measure.energy.powercap import SERVER_RANGE_UJ, UNIT_J, FakeZone, Tree, server, without_rights
from tests.measure.energy.sensor import seeded

WORK = Window("work")
PACKAGE, MEMORY = "intel-rapl:0", "intel-rapl:0:0"


def meter(tree: Tree) -> RaplMeter:
    return RaplMeter(tree.root, clock=tree, sleep=tree.sleep, random=seeded(0))


def one(root: Path) -> Tree:
    """Return a machine of one package with memory."""
    return Tree(root, [FakeZone("0", "package-0", 0.8), FakeZone("0:0", "dram", 0.2)])


def window(tree: Tree, guard: Guard, watts: float = 200.0, seconds: float = 0.5, kind: Window = WORK) -> Reading:
    guard.begin(kind)
    tree.spend(seconds, watts)
    return guard.end()


def parts(root: Path) -> tuple[str, ...]:
    return RaplMeter(root).probe().parts


# ---- joules ----


def test_packages_and_memory_are_read_within_a_thousandth(tmp_path: Path) -> None:
    tree = Tree(tmp_path, server())
    with Guard(meter(tree)) as guard:
        assert guard.by == "rapl: package-0 + package-0 dram + package-1 + package-1 dram through powercap"
        window(tree, guard, tree.rest_watts, 1.0, IDLE)
        for seconds in (0.5, 1.0, 3.0):
            for _ in range(20):
                reading = window(tree, guard, 200.0, seconds)
                assert reading.joules == pytest.approx(200.0 * seconds, rel=1e-3)  # the shares of what is counted sum to 1
                assert reading.low is not None
                assert reading.high is not None
                assert reading.low <= 200.0 * seconds <= reading.high


def test_a_thousand_wraps_at_random_positions_are_all_followed(tmp_path: Path) -> None:
    tree = one(tmp_path)
    chance = seeded(7)
    wrapped = 0
    with Guard(meter(tree)) as guard:
        window(tree, guard, tree.rest_watts, 1.0, IDLE)
        for _ in range(1000):
            zone = chance.choice(tree.zones)
            zone.joules = 2**32 * UNIT_J * chance.randint(1, 3) - 100.0 * zone.share * chance.uniform(-0.02, 1.02)
            before = zone.shown_uj
            reading = window(tree, guard)
            wrapped += zone.shown_uj < before
            assert reading.joules == pytest.approx(100.0, rel=1e-3), reading.reason
    assert wrapped > 900


def test_a_wrap_loses_not_one_microjoule(tmp_path: Path) -> None:
    tree = one(tmp_path)
    zone = tree.zones[0]
    zone.joules = (2**32 - 3) * UNIT_J
    tree.file(PACKAGE).write_text(f"{zone.shown_uj}\n", encoding="ascii")
    counter = ZoneCounter(find_zones(tmp_path).zones[0], tree)
    assert counter.read() == 0
    for steps, exact in ((1, 61), (2, 122), (3, 183), (4, 244), (103, 6286)):  # of 61.035 uJ, each rounded down by the kernel
        zone.joules = (2**32 - 3 + steps) * UNIT_J
        tree.file(PACKAGE).write_text(f"{zone.shown_uj}\n", encoding="ascii")
        assert counter.read() * 1e6 == pytest.approx(exact, abs=1.001)


def test_slow_ticks_make_windows_longer(tmp_path: Path) -> None:
    tree = Tree(tmp_path, [FakeZone("0", "package-0", period_s=0.08)])
    with Guard(meter(tree)) as guard:
        window(tree, guard, tree.rest_watts, 1.0, IDLE)
        assert 0.7 < guard.min_window_s < 0.9
        assert window(tree, guard, 200.0, 1.0).joules == pytest.approx(200.0, rel=1e-2)


def test_the_slowest_counter_sets_the_window_and_fast_ones_need_half_a_second(tmp_path: Path) -> None:
    (tmp_path / "fast").mkdir()
    (tmp_path / "mixed").mkdir()
    fast = meter(Tree(tmp_path / "fast", [FakeZone("0", "package-0")]))
    mixed = meter(Tree(tmp_path / "mixed", [FakeZone("0", "package-0", 0.5), FakeZone("1", "package-1", 0.5, period_s=0.08)]))
    with Guard(fast) as guard:
        assert guard.min_window_s == 0.5
    with Guard(mixed) as guard:
        assert 0.7 < guard.min_window_s < 0.9


# ---- what is counted ----


def test_nothing_is_counted_twice_and_memory_is_counted(tmp_path: Path) -> None:
    Tree(tmp_path, server())
    assert parts(tmp_path) == ("cpu-package:0", "cpu-dram:0", "cpu-package:1", "cpu-dram:1")


def test_seventeen_packages_are_seventeen_though_the_kernel_numbers_them_in_hexadecimal(tmp_path: Path) -> None:
    Tree(tmp_path, [FakeZone(f"{index:x}", f"package-{index}") for index in range(17)] + [FakeZone("10:0", "dram")])
    assert parts(tmp_path) == (*(f"cpu-package:{index}" for index in range(17)), "cpu-dram:16")


def test_dies_with_counters_of_their_own_are_summed(tmp_path: Path) -> None:
    dies = [FakeZone(str(die), f"package-0-die-{die}", joules=5000.0 + 900 * die) for die in range(2)]
    Tree(tmp_path, [*dies, FakeZone("0:0", "dram"), FakeZone("1:0", "dram", joules=99.0)])
    assert parts(tmp_path) == ("cpu-package:0-die-0", "cpu-dram:0-die-0", "cpu-package:0-die-1", "cpu-dram:0-die-1")


@pytest.mark.parametrize("vendor", ["AuthenticAMD", "HygonGenuine"])
def test_dies_of_a_maker_whose_counter_is_the_packages_are_counted_once(tmp_path: Path, vendor: str) -> None:
    dies = [
        FakeZone(f"{4 * package + die:x}", f"package-{package}-die-{die}", joules=10.0 * die) for package in range(2) for die in range(4)
    ]
    Tree(tmp_path, [*dies, FakeZone("0:0", "core")], vendor=vendor)
    assert parts(tmp_path) == ("cpu-package:0-die-0", "cpu-package:1-die-0")


@pytest.mark.parametrize("joules", [5000.0, 2**32 * UNIT_J - 50e-6])
def test_dies_that_show_one_counter_are_counted_once_whoever_made_them(tmp_path: Path, joules: float) -> None:
    first = FakeZone("0", "package-0-die-0", joules=joules)
    Tree(tmp_path, [first, FakeZone("1", "package-0-die-1", mirror=first), FakeZone("1:0", "dram")], vendor="CentaurHauls")
    assert parts(tmp_path) == ("cpu-package:0-die-0",)


def test_a_package_is_not_counted_again_by_its_dies_or_by_its_own_name(tmp_path: Path) -> None:
    whole = FakeZone("3", "package-0", joules=1.0)
    Tree(tmp_path, [FakeZone("0", "package-0-die-0"), FakeZone("1", "package-0-die-1", joules=9.0), whole, FakeZone("4", "package-0")])
    assert [zone.path.name for zone in find_zones(tmp_path).zones] == ["intel-rapl:3"]


def test_equal_counters_of_two_packages_are_two(tmp_path: Path) -> None:
    Tree(tmp_path, [FakeZone("0", "package-0"), FakeZone("1", "package-1")])
    assert len(parts(tmp_path)) == 2


@pytest.mark.parametrize(
    ("limits", "peak"), [((28.0, 64.0), 128.0), ((0.0,), 1000.0), ((), 1000.0), ((4095.9, 125.0), 250.0), ((700.0,), 1000.0)]
)
def test_the_peak_is_twice_the_highest_sensible_limit(tmp_path: Path, limits: tuple[float, ...], peak: float) -> None:
    Tree(tmp_path, [FakeZone("0", "package-0", limits_w=limits)])
    assert find_zones(tmp_path).zones[0].peak_watts == pytest.approx(peak)


# ---- faults ----


def refused(tree: Tree) -> tuple[str, str]:
    """Return reason and mend of a meter that is not available, and check that a window gives that reason and no joules."""
    probe = meter(tree).probe()
    assert not probe.available
    with Guard(meter(tree)) as guard:
        reading = window(tree, guard)
    assert reading.joules is None
    assert str(probe.reason) in str(reading.reason)
    return str(probe.reason), str(probe.mend)


def test_a_machine_without_powercap_says_which_module_is_missing(tmp_path: Path) -> None:
    reason, mend = refused(Tree(tmp_path, []))
    assert reason.startswith("no CPU package has an energy counter under")
    assert "modprobe intel_rapl_msr" in mend


def test_a_folder_without_sys_is_no_crash(tmp_path: Path) -> None:
    assert not RaplMeter(tmp_path).probe().available


def test_a_virtual_machine_has_no_rapl(tmp_path: Path) -> None:
    reason, mend = refused(Tree(tmp_path, [], flags="fpu hypervisor sse"))
    assert (reason, mend) == ("no RAPL in a virtual machine: its counters are the host's", "run on the host")


def test_a_container_that_hides_the_zones_is_told_of_them(tmp_path: Path) -> None:
    tree = one(tmp_path)
    (tmp_path / "sys/devices").rename(tmp_path / "hidden")  # the links in the class folder now lead nowhere
    assert "container" in refused(tree)[1]


def test_a_platform_without_packages_is_not_taken_for_one(tmp_path: Path) -> None:
    refused(Tree(tmp_path, [FakeZone("0", "psys"), FakeZone("0", "package-0", control="intel-rapl-mmio")]))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder into which every user may look."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_counters_that_only_root_may_read_name_the_mend_and_what_it_exposes(open_folder: Path) -> None:
    tree = one(open_folder)
    for zone in (PACKAGE, MEMORY):
        tree.file(zone).chmod(0)
    with without_rights():
        probe = meter(tree).probe()
    assert not probe.available
    assert str(probe.reason).startswith("package-0: only root may read ")
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in str(probe.mend)
    assert "CVE-2020-8694" in str(probe.mend)


def test_rights_that_are_lost_in_a_window_cost_its_joules(open_folder: Path) -> None:
    tree = one(open_folder)
    with Guard(meter(tree)) as guard:
        guard.begin(WORK)
        tree.file(PACKAGE).chmod(0)
        with without_rights():
            reading = guard.end()
        tree.file(PACKAGE).chmod(0o644)
        assert (reading.joules, reading.reason) == (None, "package-0 may no longer be read (Permission denied)")
        assert window(tree, guard).joules is not None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds '' where a number belongs"),
        ("abc", "holds 'abc' where a number belongs"),
        ("-5", "holds '-5' where a number belongs"),
        ("1_000", "holds '1_000' where a number belongs"),
        ("1e9", "holds '1e9' where a number belongs"),
        ("0", "would wrap too often"),
        ("1000000", "would wrap too often"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_range_that_makes_no_sense_refuses_its_zone(tmp_path: Path, content: str | None, reason: str) -> None:
    tree = Tree(tmp_path, server())
    file = tree.file("intel-rapl:1", "max_energy_range_uj")
    file.unlink() if content is None else file.write_text(content, encoding="ascii")
    with Guard(meter(tree)) as guard:
        assert guard.by.endswith("through powercap, without package-1")
        reading = window(tree, guard)
    (caution,) = reading.cautions
    assert (caution.code, reading.joules is not None) == ("energy-part-missing", True)
    assert reason in caution.text


@pytest.mark.parametrize("content", ["", "junk", "-1", str(SERVER_RANGE_UJ + 1), "\x00\x00"])
def test_a_counter_that_shows_no_sense_refuses_the_only_package(tmp_path: Path, content: str) -> None:
    tree = Tree(tmp_path, [FakeZone("0", "package-0")])
    tree.file(PACKAGE).write_text(content, encoding="ascii")
    assert refused(tree)[0].startswith("package-0: ")


def garble(tree: Tree) -> None:
    tree.zones[0].stuck = True
    tree.file(PACKAGE).write_text("garbage", encoding="ascii")


def overflow(tree: Tree) -> None:
    tree.zones[0].stuck = True
    tree.file(PACKAGE).write_text(str(SERVER_RANGE_UJ * 5), encoding="ascii")


def stop(tree: Tree) -> None:
    tree.zones[1].stuck = True


def reset(tree: Tree) -> None:
    tree.zones[0].joules = 0.5


def pass_hours(tree: Tree) -> None:
    tree.seconds += 4 * 3600


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda tree: tree.remove(PACKAGE), "package-0 has gone: "),
        (lambda tree: tree.remove(MEMORY), "package-0 dram has gone: "),
        (garble, "package-0 has gone: "),
        (overflow, "package-0 shows 1310716644250 uJ, more than its range"),
        (stop, "package-0 dram is stuck"),
        (reset, "package-0 jumped by "),
        (pass_hours, "package-0 was not read for 1.44e+04 s, in which it may have wrapped more than once"),
    ],
)
def test_what_happens_to_a_counter_in_a_window_costs_its_joules_with_a_reason(
    tmp_path: Path, fault: Callable[[Tree], None], reason: str
) -> None:
    tree = one(tmp_path)
    with Guard(meter(tree)) as guard:
        assert window(tree, guard).joules is not None
        guard.begin(WORK)
        fault(tree)
        tree.spend(0.5, 200.0)
        reading = guard.end()
    assert (reading.joules, reading.low, reading.high) == (None, None, None)
    assert reason in str(reading.reason)


def test_after_an_unseen_wrap_the_next_window_is_good(tmp_path: Path) -> None:
    tree = one(tmp_path)
    with Guard(meter(tree)) as guard:
        window(tree, guard, tree.rest_watts, 1.0, IDLE)
        guard.begin(WORK)
        pass_hours(tree)
        tree.spend(0.5, 200.0)
        assert guard.end().joules is None
        readings = [window(tree, guard) for _ in range(2)]
    assert readings[-1].joules == pytest.approx(100.0, rel=1e-3)


def test_memory_that_does_not_count_is_left_out_and_said_to_be(tmp_path: Path) -> None:
    tree = one(tmp_path)
    tree.zones[1].stuck = True
    with Guard(meter(tree)) as guard:
        assert guard.by == "rapl: package-0 through powercap, without package-0 dram"
        window(tree, guard, tree.rest_watts, 1.0, IDLE)
        reading = window(tree, guard)
    assert reading.joules == pytest.approx(80.0, rel=1e-3)
    assert [caution.code for caution in reading.cautions] == ["energy-part-missing"]


def test_a_package_that_does_not_count_refuses_the_session(tmp_path: Path) -> None:
    tree = one(tmp_path)
    tree.zones[0].stuck = True
    with Guard(meter(tree)) as guard:
        assert "package-0 is stuck" in str(window(tree, guard).reason)


# ---- the keeper ----


class Counting:
    """A clock that does not move: no read is ever too late."""

    def now(self) -> float:
        return 0.0


def test_the_keeper_follows_wraps_between_two_reads(tmp_path: Path) -> None:
    """The counter moves by 0.4 of its range at each of the keeper's reads: without it, several wraps would be one."""
    (tmp_path / "energy_uj").write_text("0", encoding="ascii")
    seen = threading.Event()

    class Moving(ZoneCounter):
        moved = 0

        def keep(self) -> None:
            if threading.current_thread().name == "spanbench-rapl" and not seen.is_set():
                self.moved += 400
                (tmp_path / "energy_uj").write_text(str(self.moved % 1000), encoding="ascii")
                if self.moved >= 4000:
                    super().keep()
                    seen.set()
                    return
            super().keep()

    counter = Moving(Zone("zone", "part", tmp_path, 1000, 1.0), Counting())
    counter.half_range_s = 1e-3
    counter.read()
    keeper = _Keeper([counter])
    keeper.start()
    assert seen.wait(30)
    keeper.stop()
    assert counter.read() == pytest.approx(4000e-6)
    assert threading.active_count() == 1 or "spanbench-rapl" not in [thread.name for thread in threading.enumerate()]


def test_the_keeper_survives_a_counter_that_has_gone_and_the_read_says_so(tmp_path: Path) -> None:
    tried = threading.Event()

    class Watched(ZoneCounter):
        def keep(self) -> None:
            try:
                super().keep()
            finally:
                tried.set()

    counter = Watched(Zone("zone", "part", tmp_path / "gone", 1000, 1.0), Counting())
    counter.half_range_s = 1e-3
    keeper = _Keeper([counter])
    keeper.start()
    assert tried.wait(30)
    keeper.stop()
    with pytest.raises(MeterError, match="zone has gone"):
        counter.read()


def test_a_session_leaves_no_thread_behind_and_lets_windows_sleep(tmp_path: Path) -> None:
    tree = one(tmp_path)
    before = threading.active_count()
    with Guard(meter(tree)) as guard:
        assert window(tree, guard).joules is not None
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    slowest = min(zone.range_s for zone in find_zones(tmp_path).zones)
    assert slowest / 2 > 60  # seconds between two of the keeper's reads on a server
