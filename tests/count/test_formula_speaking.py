from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.count.distinct import Distinct, StepRows, distinct_rows
from spanbench.count.formula import closed_form, step_forms
from spanbench.point import POOLS, Point, Pool, Regime, Stack
from spanbench.presets import ALLOCATIONS, resolve
from spanbench.tally import Tally
from tests.count.points import corners, ids_of, points, said_of
from tests.count.speaking import Told, enumerate_steps

SPEAKING: tuple[Regime, ...] = ("decode", "decode_worst", "request")
speaking = st.sampled_from(SPEAKING)
SUMMED = [f.name for f in fields(Tally) if f.name not in {"params", "state_bytes"}]

# DESIGN, "The pair": FLOP ratios in decode, as printed.
PUBLISHED: dict[tuple[int, int], dict[str, str]] = {
    (2048, 32): {"mixer-only": "21.34", "lean": "22.48", "megabyte": "8.08", "block": "2.00"},
    (24, 8): {"mixer-only": "7.01", "lean": "7.11", "megabyte": "4.43", "block": "1.58"},
}


def one_row(point: Point) -> Distinct:
    """Return rows for whom bytes are of no matter."""
    return Distinct(1, 1, {"score": 1, "prefill": 1}, (StepRows(1, 1, 1),) * max(point.span, point.generate))


def spoken(point: Point, seed: int = 0) -> tuple[list[list[int]], list[list[int]], Distinct]:
    """Return prompts, enough ids to say in any regime, and their distinct rows."""
    ids, said = ids_of(point, seed), said_of(point, max(point.span, point.generate - 1), seed)
    return ids, said, distinct_rows(ids, point, said)


def count_of(point: Point, regime: Regime) -> int:
    return point.generate - 1 if regime == "request" else point.span


def dense_flops(step: Told) -> int:
    return sum(tally.flops() for tally in step.stages.values())


def stages_of(form: dict[str, Tally]) -> dict[str, Tally]:
    return {stage: tally for stage, tally in form.items() if stage != "total"}


@pytest.mark.parametrize("size", PUBLISHED)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_published_decode_ratios_to_the_printed_digits(size: tuple[int, int], allocation: str) -> None:
    tokens, span = size
    point = Point(resolve("document", allocation, {}, span), tokens, span, dtype="bfloat16")
    arms = closed_form(point, "decode", one_row(point))
    assert f"{arms['token']['total'].flops() / arms['latent']['total'].flops():.2f}" == PUBLISHED[size][allocation]


def assert_steps_equal_enumeration(point: Point, seed: int = 0) -> None:
    ids, said, distinct = spoken(point, seed)
    for regime in ("decode", "request"):
        steps = count_of(point, regime)
        expected = enumerate_steps(point, ids, [prompt[:steps] for prompt in said])
        for arm, (*forms,) in step_forms(point, regime, distinct).items():
            del forms[: regime == "request"]  # its prefill
            assert [stages_of(form) for form in forms] == [step.stages for step in expected[arm]]
            assert [form["total"].bytes_compulsory for form in forms] == [step.compulsory for step in expected[arm]]


@settings(max_examples=150)
@given(points(), st.integers(0, 99))
def test_every_field_of_every_step_equals_enumeration(point: Point, seed: int) -> None:
    assert_steps_equal_enumeration(point, seed)


@pytest.mark.parametrize("pool", POOLS)
def test_every_step_of_every_corner_equals_enumeration(pool: Pool) -> None:
    for point in corners(pool):
        assert_steps_equal_enumeration(point)


@settings(max_examples=60)
@given(points(), st.integers(0, 99))
def test_the_worst_step_is_the_dearest_of_decode_and_of_equal_ones_the_last(point: Point, seed: int) -> None:
    ids, said, distinct = spoken(point, seed)
    expected = enumerate_steps(point, ids, [prompt[: point.span] for prompt in said])
    for arm, form in closed_form(point, "decode_worst", distinct).items():
        worst = max(dense_flops(step) for step in expected[arm])
        (*_, step) = (step for step in expected[arm] if dense_flops(step) == worst)
        assert stages_of(form) == step.stages
        assert form["total"].bytes_compulsory == step.compulsory
        assert step_forms(point, "decode_worst", distinct)[arm] == [form]


