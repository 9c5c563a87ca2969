"""What a user feels of a real pair: every figure is there, says where it is from, and agrees with the others.

Times are compared with other times of the same record only where arithmetic ties them; none is expected to be of any size.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form, steps_of
from spanbench.model.pair import build_pair
from spanbench.point import Point
from spanbench.record import Measure, Record
from spanbench.request import point_of
from spanbench.run.counted import count_point
from spanbench.run.steps import dearest, edges, step_arm
from spanbench.run.subjects import ids_tensor
from tests.run.running import TINY, Progress, compared, rows

SPEAKING = ("decode", "decode_worst", "request")
STEPS = ("step_seconds_p50", "step_seconds_p90", "step_seconds_max", "edge_jitter")
FELT = {
    "decode": {"tokens_per_second", "bytes_per_token", *STEPS},
    "decode_worst": {"seconds"},
    "request": {"tokens_per_second", "first_token_seconds"},
}
BATCH, GENERATE = 2, 11


@pytest.fixture(scope="module")
def record() -> Record:
    return compared(regimes=SPEAKING, generate=GENERATE, batch=BATCH, tokens=27)


def one(record: Record, arm: str, regime: str, quantity: str) -> Measure:
    (found,) = rows(record, arm=arm, regime=regime, stage="total", quantity=quantity)
    return found


def number(measure: Measure) -> float:
    assert measure.value is not None
    return measure.value


def felt(record: Record, arm: str, regime: str) -> set[str]:
    """Return the names of an arm's measures that no counter of FLOPs gave and that are not joules."""
    found = rows(record, arm=arm, regime=regime, stage="total")
    return {m.quantity for m in found if "joules" not in m.quantity and (m.source == "measured" or m.quantity.endswith("bytes_per_token"))}


@pytest.mark.parametrize("regime", SPEAKING)
def test_every_figure_is_there_for_both_arms_and_the_pair(record: Record, regime: str) -> None:
    expected = FELT[regime] | {"seconds"}
    assert felt(record, "token", regime) == felt(record, "latent", regime) == expected
    nulls = {"null_seconds"} if regime in {"decode", "request"} else set()
    assert felt(record, "pair", regime) == {f"ratio:{name}" for name in expected} | nulls
    places = [(m.arm, m.regime, m.stage, m.quantity) for m in record.measures]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("asked", [("decode",), ("decode_worst",), ("request",), ("prefill",)], ids=lambda asked: asked[0])
def test_a_regime_that_was_not_asked_for_leaves_no_figure(asked: tuple[str]) -> None:
    alone = compared(regimes=asked, generate=3)
    assert {m.regime for m in alone.measures} == set(asked)
    assert felt(alone, "latent", asked[0]) == FELT.get(asked[0], set()) | {"seconds"}


def test_single_steps_say_that_they_were_timed_singly(record: Record) -> None:
    singly = {
        m.by for m in record.measures if m.quantity.removeprefix("ratio:") in STEPS or (m.regime, m.quantity) == ("decode_worst", "seconds")
    }
    assert singly == {"perf_counter, each step singly"}


@pytest.mark.parametrize(("regime", "tokens"), [("decode", BATCH * 8), ("request", BATCH * GENERATE)])
@pytest.mark.parametrize("arm", ["token", "latent"])
def test_tokens_per_second_are_all_tokens_over_the_seconds(record: Record, arm: str, regime: str, tokens: int) -> None:
    rate, seconds = (one(record, arm, regime, name) for name in ("tokens_per_second", "seconds"))
    assert number(rate) * number(seconds) == pytest.approx(tokens)
    assert rate.low is not None
    assert rate.high is not None
    assert rate.low <= number(rate) <= rate.high
    assert rate.unit == "token/s"


@pytest.mark.parametrize("arm", ["token", "latent"])
def test_the_distribution_is_in_order(record: Record, arm: str) -> None:
    p50, p90, most = (number(one(record, arm, "decode", name)) for name in STEPS[:3])
    assert 0 < p50 <= p90 <= most


@pytest.mark.parametrize("arm", ["token", "latent"])
def test_the_dearest_step_is_no_slower_than_the_slowest(record: Record, arm: str) -> None:
    assert 0 < number(one(record, arm, "decode_worst", "seconds")) <= number(one(record, arm, "decode", "step_seconds_max"))


