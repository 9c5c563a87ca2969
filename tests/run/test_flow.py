"""The one flow, end to end: a request becomes a record whose every figure is there and is what it says it is."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.errors import NotEnoughMemory
from spanbench.measure.host.memory import available_bytes
from spanbench.point import REGIMES, Regime
from spanbench.record import Record
from spanbench.request import point_of
from spanbench.tally import CONVENTIONS, Convention, Tally
from tests.run.running import QUICK, TINY, Progress, compared, counted, rows

STAGES = {
    "token": ["embedding", "layers", "head", "total"],
    "latent": ["embedding", "encoder", "mixer", "bridge", "decoder", "head", "total"],
}
COUNTED = ["flops", "macs", "flops_other", *(f.name for f in fields(Tally) if "flops" not in f.name)]
MEASURED = ["seconds", "joules"]
MODELLED = ["joules_floor", "joules_arithmetic", "joules_memory", "joules_board"]
NULLS = ["null_seconds"]
CHECKS = ["closed form = ledger", "flops = 2 × fvcore", "flops = torch FlopCounterMode", "scores_dense = softmax witness"]
LARGER_THAN_ANY_MACHINE = {"mlp": 2**24, "layers": 4, "decoder.layers": 1}  # at the document's width 4 TB of weights

Place = tuple[str, str, str, str]


@pytest.fixture(scope="module")
def record() -> Record:
    return compared()


def places(record: Record) -> list[Place]:
    return [(row.arm, row.regime, row.stage, row.quantity) for row in record.measures]


def expected_places(*, timed: bool) -> set[Place]:
    """Every quantity of every stage; times, joules and models of the totals; the pair's ratio of each total, and its nulls."""
    compared = COUNTED + MODELLED + (MEASURED if timed else [])
    totals = [*compared, "memory_share"]
    nulls = {("pair", regime, "total", name) for regime in REGIMES for name in NULLS if timed}
    stages = {(arm, regime, stage, name) for arm in STAGES for stage in STAGES[arm] for regime in REGIMES for name in COUNTED}
    times = {(arm, regime, "total", name) for arm in STAGES for regime in REGIMES for name in totals}
    return stages | times | nulls | {("pair", regime, "total", f"ratio:{name}") for regime in REGIMES for name in compared}


# ---- what a comparison holds ----------------------------------------------------------------------------------------


def test_every_measure_is_there_once(record: Record) -> None:
    assert set(places(record)) == expected_places(timed=True)
    assert len(places(record)) == len(set(places(record)))


def test_the_record_survives_its_file_line(record: Record) -> None:
    again = Record.from_line(record.to_line())
    assert again == record
    assert again.point == point_of(TINY)[0].to_json()
    assert again.to_line() == record.to_line()


def test_what_was_checked_is_said(record: Record) -> None:
    assert set(CHECKS) < set(record.verified)
    assert record.verified[-1] == "census of the timed model"


@pytest.mark.parametrize("regime", REGIMES)
def test_times_are_positive_and_inside_their_bounds(record: Record, regime: Regime) -> None:
    seconds = rows(record, regime=regime, quantity="seconds")
    assert [row.arm for row in seconds] == ["token", "latent"]
    for row in seconds:
        assert isinstance(row.value, float)
        assert isinstance(row.low, float)
        assert isinstance(row.high, float)
        assert 0 < row.low <= row.value <= row.high < math.inf
        assert (row.source, row.unit, row.by) == ("measured", "s", "perf_counter")


@pytest.mark.parametrize("regime", REGIMES)
def test_the_ratio_of_times_has_an_interval_or_says_why_not(record: Record, regime: Regime) -> None:
    (ratio,) = rows(record, regime=regime, quantity="ratio:seconds")
    assert isinstance(ratio.value, float)
    assert ratio.value > 0
    if ratio.low is None or ratio.high is None:
        assert ratio.reason
    else:
        assert ratio.low <= ratio.value <= ratio.high


def test_without_a_meter_joules_are_unknown_and_never_zero(record: Record) -> None:
    metered = [row for row in record.measures if "joules" in row.quantity and row.source != "modelled"]
    assert len(metered) == 3 * len(REGIMES)
    assert {(row.value, row.reason) for row in metered} == {(None, "no meter was asked for")}


def test_the_run_order_is_kept_and_each_arm_ran_as_often(record: Record) -> None:
    schedule = record.environment["schedule"]
    assert isinstance(schedule, dict)
    assert list(schedule) == list(REGIMES)
    for regime in schedule.values():
        assert isinstance(regime, dict)
        assert regime["order"] == ["ABBA", "BAAB"]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("asked", [{}, {"batch": 3, "tokens": 29, "dtype": "bf16"}], ids=["plain", "ragged-batch"])
