"""Sums of meters: what may be added, whose window is whose, and what one part's failure costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from spanbench.measure.caution import Caution
from spanbench.measure.energy.counter import EdgeAligned
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.protocol import IDLE, Marked, MeterError, Probe, Reading, Scope, Session, Source, Window
from spanbench.measure.energy.rapl import RaplMeter
from spanbench.measure.energy.total import Total
from tests.measure.driven import DrivenMeter, DrivenSession
from tests.measure.driven import World as Clocked
from tests.measure.energy.powercap import FakeZone, Tree
from tests.measure.energy.sensor import Ticking, World, failing, seeded

WORK = Window("work")


class Aligned:
    """A meter over one driven counter."""

    note = ""

    def __init__(self, world: World, counter: Ticking, scope: Scope, source: Source = "measured", window_s: float = 0.5) -> None:
        self.name, self.source, self.min_window_s = counter.name, source, window_s
        self._world, self._counter = world, counter
        self._probe = Probe(available=True, period_s=counter.period_s, scope=scope, parts=(f"{scope}:{counter.name}",))

    def probe(self) -> Probe:
        return self._probe

    @contextmanager
    def session(self) -> Iterator[Session]:
        yield EdgeAligned([self._counter], f"by {self.name}", clock=self._world, sleep=self._world.sleep, random=seeded(4))


def pair(cpu_period_s: float = 0.001) -> tuple[World, Total, Ticking, Ticking]:
    """Return a GPU that ticks every 100 ms and a CPU: 80% and 20% of the world's watts."""
    board = Ticking("gpu", 0.1, share=0.8)
    package = Ticking("cpu", cpu_period_s, share=0.2)
    world = World([board, package], late_s=lambda: 5e-5)
    # The faster comes first, so that the order in which they are given is seen not to matter.
    return world, Total([Aligned(world, package, "cpu-package"), Aligned(world, board, "gpu-board")]), board, package


def window(world: World, guard: Guard, watts: float, kind: Window = WORK, seconds: float = 0.5) -> Reading:
    guard.begin(kind)
    world.spend(seconds, watts)
    return guard.end()


@pytest.mark.parametrize("cpu_period_s", [0.001, 0.09])
def test_every_part_counts_the_same_window_however_long_the_others_wait(cpu_period_s: float) -> None:
    world, total, _, _ = pair(cpu_period_s)
    with Guard(total) as guard:
        assert guard.by == "by gpu + by cpu"
        window(world, guard, 50.0, IDLE, 1.0)
        for _ in range(100):
            reading = window(world, guard, 300.0)
            # A wait of 0.1 s for another's tick, counted as part of the window, would be 1% and more.
            assert reading.joules == pytest.approx(150.0, rel=1e-3)
            assert reading.low is not None
            assert reading.high is not None
            assert reading.low <= 150.0 <= reading.high


def test_the_faster_counter_waits_inside_the_slower_ones_ticks() -> None:
    world, total, board, package = pair()
    with Guard(total) as guard:
        window(world, guard, 300.0)
    assert package.reads[0] > board.reads[0]
    opened = max(read for read in package.reads if read < package.reads[0] + 0.02)
    assert opened > max(read for read in board.reads if read < opened)  # the last read before the window is the fast one's
    assert max(package.reads) < max(board.reads)


def test_a_session_without_marks_is_ended_before_the_others_wait() -> None:
    """It closes its window in `end`, so the wait for another's tick must come after."""
    counter = Ticking("cpu", 0.1)
    world, clock = World([counter]), Clocked()

    def sleep(seconds: float) -> None:
        world.sleep(seconds)
        clock.pass_time(world.seconds - before - clock.seconds, 10.0)

    class Following(Aligned):
        @contextmanager
        def session(self) -> Iterator[Session]:
            yield EdgeAligned([counter], "by cpu", clock=world, sleep=sleep, random=seeded(4))

    before = world.seconds
    plain = DrivenMeter(clock, name="board", probe=Probe(available=True, scope="gpu-board", parts=("gpu:1",)))
    assert not isinstance(DrivenSession(plain), Marked)
    joules = []
    with Guard(Total([Following(world, counter, "cpu-package"), plain])) as guard:
        for kind, seconds, watts in ((IDLE, 1.0, 50.0), (WORK, 0.5, 300.0)):
            guard.begin(kind)
            world.spend(seconds, watts)
            clock.pass_time(seconds, 10.0)
            reading = guard.end()
            joules.append(reading.joules)
            assert (reading.low, reading.high) == (None, None)  # the plain one states no bound, so the sum has none
    assert joules == pytest.approx([50.0 + 10.0, 150.0 + 5.0], rel=2e-3)


