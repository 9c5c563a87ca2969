"""The machine's limits: the best of many tries on a driven clock, made-up caches, and plausible figures from the real machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.measure.limits.attained import Trial, best_rates
from spanbench.measure.limits.bandwidth import CACHES, Bandwidth, buffer_bytes, copy_bandwidth, last_cache_bytes, measure_bandwidth
from spanbench.measure.limits.limits import Gemm, Limits, better_limits, limit_cautions, matrix_peak, measure_limits
from tests.measure.driven import World

SMALL, SKINNY = Gemm(8, 16, 32), Gemm(2, 64, 64)
MIB = 1 << 20
LIMITS = Limits("cpu", "float32", 2, 2e9, SMALL, Bandwidth("copy", 1e9, 512 * MIB, 64 * MIB, 4e9))


def trial(world: World, name: str, seconds: float, slower: Callable[[int], float] = lambda _: 1.0) -> Trial:
    """Return 100 units of work that take `seconds`, times what the call's number asks for."""
    calls = iter(range(10**6))
    return Trial(name, 100, lambda: world.pass_time(seconds * slower(next(calls)), 0.0))


def nothing() -> None:
    """The driven device is done when the call returns."""


class Metronome:
    """A clock that moves on by the next of its steps at each reading."""

    def __init__(self, *steps: float) -> None:
        self.steps, self.seconds, self.readings = steps, 0.0, 0

    def now(self) -> float:
        self.seconds += self.steps[self.readings % len(self.steps)]
        self.readings += 1
        return self.seconds


def test_a_products_flops_are_two_a_multiply() -> None:
    assert SMALL.flops == 2 * 8 * 16 * 32


def test_the_rate_is_that_of_the_one_try_that_nothing_disturbed() -> None:
    world = World()
    (rate,) = best_rates([trial(world, "noisy", 0.25, lambda call: 1.0 if call == 3 else 1.5)], 10.0, nothing, world)
    assert rate.per_second == pytest.approx(100 / 0.25)


def test_the_first_call_is_never_timed() -> None:
    world = World()
    (rate,) = best_rates([trial(world, "lucky once", 1.0, lambda call: 0.01 if call == 0 else 1.0)], 3.0, nothing, world)
    assert rate.per_second == pytest.approx(100.0)


def test_what_would_not_fit_the_budget_is_left_out_and_said() -> None:
    world = World()
    big = replace(trial(world, "large", 40.0), work=10_000)
    rates = best_rates([trial(world, "small", 0.5), big], 8.0, nothing, world)
    assert [(rate.name, rate.per_second) for rate in rates] == [("small", pytest.approx(200.0)), ("large", None)]
    assert world.seconds <= 8.0


def test_the_first_trial_is_measured_however_slow_it_is() -> None:
    world = World()
    rates = best_rates([trial(world, "slow", 30.0), trial(world, "too", 30.0)], 1.0, nothing, world)
    assert [rate.per_second for rate in rates] == [pytest.approx(100 / 30.0), None]
    assert world.seconds == pytest.approx(60.0)  # once untimed, once timed


@given(st.lists(st.floats(0.001, 2.0), min_size=1, max_size=6), st.floats(0.5, 20.0))
def test_a_budget_is_overrun_by_three_calls_of_each_trial_at_most(costs: list[float], budget: float) -> None:
    world = World()
    rates = best_rates([trial(world, str(cost), cost) for cost in costs], budget, nothing, world)
    assert world.seconds <= budget + 3 * sum(costs)
    assert all(rate.per_second is None or rate.per_second == pytest.approx(100 / cost) for rate, cost in zip(rates, costs, strict=True))


def test_matrix_rates_are_flops_over_seconds_the_smallest_shape_first() -> None:
    peak = matrix_peak("float32", shapes=(SKINNY, SMALL), budget_s=100.0, clock=Metronome(2.0))
    assert peak.rates == ((SMALL, SMALL.flops / 2.0), (SKINNY, SKINNY.flops / 2.0))
    assert (peak.flops_per_second, peak.shape, peak.skipped) == (SKINNY.flops / 2.0, SKINNY, ())


def test_a_copy_counts_each_byte_read_and_written() -> None:
    assert copy_bandwidth(size_bytes=1000, repeats=2, clock=Metronome(9.0, 4.0, 9.0, 2.0)) == 1000.0


def cores(root: Path, caches: dict[str, tuple[int, str, str, str]], core: int = 0) -> None:
    """Write one core's caches: level, size, type, and which cores share it."""
    for index, values in caches.items():
        folder = root / f"sys/devices/system/cpu/cpu{core}/cache/{index}"
        folder.mkdir(parents=True)
        for name, value in zip(("level", "size", "type", "shared_cpu_list"), values, strict=True):
            (folder / name).write_text(f"{value}\n", encoding="ascii")


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)


