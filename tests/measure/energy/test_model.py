"""The modelled meter and its two references: the sums by hand, the intervals, and what is not published."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.measure.energy.constants import CPU, Constant, load
from spanbench.measure.energy.guard import Guard
from spanbench.measure.energy.model import ModelMeter, coefficients
from spanbench.measure.energy.protocol import IDLE, Cost, MeterError, Reading, Window
from spanbench.measure.energy.reference import Modelled, arithmetic_floor, board_reference, boards, memory_of
from tests.measure.driven import World

PICO = 1e-12
TERA, GIGA = 10**12, 10**9
counts = st.integers(0, 10**18)
DTYPES = ("float32", "bfloat16", "float16")


# ---- the constants ---------------------------------------------------------------------------------------------------


def every_constant() -> list[Constant]:
    known = load()
    return [*known.arithmetic.values(), *known.memory.values(), *known.cpu.values(), known.static, known.attained]


def test_every_constant_has_an_interval_about_it_and_a_source_with_a_year() -> None:
    for constant in every_constant():
        assert 0 < constant.low <= constant.value <= constant.high < math.inf
        assert constant.unit
        assert constant.note
        assert constant.checked in {"paper", "second hand", "derived", "judgement"}
        assert any(char.isdigit() for char in constant.citation)


def test_a_constant_outside_its_own_interval_is_refused() -> None:
    from spanbench.measure.energy.constants import _constant

    raw = {"value": 3.0, "low": 1.0, "high": 2.0, "unit": "pJ/B", "source": "a", "checked": "paper", "note": ""}
    with pytest.raises(ValueError, match="low <= value <= high"):
        _constant(raw, {"a": "A 2020"})


@pytest.mark.parametrize(("dtype", "add", "multiply"), [("float32", 0.38, 1.31), ("bfloat16", 0.11, 0.21), ("float16", 0.16, 0.34)])
def test_a_flop_is_half_of_a_multiply_and_an_add_of_the_table(dtype: str, add: float, multiply: float) -> None:
    constant = load().arithmetic[dtype]
    assert constant.value == pytest.approx((add + multiply) / 2 * PICO)
    assert constant.high == pytest.approx((max(add, 0.38) + multiply) / 2 * PICO)  # the sum kept in float32


@pytest.mark.parametrize(("kind", "least", "most"), [("hbm", 250, 450), ("gddr6", 350, 480), ("ddr", 1300, 1300)])
def test_a_byte_is_an_eighth_of_the_tables_64_bits(kind: str, least: float, most: float) -> None:
    assert load().memory[kind].value == pytest.approx((least + most) / 2 / 8 * PICO)


@pytest.mark.parametrize(
    ("device", "board"),
    [
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA H200 NVL", "H200 NVL"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-40GB", "A100 SXM"),
        ("NVIDIA A100-PCIE-40GB", "A100 PCIe 40 GB"),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe 80 GB"),
        ("Tesla V100-SXM2-16GB", "V100 SXM2"),
        ("Tesla V100-PCIE-32GB", "V100 PCIe"),
        ("Tesla T4", "T4"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA H100 NVL", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA T400 4GB", None),
        ("NVIDIA RTX A1000", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("", None),
    ],
)
def test_a_drivers_name_finds_its_own_board_or_none(device: str, board: str | None) -> None:
    found = load().board(device)
    assert (found.name if found else None) == board


def test_a_boards_own_name_finds_it() -> None:
    for name in boards():
        assert name == CPU or load().board(name) is not None


# ---- the floor -------------------------------------------------------------------------------------------------------


def test_the_floor_is_the_sum_by_hand() -> None:
    floor = arithmetic_floor(2 * TERA, 8 * GIGA, "float32")
    assert floor.joules_arithmetic == pytest.approx(2 * (0.38 + 1.31) / 2)  # 1 pJ · 1 TFLOP = 1 J
    assert floor.joules_memory == pytest.approx(8e9 * 43.75e-12)
    assert floor.value == pytest.approx(1.69 + 0.35)
    assert floor.memory_share == pytest.approx(0.35 / 2.04)
    assert "ISCA 2021, Table 2" in floor.citation
    assert floor.reason is None


@given(counts, counts, st.sampled_from(DTYPES), st.sampled_from(["hbm", "gddr6", "ddr"]))
def test_the_floor_lies_in_its_interval_and_its_share_in_its_own(flops: int, moved: int, dtype: str, memory: str) -> None:
    floor = arithmetic_floor(flops, moved, dtype, memory)
    assert floor.value is not None
    assert floor.low is not None
    assert floor.high is not None
    assert 0 <= floor.low <= floor.value * (1 + 1e-12)
    assert floor.value <= floor.high * (1 + 1e-12)
    assert (floor.memory_share is None) == (flops == moved == 0)
    if floor.memory_share is not None:
        assert floor.memory_share_low is not None
        assert floor.memory_share_high is not None
        assert 0 <= floor.memory_share_low <= floor.memory_share + 1e-12
        assert floor.memory_share <= floor.memory_share_high + 1e-12 <= 1 + 1e-9


@given(counts, counts, counts, counts)
def test_the_floor_of_two_pieces_of_work_is_the_sum_of_their_floors(f1: int, b1: int, f2: int, b2: int) -> None:
    whole, one, two = (arithmetic_floor(f, b, "bfloat16").value for f, b in ((f1 + f2, b1 + b2), (f1, b1), (f2, b2)))
    assert whole is not None
    assert one is not None
    assert two is not None
    assert whole == pytest.approx(one + two)


def test_float64_has_no_floor_and_says_why() -> None:
    assert arithmetic_floor(1, 1, "float64") == Modelled(None, reason="no energy of a float64 operation at 7 nm is published")


@pytest.mark.parametrize(("flops", "moved", "memory"), [(-1, 0, "hbm"), (0, -1, "hbm"), (1, 1, "hbm9")])
def test_counts_that_cannot_be_are_refused(flops: int, moved: int, memory: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        arithmetic_floor(flops, moved, "float32", memory)


# ---- the board -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("board", "dtype", "picojoules"),
    [
        ("V100 SXM2", "float16", 2.40),
        ("Tesla T4", "float16", 1.08),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 1.28),
        ("H100 SXM", "bfloat16", 0.71),
        ("NVIDIA H200", "bfloat16", 0.71),
        ("B200", "bfloat16", 0.44),
        (CPU, "float32", 50),
    ],
)
def test_a_board_is_its_rated_power_over_its_peak(board: str, dtype: str, picojoules: float) -> None:
    found = board_reference(TERA, dtype, board)
    assert found.value == pytest.approx(picojoules, rel=0.015)  # as the published table rounds it
    assert found.low is not None
    assert found.value is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert (found.joules_memory, found.memory_share) == (None, None)  # the whole board: they cannot be told apart
    assert found.citation


def test_every_board_spends_more_than_its_arithmetic_alone() -> None:
    for name in boards():
        for dtype in DTYPES:
            whole, floor = board_reference(TERA, dtype, name), arithmetic_floor(TERA, 0, dtype)
            if whole.value is not None and floor.value is not None:
                assert whole.value > floor.value


@pytest.mark.parametrize(
    ("dtype", "board", "fragment"),
    [
        ("bfloat16", "Tesla T4", "no peak bfloat16 rate of the T4"),
        ("float64", CPU, "no peak float64 rate of a server CPU"),
        ("float32", "NVIDIA RTX 9999", "no board named 'NVIDIA RTX 9999' is in the table; known: cpu, B200"),
    ],
)
def test_a_board_that_is_not_published_is_none_with_a_reason(dtype: str, board: str, fragment: str) -> None:
    found = board_reference(TERA, dtype, board)
    assert found.value is None
    assert fragment in (found.reason or "")


def test_float64_on_a_board_has_a_value_and_no_low_end() -> None:
    found = board_reference(TERA, "float64", "A100 SXM")
    assert found.value == pytest.approx(400 / 19.5)
    assert found.low is None
    with pytest.raises(ValueError, match="0 or more"):
        board_reference(-1, "float32", CPU)


def test_a_device_has_its_own_kind_of_memory() -> None:
    assert [memory_of(device) for device in (CPU, "Tesla T4", "NVIDIA H200", "unheard of")] == ["ddr", "gddr6", "hbm", "hbm"]


# ---- the meter -------------------------------------------------------------------------------------------------------


def windowed(meter: ModelMeter, world: World, window: Window, seconds: float) -> tuple[Reading, str]:
    with Guard(meter) as guard:
        guard.begin(window)
        world.seconds += seconds
        return guard.end(), guard.by


def test_the_meter_is_the_sum_of_three_terms_by_hand() -> None:
    world = World()
    meter = ModelMeter("bfloat16", "NVIDIA H200", clock=world)
    reading, by = windowed(meter, world, Window("token", 10, Cost(flops=5 * TERA, bytes=2 * GIGA)), seconds=2.0)
    per_flop, static = (1 - 0.22) * 700 / 989.4, 0.22 * 700
    assert reading.joules == pytest.approx(10 * 5 * per_flop + 10 * 2e9 * 43.75e-12 + static * 2.0)
    assert reading.low == pytest.approx(50 * 0.16 + 20e9 * 27.5e-12 + 70 * 2.0)
    assert reading.high == pytest.approx(50 * 700 / 989.4 / 0.77 + 20e9 * 56.25e-12 + 350 * 2.0)
    assert by == "model, bfloat16 on H200 SXM board: 0.552 (0.16–0.919) pJ/FLOP, 43.8 (27.5–56.2) pJ/B, 154 (70–350) W static"
    assert (meter.source, meter.probe().scope, meter.min_window_s) == ("modelled", "work", 0.0)


def test_at_its_peak_rate_a_board_draws_its_rated_power_and_its_interval_holds_it() -> None:
    world = World()
    reading, _ = windowed(ModelMeter("float16", "Tesla T4", clock=world), world, Window("a", 1, Cost(65_100 * GIGA, 0)), 1.0)
    assert reading.joules == pytest.approx(70.0)
    assert reading.low is not None
    assert reading.high is not None
    assert reading.low < 70.0 < reading.high


@given(
    counts.filter(bool), counts, st.integers(1, 1000), st.floats(0, 1e4), st.sampled_from(["cpu", "NVIDIA H200", "Tesla T4", "no such GPU"])
)
def test_joules_are_positive_within_their_interval_and_grow_with_the_repeats(
    flops: int, moved: int, repeats: int, seconds: float, device: str
) -> None:
    known = coefficients("float32", device)
    one, many = (known.joules(times * flops, times * moved, seconds) for times in (repeats, repeats + 1))
    assert 0 < one.low <= one.value * (1 + 1e-12)
    assert one.value <= one.high * (1 + 1e-12)
    assert one.value <= many.value


def test_work_that_was_not_counted_has_no_joules() -> None:
    world = World()
    reading, _ = windowed(ModelMeter(clock=world), world, Window("token", 3), 1.0)
    assert reading == Reading(None, "the work of this window was not counted, so it cannot be modelled")


def test_an_idle_window_is_static_power_where_that_is_known_and_none_where_it_is_not() -> None:
    world = World()
    board, _ = windowed(ModelMeter("float16", "Tesla T4", clock=world), world, IDLE, 3.0)
    assert board.joules == pytest.approx(0.22 * 70 * 3)
    cpu, _ = windowed(ModelMeter(clock=world), world, IDLE, 3.0)
    assert cpu == Reading(None, "nothing ran, and the static power of this device is not known")


@pytest.mark.parametrize(
    ("dtype", "device", "fragment"),
    [
        ("float64", "NVIDIA H200", "no energy of a float64 operation is published"),
        ("bfloat16", CPU, "no peak bfloat16 rate of a server CPU"),
        ("bfloat16", "Tesla T4", "no peak bfloat16 rate of the T4"),
    ],
)
def test_what_is_not_published_makes_the_meter_unavailable_and_never_zero(dtype: str, device: str, fragment: str) -> None:
    meter = ModelMeter(dtype, device)
    probe = meter.probe()
    assert not probe.available
    assert fragment in (probe.reason or "")
    assert probe.mend
    with pytest.raises(MeterError, match="no "):
        coefficients(dtype, device)
    reading, _ = windowed(meter, World(), Window("token", 1, Cost(1, 1)), 1.0)
    assert reading.joules is None
    assert fragment in (reading.reason or "")


def test_a_server_cpu_is_the_sum_by_hand_with_the_bytes_of_ddr() -> None:
    world = World()
    meter = ModelMeter("float32", clock=world)
    reading, by = windowed(meter, world, Window("token", 10, Cost(flops=5 * TERA, bytes=2 * GIGA)), seconds=2.0)
    assert reading.joules == pytest.approx(50 * 50.0 + 20e9 * 162.5e-12)
    assert reading.low == pytest.approx(50 * 0.845 + 20e9 * 80e-12)
    assert reading.high == pytest.approx(50 * 55.8 / 0.77 + 20e9 * 325e-12)
    assert by == "model, float32 on a server CPU: 50 (0.845–72.5) pJ/FLOP, 162 (80–325) pJ/B, static power not told apart"


@pytest.mark.parametrize(("watts", "picojoules"), [(180.0, 0.16), (200.0, 0.16), (300.0, 0.78 * 0.3)])
def test_a_board_spends_at_least_its_arithmetic_alone(watts: float, picojoules: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board of 1 PFLOP/s: 0.18 pJ a FLOP in all, less its static share, would be less than the 0.16 of the arithmetic."""
    board = replace(load().boards[0], name="Frugal", match=frozenset({"frugal"}), watts=watts, peak={"bfloat16": 1e15})
    frugal = replace(load(), boards=(board,))
    monkeypatch.setattr("spanbench.measure.energy.model.load", lambda: frugal)
    known = coefficients("bfloat16", "NVIDIA Frugal").flop
    assert known.value == pytest.approx(picojoules * PICO)
    assert known.low <= known.value <= known.high


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_unknown_gpu_is_the_middle_of_all_boards(dtype: str) -> None:
    each = [board.watts / board.peak[dtype] for board in load().boards if dtype in board.peak]
    assert coefficients(dtype, "NVIDIA RTX 9999").flop.value == pytest.approx(statistics.median_high(each))
    assert min(each) < statistics.median_high(each) < max(each)


def test_an_unknown_gpu_has_the_spread_of_all_boards_and_says_so() -> None:
    known = coefficients("bfloat16", "NVIDIA RTX 9999")
    assert known.static is None
    assert "not in the table" in known.text()
    assert known.flop.low == pytest.approx(0.16 * PICO)
    assert known.flop.high == pytest.approx(1.28 / 0.77 * PICO, rel=0.01)


def test_a_clock_that_goes_back_and_an_end_without_a_begin_are_reasons() -> None:
    world = World()
    reading, _ = windowed(ModelMeter(clock=world), world, Window("token", 1, Cost(1, 1)), -1.0)
    assert reading == Reading(None, "model could not close a window: its clock went back by 1 s")
    with Guard(ModelMeter(clock=world)) as guard:
        assert guard.end() == Reading(None, "model could not close a window: no window is open")