def test_real_rapl_is_added_to_a_gpus_counter(tmp_path: Path) -> None:
    board = Ticking("gpu", 0.1)
    world = World([board])
    tree = Tree(tmp_path, [FakeZone("0", "package-0", 0.9), FakeZone("0:0", "dram", 0.1)], seconds=world.seconds)

    def sleep(seconds: float) -> None:
        world.sleep(seconds)
        tree.spend(world.seconds - tree.seconds, 40.0)

    class Board(Aligned):
        @contextmanager
        def session(self) -> Iterator[Session]:
            yield EdgeAligned([board], "board", clock=world, sleep=sleep, random=seeded(4))

    total = Total([RaplMeter(tmp_path, clock=world, sleep=sleep, random=seeded(1)), Board(world, board, "gpu-board")])
    assert total.name == "rapl+gpu"
    assert total.probe().parts == ("cpu-package:0", "cpu-dram:0", "gpu-board:gpu")
    with Guard(total) as guard:
        guard.begin(IDLE)
        sleep(1.0)
        guard.end()
        guard.begin(WORK)
        world.spend(0.7, 300.0)
        tree.spend(0.7, 100.0)
        assert guard.end().joules == pytest.approx(0.7 * 400.0, rel=2e-3)


# ---- what may be added ----


def meter(name: str, scope: Scope, *parts: str, **changed: Any) -> DrivenMeter:
    return DrivenMeter(Clocked(), name=name, probe=Probe(available=True, scope=scope, parts=parts), **changed)


def refusal(*meters: DrivenMeter) -> str:
    """Return why a sum is not available, and check that its session gives the same reason."""
    total = Total(meters)
    probe = total.probe()
    assert not probe.available
    with Guard(total) as guard:
        guard.begin(WORK)
        reading = guard.end()
    assert reading.joules is None
    assert str(probe.reason) in str(reading.reason)
    return str(probe.reason)


BOARD = meter("nvml", "gpu-board", "gpu:GPU-1")
PACKAGE = meter("rapl", "cpu-package", "cpu-package:0", "cpu-dram:0")


@pytest.mark.parametrize("scope", ["platform", "machine", "work", "none"])
@pytest.mark.parametrize("other", [BOARD, PACKAGE])
def test_unlike_scopes_are_refused_in_either_order(scope: Scope, other: DrivenMeter) -> None:
    wide = meter("wide", scope, "psys")
    assert refusal(wide, other).startswith("wide counts ")
    assert refusal(other, wide).startswith("wide counts ")


def test_the_same_board_is_not_counted_twice() -> None:
    again = meter("nvml-power", "gpu-board", "gpu:GPU-0", "gpu:GPU-1")
    assert refusal(BOARD, PACKAGE, again) == "nvml and nvml-power both count gpu:GPU-1"


def test_two_meters_of_one_kind_must_say_what_they_count() -> None:
    assert refusal(BOARD, meter("mystery", "gpu-board")) == "nvml and mystery both count GPU boards, and do not say which"


def test_boards_that_differ_may_be_added() -> None:
    probe = Total([BOARD, meter("other", "gpu-board", "gpu:GPU-2")]).probe()
    assert (probe.available, probe.scope, probe.parts) == (True, "gpu-board", ("gpu:GPU-1", "gpu:GPU-2"))