def test_of_steps_that_cost_the_same_the_last_is_the_worst() -> None:
    point = Point(resolve("tiny", "lean", {}, 3), 6, 3)
    flat = replace(point, shape=replace(point.shape, token=replace(point.shape.token, layers=0)))
    rows = tuple(StepRows(n, n, n) for n in (7, 5, 6))
    distinct = Distinct(1, 1, {"score": 1, "prefill": 1}, rows)
    embedding = closed_form(flat, "decode_worst", distinct)["token"]["embedding"]
    assert embedding == step_forms(flat, "decode", distinct)["token"][-1]["embedding"]
    assert embedding.bytes_compulsory == 6 * 64 * 4 + 64 * 4 + 8


@settings(max_examples=60)
@given(points(), speaking)
def test_a_regime_is_the_sum_of_its_steps_and_its_state_that_of_the_last(point: Point, regime: Regime) -> None:
    _, _, distinct = spoken(point)
    forms = step_forms(point, regime, distinct)
    for arm, stages in closed_form(point, regime, distinct).items():
        for stage, tally in stages.items():
            steps = [form[stage] for form in forms[arm]]
            assert {name: getattr(tally, name) for name in SUMMED} == {name: sum(getattr(s, name) for s in steps) for name in SUMMED}
            assert tally.state_bytes == steps[-1].state_bytes
            assert {tally.params} == {s.params for s in steps}


@settings(max_examples=40)
@given(points())
def test_a_request_is_its_prefill_and_the_steps_after_it(point: Point) -> None:
    _, _, distinct = spoken(point)
    for arm, (prefill, *steps) in step_forms(point, "request", distinct).items():
        assert prefill == closed_form(point, "prefill", distinct)[arm]
        assert len(steps) == point.generate - 1
    assert closed_form(replace(point, generate=1), "request", distinct) == closed_form(point, "prefill", distinct)


@settings(max_examples=40)
@given(points(), st.integers(0, 99))
def test_the_state_of_every_step_is_that_of_a_prefill_of_the_same_text(point: Point, seed: int) -> None:
    _, _, distinct = spoken(point, seed)
    for arm, (_, *steps) in step_forms(point, "request", distinct).items():
        for read, step in enumerate(steps, start=point.tokens + 1):
            prefill = closed_form(replace(point, tokens=read), "prefill", distinct)[arm]
            assert {s: t.state_bytes for s, t in step.items()} == {s: t.state_bytes for s, t in prefill.items()}


