"""Steps: closed form = ledger, tolerance 0, for points over every option; and that no step is left out unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form, step_forms, steps_of
from spanbench.count.ledger import Counted, run_ledger
from spanbench.count.verify import equal, same_census
from spanbench.model.pair import build_pair
from spanbench.model.speak import blank_session, start_session
from spanbench.point import POOLS, SPOKEN, Point
from spanbench.presets import resolve
from spanbench.run.spoken import MOST_STEPS, spoken, step_subject, telling_steps
from tests.run.speaking import speaking_point, text_of
from tests.shapes import kinds

CHUNK = 20
QUICK = range(320)
RUNS_A_POINT = 6  # two arms in three regimes

# DESIGN, "The pair": FLOP ratios in decode at 2048/32, as printed.
PUBLISHED = {"mixer-only": "21.34", "lean": "22.48", "megabyte": "8.08", "block": "2.00"}


def every_step(seed: int) -> bool:
    """Pick every seventh point to execute whole (7 shares no divisor with the 16 combinations of a seed's lowest bits)."""
    return seed % 7 == 0


def device_of(seed: int) -> str:
    """Count one point in 16 on meta, as `count` does; the rest on the CPU, three times as fast, with ids that are checked."""
    return "meta" if seed % 16 == seed // 16 % 16 else "cpu"


def chunks(seeds: range) -> list[range]:
    return [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]


def hold(point: Point, *, whole: bool, device: str) -> int:
    """Hold the closed form of every regime against the steps; where `whole`, every step is executed, to the same result."""
    text, rows = text_of(point)
    fed = None if device == "meta" else text
    runs = 0
    for arm, model in build_pair(point, device).arms().items():
        for regime in SPOKEN:
            what, counted = f"{arm} {regime} at {point}", spoken(point, arm, model, regime, rows, text_BxT=fed)
            equal(closed_form(point, regime, rows)[arm], counted, what)
            if whole:
                executed = spoken(point, arm, model, regime, rows, text_BxT=fed, every=True)
                assert executed.stages == counted.stages, what
                assert executed.flops_other == counted.flops_other != {}, what
            runs += 1
    return runs


@pytest.mark.parametrize("seeds", chunks(QUICK), ids=str)
def test_closed_form_is_the_ledger(seeds: range) -> None:
    assert sum(hold(speaking_point(seed), whole=every_step(seed), device=device_of(seed)) for seed in seeds) == RUNS_A_POINT * len(seeds)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(start, start + 250) for start in range(320, 2820, 250)], ids=str)
def test_closed_form_is_the_ledger_for_thousands_of_points_every_step_executed(seeds: range) -> None:
    assert sum(hold(speaking_point(seed), whole=True, device=device_of(seed)) for seed in seeds) == RUNS_A_POINT * len(seeds)


