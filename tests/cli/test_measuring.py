"""`compare` with a meter, from the command line to the record: joules of a known board, a board that is lost, a machine that is busy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from spanbench.measure.energy.rapl import RaplMeter
from tests.cli.processes import Kept, busy_machine, codes, compared, once, ratios, with_gpu
from tests.cli.recomputed import Figure, Schedule
from tests.cli.running import TINY, Cli

IDLE_WATTS, BUSY_WATTS = 50.0, 300.0  # of the fake board, which is as busy as the process
LOST = "the GPU is lost"

# Progress is told between slots, for the first time behind the first of them.
LOSE_IT = """
import ctypes, sys
from spanbench.cli.main import main
class Watched:
    def __getattr__(self, name):
        return getattr(sys.__stderr__, name)
    def write(self, text):
        if text.startswith("timing"):
            ctypes.CDLL("libnvidia-ml.so.1").fake_word(b"nvmlDeviceGetTotalEnergyConsumption=15")
        return sys.__stderr__.write(text)
sys.stderr = Watched()
sys.exit(main())
"""
PRECISION = 0.001


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Return a comparison with the fake board's energy counter."""
    arguments = ("--regime", "prefill", "--meter", "nvml", "--max-time", "2", "--co2", "56 g/kWh")
    return once(tmp_path_factory, "metered", lambda folder: compared(folder, *arguments, env=with_gpu("follows_cpu=1")))


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Return a comparison whose board falls off its bus once the first slot is over."""
    arguments = ("--regime", "prefill", "--meter", "nvml", "--max-time", "2")
    started = ("-c", LOSE_IT)
    return once(tmp_path_factory, "lost", lambda folder: compared(folder, *arguments, env=with_gpu("follows_cpu=1"), started=started))


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Return a comparison on two cores that other processes keep busy, asked for more than such a machine can give."""
    arguments = ("--regime", "prefill", "--meter", "none", "--max-time", "2", "--precision", str(PRECISION), "--strict")

    def make(folder: Path) -> Kept:
        with busy_machine():
            return compared(folder, *arguments)

    return once(tmp_path_factory, "disturbed", make)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Return a comparison in the regimes that speak."""
    arguments = ("--regime", "score,decode,request", "--generate", "16", "--meter", "none", "--max-time", "24")
    return once(tmp_path_factory, "spoken", lambda folder: compared(folder, *arguments))


RUNS = ["metered", "lost", "disturbed", pytest.param("spoken", marks=pytest.mark.slow)]


# ---- joules of a known board -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", ["token", "latent"])
def test_a_metered_arm_has_measured_joules_between_those_of_rest_and_of_full_load(metered: Kept, arm: str) -> None:
    assert metered.ran.code == 0, metered.ran
    seconds, joules = (metered.row(arm, "prefill", quantity) for quantity in ("seconds", "joules"))
    above, watts = (metered.row(arm, "prefill", quantity) for quantity in ("joules_dynamic", "watts"))
    assert {row["source"] for row in (joules, above, watts)} == {"measured"}
    assert [row for row in (joules, above, watts) if not row["by"].startswith("NVML energy counter, ticks every ")] == []
    assert IDLE_WATTS * seconds["low"] < joules["value"] < 1.01 * BUSY_WATTS * seconds["high"]
    assert 0 < above["value"] < joules["value"]
    assert IDLE_WATTS < watts["low"] <= watts["high"] < 1.01 * BUSY_WATTS


def test_rests_read_what_the_board_draws_at_rest(metered: Kept) -> None:
    rests = metered.schedules["prefill"]["rests"]
    assert len(rests) >= 3
    assert rests == [pytest.approx(IDLE_WATTS, abs=10)] * len(rests)


def test_the_ratio_above_rest_is_there_with_its_interval_or_the_reason_for_none(metered: Kept) -> None:
    ratio = metered.row("pair", "prefill", "ratio:joules_dynamic")
    assert ratio["source"] == "measured"
    assert ratio["reason"] or ratio["low"] <= ratio["value"] <= ratio["high"]


@pytest.mark.parametrize("arm", ["token", "latent"])
def test_grams_are_joules_times_the_intensity_that_was_given_and_an_estimate(metered: Kept, arm: str) -> None:
    joules, grams = (metered.row(arm, "prefill", quantity) for quantity in ("joules", "grams_co2e"))
    assert grams["value"] == pytest.approx(joules["value"] / 3.6e6 * 56, rel=1e-12)
    assert grams["source"] == "estimated"
    assert "56 g/kWh" in grams["by"]


# ---- a meter that fails ----------------------------------------------------------------------------------------------


def test_a_board_lost_in_the_midst_costs_joules_and_no_second(lost: Kept) -> None:
    assert lost.ran.code == 0, lost.ran
    slots = lost.schedules["prefill"]["slots"]
    assert [joules is not None for _, _, joules in slots] == [True] + [False] * (len(slots) - 1)  # what is lost does not come back
    assert all(seconds > 0 for _, seconds, _ in slots)
    ratio = lost.row("pair", "prefill", "ratio:seconds")
    assert 0 < ratio["low"] <= ratio["value"] <= ratio["high"]


def test_joules_that_are_missing_since_are_told_with_the_reason(lost: Kept) -> None:
    (told,) = [text for text in lost.record["warnings"] if text.endswith("[energy-incomplete]")]
    assert LOST in told
    assert LOST in " ".join(lost.ran.out.split())
    for row in (lost.row("latent", "prefill", "joules"), lost.row("pair", "prefill", "ratio:joules")):
        assert row["value"] is None
        assert LOST in row["reason"]


def test_a_sum_without_one_of_its_meters_has_no_joules_and_names_it(tmp_path: Path) -> None:
    if RaplMeter().probe().available:
        pytest.skip("RAPL can be read here")
    found = compared(tmp_path, "--regime", "prefill", "--meter", "rapl+nvml", "--max-time", "1", env=with_gpu("follows_cpu=1"))
    assert found.ran.code == 0, found.ran
    for quantity in ("joules", "joules_dynamic", "watts"):
        for arm in ("token", "latent"):
            row = found.row(arm, "prefill", quantity)
            assert (row["value"], row["reason"].startswith("rapl: ")) == (None, True), row
    assert found.row("pair", "prefill", "ratio:seconds")["value"] > 0
    assert "energy-unknown" in codes(found.record)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--meter", "nvml+nvml", "twice"),
        ("--meter", "rapl+nvml+rapl", "twice"),
        ("--meter", "rapll", "did you mean 'rapl'"),
        ("--meter", "nvml+codecarb", "'nvml+codecarb'"),
        ("--meter", "", "known: "),
        *[("--precision", value, "between 0.0001 and 1") for value in ("-1", "0", "1", "abc", "300%", "nan", "inf", "", "-3%", "100%")],
        *[("--max-time", value, "positive number of seconds") for value in ("0", "-1", "nan", "inf", "soon", "")],
        ("--co2", "Atlantis", "'Atlantis'"),
        ("--co2", "-5 g/kWh", "'-5 g/kWh'"),
        ("--co2", "nan g/kWh", "'nan g/kWh'"),
        ("--co2", "56", "has no unit"),
        ("--co2", "", "give a country"),
        *[("--threads", value, "must lie between 1 and") for value in ("0", "-1", "9999")],
        ("--threads", "two", "whole number"),
    ],
)
def test_a_value_that_measuring_cannot_take_is_one_line_that_names_it(cli: Cli, option: str, value: str, said: str) -> None:
    line = cli.fails("compare", *TINY, option, value)
    wrong = value.rpartition("+")[2]  # of a sum only the part that is wrong need be named
    assert [part for part in (option, wrong, said) if part not in line] == [], line


# ---- a machine that others use ---------------------------------------------------------------------------------------


def test_on_a_busy_machine_a_run_says_inconclusive_and_strict_ends_it_with_4(disturbed: Kept) -> None:
    assert disturbed.ran.code == 4, disturbed.ran
    assert disturbed.ran.err.splitlines()[-1].startswith("spanbench: error: --strict: prefill: inconclusive")
    assert {"inconclusive", "load"} <= codes(disturbed.record)


def test_what_strict_refuses_is_printed_whole_and_kept(disturbed: Kept) -> None:
    shown = " ".join(disturbed.ran.out.split())
    assert [title for title in ("1 · The documents", "2 · The whole model", "3 · At the documents") if title not in shown] == []
    assert [text for text in disturbed.record["warnings"] if " ".join(text.split()) not in shown] == []


@pytest.mark.parametrize("run", RUNS)
def test_no_measured_ratio_is_bare(run: str, request: pytest.FixtureRequest) -> None:
    found: Kept = request.getfixturevalue(run)
    measured = ratios(found.record)
    assert {row["quantity"] for row in measured} >= {"ratio:seconds", "null_seconds"}
    bare = [row for row in measured if row["reason"] is None and (row["low"] is None or row["high"] is None)]
    assert bare == []


@pytest.mark.parametrize("run", RUNS)
def test_a_ratio_of_times_wider_than_asked_is_called_inconclusive(run: str, request: pytest.FixtureRequest) -> None:
    found: Kept = request.getfixturevalue(run)
    told = [text for text in found.record["warnings"] if text.endswith("[inconclusive]")]
    for regime, schedule in found.schedules.items():
        ratio = found.row("pair", regime, "ratio:seconds")
        wide = ratio["high"] / ratio["low"] > (1 + schedule["precision"]) ** 2
        assert not (wide and schedule["conclusive"]), ratio
        assert any(regime in text.split(": ")[0] for text in told) == (not schedule["conclusive"]), told


@pytest.mark.parametrize("run", RUNS)
def test_the_table_shows_an_interval_below_every_ratio_of_times(run: str, request: pytest.FixtureRequest) -> None:
    found: Kept = request.getfixturevalue(run)
    lines = found.ran.out.splitlines()
    rows = [place for place, line in enumerate(lines) if re.match(r"time .*\d×", line) and "limit" not in line]
    assert rows
    for place in rows:
        below = [line for line in lines[place + 1 : place + 3] if line.startswith("  95% interval")]
        assert below, lines[place : place + 3]
        assert lines[place].count("×") <= below[0].count("×") / 2, below


def test_the_closing_words_never_give_a_speed_without_its_bounds(disturbed: Kept) -> None:
    shown = " ".join(disturbed.ran.out.split())
    speeds = re.findall(r"[\d.]+× (?:SLOWER|as fast)(.{0,2})", shown)
    assert speeds
    assert set(speeds) == {" ("}


# ---- the record's schedule -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS)
def test_the_schedule_of_every_regime_holds_everything_that_ran_in_its_order(run: str, request: pytest.FixtureRequest) -> None:
    found: Kept = request.getfixturevalue(run)
    assert list(found.schedules) == found.record["point"]["regimes"]
    for schedule in found.schedules.values():
        ran = [part.rpartition(" ") for part in schedule["sequence"]]
        for kind, order, slots in (("", "order", "slots"), ("null", "null", "null_slots"), ("pilot", "pilot", "pilot_slots")):
            assert [letters for of, _, letters in ran if of == kind and letters != "rest"] == schedule[order]
            assert len(schedule[slots]) == 4 * len(schedule[order])
        assert sum(letters == "rest" for _, _, letters in ran) == len(schedule["rests"])
        assert schedule["order"] == ["ABBA", "BAAB"] * (len(schedule["order"]) // 2)
        assert [slot[0] for slot in schedule["slots"]] == [{"A": "token", "B": "latent"}[letter] for letter in "".join(schedule["order"])]
        assert set(schedule["repeats"]) == {"token", "latent"}
        assert min(schedule["repeats"].values()) >= 1


@pytest.mark.parametrize("run", RUNS)
def test_every_paired_figure_follows_from_the_slots_in_the_record(run: str, request: pytest.FixtureRequest) -> None:
    found: Kept = request.getfixturevalue(run)
    for regime, written in found.schedules.items():
        schedule = Schedule(written)
        metered = bool(found.rows("joules_dynamic"))  # without a meter there is nothing that would follow from joules
        for arm in ("token", "latent"):
            for quantity in ("seconds", "joules", "joules_dynamic") if metered else ("seconds", "joules"):
                _agrees(found.row(arm, regime, quantity), schedule.arm(arm, quantity))
        for quantity in ("seconds", "joules"):
            _agrees(found.row("pair", regime, f"ratio:{quantity}"), schedule.ratio(quantity))
        for quantity in ("seconds", "joules") if metered else ("seconds",):
            _agrees(found.row("pair", regime, f"null_{quantity}"), schedule.ratio(quantity, "null"))
        if metered:
            _agrees(found.row("pair", regime, "ratio:joules_dynamic"), schedule.dynamic_ratio())


def _agrees(row: Mapping[str, Any], figure: Figure) -> None:
    for end, wanted in (("value", figure.value), ("low", figure.low), ("high", figure.high)):
        assert row[end] == (None if wanted is None else pytest.approx(wanted, rel=1e-8)), row