@pytest.mark.parametrize("asked", [{}, {"batch": 3, "tokens": 29}], ids=["one", "batch"])
def test_bytes_per_token_are_the_counted_bytes_over_all_tokens(asked: dict[str, Any]) -> None:
    record = compared(regimes=("decode",), **asked)
    point, prompt, _ = point_of(replace(TINY, regimes=("decode",), **asked))
    forms = closed_form(point, "decode", distinct_rows(prompt.ids, point, prompt.following(point.said)))
    for arm, stages in forms.items():
        found = one(record, arm, "decode", "bytes_per_token")
        exact = Fraction(stages["total"].bytes_compulsory, point.span * point.batch)
        assert Fraction(number(found)) == (exact if exact.denominator == 1 else Fraction(float(exact)))
        assert (type(found.value) is int) is (exact.denominator == 1)
        assert (found.source, found.by, found.steps) == ("counted", "ledger", point.span)


def test_a_span_of_one_has_no_ordinary_step_and_says_so() -> None:
    record = compared(regimes=("decode",), span=1, tokens=4)
    jitter = [one(record, arm, "decode", "edge_jitter") for arm in ("token", "latent")]
    assert {(m.value, m.reason) for m in jitter} == {(None, "every step closes a span")}
    assert one(record, "pair", "decode", "ratio:edge_jitter").reason == "every step closes a span"


def test_the_orders_of_passes_are_kept(record: Record) -> None:
    schedule: Any = record.environment["schedule"]
    steps, first = schedule["single steps"], schedule["first token"]
    assert steps["order"] == ["ABBA", "BAAB"]
    assert {arm: [len(one) for one in runs] for arm, runs in steps["passes"].items()} == {arm: [8] * 4 for arm in ("token", "latent")}
    assert first["order"] == ["ABBA", "BAAB"]


def test_progress_tells_of_each_measurement_to_its_end() -> None:
    told = Progress()
    compared(progress=told, regimes=SPEAKING, generate=3)
    last = {what: (done, of) for what, done, of in told}
    assert list(last) == ["counting", "timing decode", "timing request", "timing the first token", "timing single steps"]
    assert all(done == of > 0 for done, of in last.values())


# ---- positions ------------------------------------------------------------------------------------------------------


def at(**asked: Any) -> Point:
    return point_of(replace(TINY, regimes=("decode",), **asked))[0]


@pytest.mark.parametrize("tokens", range(3, 20))
def test_just_one_step_of_a_period_closes_a_span(tokens: int) -> None:
    point = at(tokens=tokens)
    (edge,) = edges(point)
    assert (tokens + edge + 1) // 8 == tokens // 8 + 1
    assert 0 <= edge < 8


@pytest.mark.parametrize("asked", [{}, {"tokens": 29}, {"tokens": 5, "allocation": "megabyte"}, {"allocation": "mixer-only"}])
def test_the_dearest_position_costs_what_decode_worst_counts(asked: dict[str, Any]) -> None:
    """Its own step, counted as a decode of one token in a prompt as long as it stands."""
    point, prompt, _ = point_of(replace(TINY, regimes=("decode", "decode_worst"), **asked))
    said = prompt.following(point.said)
    counts = count_point(point, prompt.ids, said, progress=lambda *_: None)
    found = dearest(point, counts)
    for arm, form in closed_form(point, "decode_worst", distinct_rows(prompt.ids, point, said)).items():
        n = steps_of(point, "decode")[found[arm]]
        cells = form["total"].cells_dense
        if arm == "token":
            assert n == point.tokens + point.span - 1
            assert cells == point.shape.token.layers * (n + 1)
        else:
            assert form["encoder" if point.shape.encoder.layers else "mixer"].flops() > 0  # only a closing step runs them
            assert (n + 1) % point.span == 0


@pytest.mark.parametrize("arm", ["token", "latent"])
def test_rewinding_makes_the_same_steps_say_the_same(arm: str) -> None:
    point, prompt, _ = point_of(replace(TINY, regimes=("decode",), tokens=27, batch=2, dtype="fp64"))
    text = ids_tensor([[*row, *tail] for row, tail in zip(prompt.ids, prompt.following(point.said), strict=True)], "cpu")
    with torch.inference_mode():
        model = build_pair(point).arms()[arm]
        steps = step_arm(arm, model, text, point)
        passes = []
        for _ in range(3):
            steps.rewind()
            passes.append(torch.stack([step() for step in steps.steps]))  # type: ignore[misc]  # a step returns its logits
        whole = model(text)[:, point.tokens :].transpose(0, 1)
    assert all(torch.equal(one, passes[0]) for one in passes)
    assert torch.allclose(passes[0], whole, rtol=0, atol=1e-12)