@pytest.mark.usefixtures("two_cores")
def test_a_shared_last_cache_counts_once_and_two_of_them_twice(tmp_path: Path) -> None:
    for folder, shared in (("one", ("0-1", "0-1")), ("two", ("0", "1"))):
        for core in (0, 1):
            caches = {"index0": (1, "48K", "Data", str(core)), "index3": (3, "32768K", "Unified", shared[core])}
            cores(tmp_path / folder, caches, core)
    assert last_cache_bytes(root=tmp_path / "one") == 32 * MIB
    assert last_cache_bytes(root=tmp_path / "two") == 64 * MIB


@pytest.mark.usefixtures("two_cores")
def test_instructions_do_not_count_and_no_caches_are_unknown(tmp_path: Path) -> None:
    cores(tmp_path, {"index0": (1, "32K", "Data", "0"), "index1": (2, "64K", "Instruction", "0"), "index2": (3, "?", "Unified", "0")})
    assert last_cache_bytes(root=tmp_path) == 32 * 1024
    assert last_cache_bytes(root=tmp_path / "nothing") is None


@given(st.none() | st.integers(1, 2**31), st.none() | st.integers(0, 2**45))
def test_the_buffer_is_four_caches_or_an_eighth_of_what_is_free(cache: int | None, free: int | None) -> None:
    size = buffer_bytes("cpu", cache, free)
    assert size > 0
    assert free is None or size <= max(free // 8, 2**17)  # a page a piece is the least
    if free is None and cache is not None and cache < 2**29:
        assert size >= CACHES * cache - 2**17


def test_bytes_that_the_last_cache_holds_are_charged_at_its_rate_and_the_rest_at_memorys() -> None:
    assert LIMITS.memory_seconds(32 * MIB) == pytest.approx(32 * MIB / 4e9)
    assert LIMITS.memory_seconds(96 * MIB) == pytest.approx(64 * MIB / 4e9 + 32 * MIB / 1e9)
    plain = replace(LIMITS, bandwidth=Bandwidth("sum", 1e9, 512 * MIB))
    assert plain.memory_seconds(32 * MIB) == pytest.approx(32 * MIB / 1e9)


def test_of_two_measurements_each_figure_is_the_better_one() -> None:
    after = replace(LIMITS, flops_per_second=2.1e9, shape=SKINNY, bandwidth=Bandwidth("dot", 0.95e9, 512 * MIB, 64 * MIB, 5e9))
    best, cautions = better_limits(LIMITS, after)
    assert (best.flops_per_second, best.shape) == (2.1e9, SKINNY)
    assert (best.bytes_per_second, best.bandwidth.way, best.bandwidth.cached_bytes_per_second) == (1e9, "copy", 5e9)
    assert cautions == ()


@pytest.mark.parametrize("turned", [False, True])
def test_limits_more_than_a_tenth_apart_are_a_caution_with_both_figures(turned: bool) -> None:
    slow = replace(LIMITS, flops_per_second=1.7e9)
    best, cautions = better_limits(*(slow, LIMITS) if turned else (LIMITS, slow))
    assert best.flops_per_second == 2e9
    (caution,) = cautions
    assert caution.code == "limit-drift"
    assert "2 GFLOP/s" in caution.text
    assert "1.7 GFLOP/s" in caution.text


def test_a_buffer_too_small_for_its_cache_is_a_caution() -> None:
    (caution,) = limit_cautions(replace(LIMITS, bandwidth=Bandwidth("copy", 1e9, 128 * MIB, 64 * MIB, 4e9)))
    assert caution.code == "limit-cached"
    assert limit_cautions(replace(LIMITS, bandwidth=Bandwidth("copy", 1e9, 128 * MIB))) == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_this_machine_multiplies(dtype: str) -> None:
    peak = matrix_peak(dtype, shapes=(Gemm(64, 64, 64),), budget_s=1e-3)
    assert peak.flops_per_second > 1e6


def test_this_machine_moves_bytes_and_its_cache_is_not_slower() -> None:
    found = measure_bandwidth("cpu", free_bytes=256 * MIB, budget_s=0.01)
    assert found.buffer_bytes <= 32 * MIB
    assert found.way in {"copy", "sum", "dot"}
    assert found.bytes_per_second > 1e6
    assert found.cached_bytes_per_second is None or found.cached_bytes_per_second >= found.bytes_per_second


@pytest.mark.slow
def test_limits_are_of_the_threads_that_run() -> None:
    import torch

    assert measure_limits("cpu", "float32", 0.1, 0.1).threads == torch.get_num_threads()