def test_integers_are_the_closed_form_s_to_the_last_digit(convention: Convention, asked: dict[str, Any]) -> None:
    record = Record.from_line(counted(convention=convention, **asked).to_line())
    point, prompt, _ = point_of(replace(TINY, **asked))
    for regime in REGIMES:
        for arm, stages in closed_form(point, regime, distinct_rows(prompt.ids, point)).items():
            for stage, tally in stages.items():
                values = {row.quantity: row.value for row in rows(record, arm=arm, regime=regime, stage=stage, source="counted")}
                exact = {name: getattr(tally, name) for name in COUNTED[3:]} | {"macs": tally.flops(convention) // 2}
                exact |= {"flops": tally.flops(convention), "flops_other": values["flops_other"]}
                if regime == "score":
                    exact["state_bytes"] = None  # score keeps none, which is not the same as 0 bytes
                assert values == exact
                assert all(type(value) is int for name, value in values.items() if exact[name] is not None)


def test_a_comparison_counts_what_a_count_counts(record: Record) -> None:
    own = counted()
    assert set(places(own)) == expected_places(timed=False)
    timed = {*MEASURED, *NULLS}
    assert own.measures == [row for row in record.measures if row.quantity.removeprefix("ratio:") not in timed]
    assert own.id == record.id  # the same question


def test_a_ratio_is_token_over_latent_of_the_totals(record: Record) -> None:
    for regime in REGIMES:
        token, latent, ratio = (
            rows(record, arm=arm, regime=regime, stage="total", quantity=name)[0].value
            for arm, name in (("token", "flops"), ("latent", "flops"), ("pair", "ratio:flops"))
        )
        assert isinstance(token, int)
        assert isinstance(latent, int)
        assert ratio == token / latent


# ---- what can be asked ----------------------------------------------------------------------------------------------


def test_one_regime_alone() -> None:
    assert {row.regime for row in compared(regimes=("prefill",)).measures} == {"prefill"}


def test_a_span_longer_than_the_prompt_leaves_no_latent_and_still_runs() -> None:
    record = compared(tokens=5)
    for stage in ("encoder", "mixer", "bridge"):
        assert {row.value for row in rows(record, stage=stage, quantity="flops")} == {0}
    assert all(row.value for row in rows(record, quantity="seconds"))
    assert all(row.value for row in rows(record, stage="decoder", quantity="flops"))


@pytest.mark.parametrize("allocation", ["mixer-only", "lean", "megabyte", "block"])
def test_every_allocation_is_counted_and_timed(allocation: str) -> None:
    assert set(places(compared(allocation=allocation, dtype="bf16"))) == expected_places(timed=True)


def test_a_prompt_that_is_repeated_is_said_to_be() -> None:
    note = "The prompt has 104 tokens and was repeated 2.5 times over."
    assert note in counted(tokens=130, batch=2).warnings
    assert counted(tokens=52, batch=2).warnings == []


def test_progress_counts_before_it_times_and_comes_to_an_end() -> None:
    told = Progress()
    compared(progress=told)
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["counting", *(f"timing {regime}" for regime in REGIMES)]
    last = {what: (done, of) for what, done, of in told}
    assert all(done == of > 0 for done, of in last.values())


# ---- what does not fit ----------------------------------------------------------------------------------------------

known_memory = pytest.mark.skipif(available_bytes() is None, reason="this system does not say how much memory is free")


@known_memory
def test_a_pair_that_does_not_fit_is_counted_and_not_run() -> None:
    told = Progress()
    record = compared(progress=told, preset="document", shape=LARGER_THAN_ANY_MACHINE)
    assert set(places(record)) == expected_places(timed=False)
    (warning,) = record.warnings
    assert warning.startswith("Counted and not run: both arms need about ")
    assert {what for what, _, _ in told} == {"counting"}
    assert "census of the timed model" not in record.verified


@known_memory
def test_a_run_that_must_and_cannot_is_refused_before_anything_starts() -> None:
    told = Progress()
    with pytest.raises(NotEnoughMemory, match=r"^--run: not enough memory for preset 'document': both arms need about .* are free on cpu"):
        compared(replace(QUICK, must_run=True), told, preset="document", shape=LARGER_THAN_ANY_MACHINE)
    assert told == []


def test_a_run_that_must_and_can_is_run() -> None:
    assert all(row.value for row in rows(compared(replace(QUICK, must_run=True)), quantity="seconds"))