@pytest.mark.parametrize("meters", [[], [BOARD], [BOARD, BOARD]])
def test_a_sum_needs_two_meters(meters: Sequence[DrivenMeter]) -> None:
    assert refusal(*meters) == "a sum needs two different meters"


def test_a_part_that_is_not_there_is_named_with_its_mend() -> None:
    missing = DrivenMeter(Clocked(), name="rapl", probe=Probe(available=False, reason="only root may", mend="run as root"))
    probe = Total([BOARD, missing]).probe()
    assert (probe.available, probe.reason, probe.mend) == (False, "rapl: only root may", "run as root")


def test_a_sum_is_as_weak_and_as_slow_as_its_weakest_and_slowest_part() -> None:
    strong, weak, weakest = (meter(name, "gpu-board", name, min_window_s=window) for name, window in (("a", 0.2), ("b", 1.5), ("c", 0.1)))
    weak.source, weakest.source = "estimated", "modelled"
    strong.note, weak.note, weakest.note = "one", "two", "one"
    assert (Total([strong, weak]).source, Total([weak, strong, weakest]).source) == ("estimated", "modelled")
    assert Total([strong, weak, weakest]).note == "one; two"
    assert Total([strong, weak, weakest]).min_window_s == 1.5


# ---- a part fails ----


def test_a_part_that_fails_in_a_window_costs_the_sum_and_is_named() -> None:
    world, total, board, package = pair()
    with Guard(total) as guard:
        window(world, guard, 50.0, IDLE)
        guard.begin(WORK)
        board.fault = failing(0)
        world.spend(0.5, 300.0)
        assert guard.end().reason == "gpu: the device is lost"
        board.fault = lambda _: None
        package.stuck = True
        assert str(window(world, guard, 300.0).reason).startswith("cpu+gpu could not open a window: cpu: cpu is stuck")
        package.stuck = False
        assert window(world, guard, 300.0).joules == pytest.approx(150.0, rel=5e-3)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (MeterError("gone"), "nvml: gone"),
        (ValueError("odd"), "nvml: ValueError: odd"),
        (Reading(None, "no tick"), "nvml: no tick"),
        (Reading(0.0), "nvml: read 0 J, which nothing that runs draws"),
        (Reading(-3.0), "nvml: read -3 J, which nothing that runs draws"),
        (Reading(float("nan")), "nvml: read nan J, which nothing that runs draws"),
    ],
)
def test_no_part_hides_in_the_sum(fault: object, reason: str) -> None:
    clock = Clocked()
    bad = DrivenMeter(clock, name="nvml", fault=lambda _: fault, probe=BOARD.answer)
    good = DrivenMeter(clock, name="rapl", probe=PACKAGE.answer)
    with Guard(Total([bad, good])) as guard:
        guard.begin(WORK)
        clock.pass_time(1.0, 10.0)
        reading = guard.end()
    assert (reading.joules, reading.reason) == (None, reason)
    assert clock.log.count("end") == 2  # the good part was ended too


def test_a_part_that_cannot_start_is_named_and_the_others_are_closed() -> None:
    clock = Clocked()
    good = DrivenMeter(clock, name="nvml", probe=BOARD.answer)
    bad = DrivenMeter(clock, name="rapl", probe=PACKAGE.answer, open_fault=MeterError("locked"))
    with Guard(Total([good, bad])) as guard:
        guard.begin(WORK)
        assert guard.end().reason == "nvml+rapl could not start: rapl: locked"
    assert good.closed


def test_cautions_of_all_parts_are_kept() -> None:
    clock = Clocked()

    def warned(name: str, probe: Probe) -> DrivenMeter:
        return DrivenMeter(clock, name=name, probe=probe, fault=lambda _: Reading(1.0, cautions=(Caution(name, "text"),)))

    with Guard(Total([warned("a", BOARD.answer), warned("b", PACKAGE.answer)])) as guard:
        guard.begin(WORK)
        assert sorted(caution.code for caution in guard.end().cautions) == ["a", "b"]