@given(points(), st.integers(0, 3))
def test_any_span_of_steps_runs_encoder_and_mixer_once(point: Point, ragged: int) -> None:
    """From wherever decode starts it crosses one edge of a span."""
    point = replace(point, tokens=point.span + ragged)
    latent = step_forms(point, "decode", one_row(point))["latent"]
    edge = point.span - 1 - point.tokens % point.span
    for t, step in enumerate(latent):
        mixed = point.shape.mixer.layers * point.batch if t == edge else 0
        assert step["mixer"].mlp_rows == mixed
        assert step["mixer"].cells_dense == mixed * (point.tokens // point.span + 1)
        assert step["encoder"].cells_dense == (point.batch * _encoder_cells(point) if t == edge else 0)


def _encoder_cells(point: Point) -> int:
    return point.shape.encoder.layers * point.span**2 + (point.span if point.shape.pool == "attention" else 0)


def proj(t: int, s: Stack, gated: bool) -> int:
    return 2 * t * s.width * (2 * s.width + 2 * s.kv_heads * (s.width // s.heads)) + (6 if gated else 4) * t * s.width * s.mlp


def attn(tq: int, tk: int, s: Stack) -> int:
    return 4 * tq * tk * s.width


@given(points(pools=("concat",), plain=True))
def test_decode_after_whole_spans_is_the_line_of_the_design(point: Point) -> None:
    h, s, g = point.shape, point.span, point.shape.gated
    k = point.tokens // s + 1
    p, z, dd, v = h.prefix, h.mixer.width, h.decoder.width, h.vocab
    latent = sum(h.decoder.layers * (proj(1, h.decoder, g) + attn(1, p + t + 1, h.decoder)) for t in range(s - 1))
    latent += h.decoder.layers * (proj(p, h.decoder, g) + attn(p, p, h.decoder))
    latent += h.encoder.layers * (proj(s, h.encoder, g) + attn(s, s, h.encoder)) + 2 * s * h.encoder.width * z
    latent += h.mixer.layers * (proj(1, h.mixer, g) + attn(1, k + 1, h.mixer)) + 2 * z * p * dd + s * 2 * dd * v
    token = sum(h.token.layers * (proj(1, h.token, g) + attn(1, k * s + t + 1, h.token)) + 2 * h.token.width * v for t in range(s))
    arms = closed_form(replace(point, tokens=k * s), "decode", one_row(point))
    assert (arms["token"]["total"].flops(), arms["latent"]["total"].flops()) == (point.batch * token, point.batch * latent)


@given(points())
def test_nothing_is_masked_but_in_the_window_that_a_closing_step_opens(point: Point) -> None:
    arms = step_forms(point, "decode", one_row(point))
    slots, decoder = point.shape.prefix + point.shape.carry, point.shape.decoder
    for n, forms in enumerate(zip(arms["token"], arms["latent"], strict=True), start=point.tokens):
        opens = decoder.layers * point.batch * ((n + 1) % point.span == 0)
        masked = {"decoder": opens * slots * (slots - 1) // 2, "total": opens * slots * (slots - 1) // 2}
        halved = {"decoder": 2 * opens * slots * slots * decoder.width, "total": 2 * opens * slots * slots * decoder.width}
        assert all(tally.cells_dense == tally.cells_useful and tally.flops() == tally.flops("causal-half") for tally in forms[0].values())
        for stage, tally in forms[1].items():
            assert tally.cells_dense - tally.cells_useful == masked.get(stage, 0)
            assert tally.flops() - tally.flops("useful") == 4 * masked.get(stage, 0) * decoder.width
            assert tally.flops() - tally.flops("causal-half") == halved.get(stage, 0)


def test_a_long_request_is_what_its_steps_are_one_by_one() -> None:
    """Sums over a thousand steps, many of them closing, taken in one go."""
    point = Point(resolve("small", "lean", {"carry": 3, "cross_attention": True}, 16), 8_190, 16, batch=2, generate=1024)
    token, latent = (closed_form(point, "request", one_row(point))[arm]["total"] for arm in ("token", "latent"))
    prefill = closed_form(point, "prefill", one_row(point))
    h, b = point.shape, point.batch
    read = range(8_190, 8_190 + 1_023)
    assert token.cells_dense - prefill["token"]["total"].cells_dense == b * h.token.layers * sum(n + 1 for n in read)
    closing, rest = [n for n in read if n % 16 == 15], [n for n in read if n % 16 < 15]
    slots = h.prefix + 3
    cells = h.decoder.layers * sum(slots + n % 16 + 1 + n // 16 for n in rest)
    cells += sum(
        h.encoder.layers * 256 + h.mixer.layers * (n // 16 + 1) + h.decoder.layers * slots * (slots + n // 16 + 1) for n in closing
    )
    assert latent.cells_dense - prefill["latent"]["total"].cells_dense == b * cells


@pytest.mark.parametrize("regime", SPEAKING)
def test_steps_without_their_ids_are_refused(regime: Regime) -> None:
    point = Point(resolve("tiny", "lean", {}, 4), 9, 4, generate=6)
    said = said_of(point, count_of(point, regime))
    assert closed_form(point, regime, distinct_rows(ids_of(point), point, said))
    short = distinct_rows(ids_of(point), point, [said[0][:2]])
    with pytest.raises(ValueError, match="needs distinct rows, got those of 2 steps"):
        closed_form(point, regime, short)