@pytest.mark.parametrize("seeds", [QUICK, list(filter(every_step, QUICK))], ids=["all", "executed whole"])
def test_the_points_are_as_various_as_is_claimed(seeds: Sequence[int]) -> None:
    points = [speaking_point(seed) for seed in seeds]
    assert len(set(points)) == len(seeds)
    options = [(pool, gated, cross) for pool in POOLS for gated in (False, True) for cross in (False, True)]
    assert {(p.shape.pool, p.shape.gated, p.shape.cross_attention) for p in points} == set(options)
    assert len(kinds(points)) == 21
    # prompts end at each place of a span, and requests close none, one and more spans
    assert {(p.span, p.windows.open) for p in map(speaking_point, QUICK) if p.span < 5} == {(s, o) for s in range(1, 5) for o in range(s)}
    assert {(p.tokens + p.generate - 1) // p.span - p.windows.complete for p in points} >= {0, 1, 2}


def counts(counted: Counted) -> tuple[object, ...]:
    """Return all but the names of views: a slice that takes everything is another operation, and costs as little."""
    return counted.stages, counted.flops_other, counted.census


# ---- one step -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(0, 48, 3))
def test_a_session_that_really_read_the_text_counts_as_a_blank_one(seed: int) -> None:
    """Every count of every step, traffic and census included, on real numbers: a session that goes on forgets its last traffic."""
    point = replace(speaking_point(seed), dtype="float32")
    text, rows = text_of(point)
    for arm, model in build_pair(point).arms().items():
        session, _ = start_session(model, text[:, : point.tokens].tolist(), point.span)
        for n, form in zip(steps_of(point, "decode"), step_forms(point, "decode", rows)[arm], strict=True):
            step_rows = rows.steps[n - point.tokens]
            real = run_ledger(step_subject(model, session, text[:, n], step_rows))
            blank = blank_session(model, point.batch, n, 1)
            blank.hold(text[:, :n])
            assert counts(run_ledger(step_subject(model, blank, text[:, n], step_rows))) == counts(real)
            equal(form, real, f"{arm}, after {n} tokens at {point}")


@pytest.mark.parametrize("seed", range(1, 32, 3))
def test_on_the_cpu_the_same_work_is_done_as_on_meta(seed: int) -> None:
    point = speaking_point(seed)
    text, rows = text_of(point)
    cpu, meta = build_pair(point), build_pair(point, "meta")
    for regime in SPOKEN:
        for arm, model in cpu.arms().items():
            timed = spoken(point, arm, model, regime, rows, text_BxT=text)
            counted = spoken(point, arm, meta.arms()[arm], regime, rows)
            same_census(counted.census, timed.census, str(point))
            assert counts(timed) == counts(counted)


# ---- the document's figures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("allocation", PUBLISHED)
def test_the_ratios_of_the_document_are_executed(allocation: str) -> None:
    point = Point(resolve("document", allocation, {}, 32), 2048, 32, dtype="bfloat16", regimes=("decode",))
    rows = distinct_rows([[0] * 2048], point, [[0] * 32])
    flops = {}
    for arm, model in build_pair(point, "meta").arms().items():
        counted = spoken(point, arm, model, "decode", rows)
        equal(closed_form(point, "decode", rows)[arm], counted, arm)
        flops[arm] = counted.stages["total"].flops()
    assert f"{flops['token'] / flops['latent']:.2f}" == PUBLISHED[allocation]


# ---- which steps tell -----------------------------------------------------------------------------------------------


def test_the_steps_that_tell_are_closing_ones_and_both_ends_of_what_lies_between() -> None:
    point = Point(resolve("tiny", "lean", {}, 8), 19, 8)
    assert telling_steps(point, "latent", range(19, 43)) == [19, 22, 23, 24, 30, 31, 32, 38, 39, 40, 42]
    assert telling_steps(point, "latent", range(19, 22)) == [19, 21]
    assert telling_steps(point, "latent", range(23, 25)) == [23, 24]
    assert telling_steps(point, "token", range(19, 43)) == [19, 42]
    assert telling_steps(point, "token", range(19, 20)) == [19]
    assert telling_steps(point, "token", range(19, 19)) == []


def test_of_a_long_request_beginning_and_end_are_executed_and_element_wise_work_is_unknown() -> None:
    point = Point(resolve("tiny", "lean", {"layers": 1}, 1), 3, 1, generate=41, regimes=("request",))
    steps = telling_steps(point, "latent", range(3, 43))
    assert steps == [*range(3, 15), *range(31, 43)]
    assert len(steps) == MOST_STEPS
    _, rows = text_of(point)
    counted = spoken(point, "latent", build_pair(point, "meta").latent, "request", rows)
    equal(closed_form(point, "request", rows)["latent"], counted, "request")
    assert counted.flops_other == {}


def test_the_bridge_that_cross_attention_replaces_does_no_element_wise_work() -> None:
    point = Point(resolve("tiny", "lean", {"cross_attention": True}, 4), 9, 4, regimes=("decode",))
    _, rows = text_of(point)
    counted = spoken(point, "latent", build_pair(point, "meta").latent, "decode", rows)
    assert counted.flops_other["bridge"] == 0
    assert set(counted.flops_other) == set(counted.stages)
