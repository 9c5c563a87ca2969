from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.count.distinct import Distinct, distinct_rows
from spanbench.count.formula import closed_form
from spanbench.point import POOLS, REGIMES, Point, Pool, Regime, Stack
from spanbench.presets import ALLOCATIONS, resolve
from spanbench.tally import CONVENTIONS, Tally, total
from tests.count.enumeration import enumerate_latent, enumerate_token
from tests.count.points import corners, ids_of, points

regimes = st.sampled_from(REGIMES)
ONE_ROW = Distinct(1, 1, {"score": 1, "prefill": 1})
WORK = [f.name for f in fields(Tally) if "flops" in f.name or f.name in {"cells_dense", "cells_useful", "scores_dense", "mlp_rows"}]

# DESIGN, "The pair": FLOP ratios in score and prefill, then cell ratios, as printed.
PUBLISHED: dict[tuple[int, int], dict[str, tuple[str, ...]]] = {
    (2048, 32): {
        "mixer-only": ("21.32", "34.56", "1024.0", "1024.0"),
        "lean": ("22.46", "30.16", "248.1", "512.0"),
        "megabyte": ("8.06", "33.15", "146.3", "1023.9"),
        "block": ("2.00", "67.01", "113.7", "2046.0"),
    },
    (24, 8): {
        "mixer-only": ("7.01", "7.95"),
        "lean": ("7.08", "7.68"),
        "megabyte": ("4.36", "7.66"),
        "block": ("1.48", "9.52"),
    },
}


def document(allocation: str, tokens: int, span: int) -> Point:
    return Point(resolve("document", allocation, {}, span), tokens, span, dtype="bfloat16")


def totals(point: Point, regime: Regime) -> tuple[Tally, Tally]:
    counted = closed_form(point, regime, ONE_ROW)
    return counted["token"]["total"], counted["latent"]["total"]


@pytest.mark.parametrize("size", PUBLISHED)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_published_ratios_to_the_printed_digits(size: tuple[int, int], allocation: str) -> None:
    expected = PUBLISHED[size][allocation]
    pairs = [totals(document(allocation, *size), regime) for regime in REGIMES]
    derived = [f"{token.flops() / latent.flops():.2f}" for token, latent in pairs]
    derived += [f"{token.cells_dense / latent.cells_dense:.1f}" for token, latent in pairs]
    assert tuple(derived[: len(expected)]) == expected


@pytest.mark.parametrize(("regime", "flops"), [("score", 29_124_173_234_176), ("prefill", 28_587_564_466_176)])
def test_dense_arm_at_the_documents_scale(regime: Regime, flops: int) -> None:
    assert totals(document("lean", 2048, 32), regime)[0].flops() == flops


@pytest.mark.parametrize(("tokens", "span", "factor"), [(24, 8, 64), (2048, 32, 1024)])
def test_mixer_against_dense_attention_is_the_documents_factor(tokens: int, span: int, factor: int) -> None:
    point = document("lean", tokens, span)
    counted = closed_form(point, "score", ONE_ROW)
    assert counted["token"]["layers"].cells_dense == factor * counted["latent"]["mixer"].cells_dense  # both have 32 layers
    assert counted["token"]["layers"].cells_dense == 32 * tokens**2
    assert counted["latent"]["mixer"].mlp_rows == 32 * (tokens // span)


def test_state_at_the_documents_scale() -> None:
    counted = closed_form(document("lean", 2048, 32), "prefill", ONE_ROW)
    assert counted["token"]["layers"].state_bytes == 1 << 30  # 1 GiB of keys and values in 16-bit numbers
    assert counted["latent"]["mixer"].state_bytes == (32 << 20) + 2 * 4096  # 32 MiB, and c_K
    assert counted["latent"]["decoder"].state_bytes == 2 * 4 * 2 * 1024 * 2  # k, v · 4 layers · 2 slots · 1024 wide · 2 bytes


def test_grouped_query_state_is_a_quarter() -> None:
    grouped = Point(resolve("document", "lean", {"kv_heads": 8}, 32), 2048, 32, dtype="bfloat16")
    assert 4 * closed_form(grouped, "prefill", ONE_ROW)["token"]["layers"].state_bytes == 1 << 30


def assert_equals_enumeration(point: Point, regime: Regime, ids: list[list[int]]) -> None:
    counted = closed_form(point, regime, distinct_rows(ids, point))
    expected = {"token": enumerate_token(point, regime, ids), "latent": enumerate_latent(point, regime, ids)}
    assert {arm: {stage: stages[stage] for stage in stages if stage != "total"} for arm, stages in counted.items()} == expected


@settings(max_examples=400)
@given(points(), regimes, st.integers(0, 99))
def test_every_field_of_every_stage_equals_enumeration(point: Point, regime: Regime, seed: int) -> None:
    assert_equals_enumeration(point, regime, ids_of(point, seed))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("regime", REGIMES)
def test_every_corner_equals_enumeration(pool: Pool, regime: Regime) -> None:
    for point in corners(pool):
        assert_equals_enumeration(point, regime, ids_of(point))


def proj(t: int, s: Stack, gated: bool) -> int:
    return 2 * t * s.width * (2 * s.width + 2 * s.kv_heads * (s.width // s.heads)) + (6 if gated else 4) * t * s.width * s.mlp


def layer(t: int, s: Stack, gated: bool) -> int:
    return proj(t, s, gated) + 4 * t * t * s.width


@given(points(pools=("concat",), plain=True), regimes)
def test_total_flops_are_the_lines_of_the_design(point: Point, regime: Regime) -> None:
    h, n, s, g = point.shape, point.tokens, point.span, point.shape.gated
    k, o = divmod(n, s)
    z, dd, p = h.mixer.width, h.decoder.width, h.prefix
    rows, bridged = (n, k) if regime == "score" else (1, int(k > 0))
    dense = h.token.layers * layer(n, h.token, g) + 2 * rows * h.token.width * h.vocab
    latent = k * (h.encoder.layers * layer(s, h.encoder, g) + 2 * s * h.encoder.width * z) + h.mixer.layers * layer(k, h.mixer, g)
    windows = k * layer(p + s - 1, h.decoder, g) if regime == "score" else 0
    latent += bridged * 2 * z * p * dd + h.decoder.layers * (windows + layer(p + o, h.decoder, g)) + 2 * rows * dd * h.vocab
    assert tuple(t.flops() for t in totals(point, regime)) == (point.batch * dense, point.batch * latent)


@given(points(), regimes)
def test_totals_sum_all_but_compulsory_bytes(point: Point, regime: Regime) -> None:
    for stages in closed_form(point, regime, ONE_ROW).values():
        whole = stages.pop("total")
        assert replace(whole, bytes_compulsory=0) == replace(total(stages.values()), bytes_compulsory=0)


@given(points(), regimes)
def test_compulsory_total_is_weights_ids_logits_and_state(point: Point, regime: Regime) -> None:
    ids = ids_of(point)
    distinct = distinct_rows(ids, point)
    token = closed_form(point, regime, distinct)["token"]
    item, d, vocab = point.itemsize, point.shape.token.width, point.shape.vocab
    logits = point.batch * (point.tokens if regime == "score" else 1) * vocab
    weights = token["layers"].params + token["head"].params + distinct.token * d
    assert token["total"].bytes_compulsory == item * (weights + logits) + 8 * point.batch * point.tokens + token["total"].state_bytes


@given(points(), regimes)
def test_compulsory_total_of_the_latent_arm_drops_inner_boundaries(point: Point, regime: Regime) -> None:
    ids = ids_of(point)
    distinct = distinct_rows(ids, point)
    latent = closed_form(point, regime, distinct)["latent"]
    expected = enumerate_latent(point, regime, ids)
    h, k, item = point.shape, point.tokens // point.span, point.itemsize
    weights = sum(latent[stage].params for stage in ("encoder", "mixer", "bridge") if k) + latent["decoder"].params + latent["head"].params
    if regime == "prefill" and k:
        weights -= h.prefix * (h.mixer.width if h.cross_attention else h.decoder.width)
    weights += distinct.encoder * h.encoder.width + distinct.decoder[regime] * h.decoder.width
    kv = sum(tally.state_bytes for tally in expected.values())
    if regime == "prefill":
        kv -= point.batch * (8 * (point.tokens % point.span) + (h.mixer.width * item if k else 0))
    logits = point.batch * (point.tokens if regime == "score" else 1) * h.vocab
    assert latent["total"].bytes_compulsory == item * (weights + logits) + 8 * point.batch * point.tokens + kv


@given(points(cross=False), regimes, st.integers(2, 5))
def test_batch_scales_work_but_no_parameter(point: Point, regime: Regime, times: int) -> None:
    one, many = (totals(replace(point, batch=b), regime) for b in (1, times))
    for single, batched in zip(one, many, strict=True):
        assert all(getattr(batched, name) == times * getattr(single, name) for name in WORK)
        assert (batched.params, batched.state_bytes) == (single.params, times * single.state_bytes)
        assert batched.bytes_fused <= times * single.bytes_fused  # weights are read once, not once a prompt


@given(points(cross=True), regimes)
def test_start_memory_is_read_once_whatever_the_batch(point: Point, regime: Regime) -> None:
    once = 4 * point.shape.prefix * point.shape.mixer.width * point.shape.decoder.kv_width * point.shape.decoder.layers
    start_runs = regime == "score" or point.tokens < point.span
    one, two, three = (totals(replace(point, batch=b), regime)[1] for b in (1, 2, 3))
    assert point.shape.cross_attention
    assert 2 * one.matrix_flops - two.matrix_flops == (once if start_runs else 0)
    assert three.matrix_flops - two.matrix_flops == two.matrix_flops - one.matrix_flops
    assert (two.cells_dense, two.attention_flops) == (2 * one.cells_dense, 2 * one.attention_flops)


@given(points(), regimes)
def test_another_span_of_tokens_never_costs_less(point: Point, regime: Regime) -> None:
    whole = replace(point, tokens=point.span * (point.tokens // point.span + 1))
    more = replace(whole, tokens=whole.tokens + point.span)
    for before, after in zip(totals(whole, regime), totals(more, regime), strict=True):
        assert all(getattr(before, name) <= getattr(after, name) for name in WORK)
        assert before.params == after.params


@given(points(), regimes)
def test_conventions_differ_in_masked_attention_alone(point: Point, regime: Regime) -> None:
    for stage, tally in closed_form(point, regime, ONE_ROW)["latent"].items():
        dense, useful, half = (tally.flops(convention) for convention in CONVENTIONS)
        assert useful <= dense
        if stage == "encoder":
            assert dense == useful == half
        if stage == "mixer":
            assert dense - half == tally.attention_flops // 2
            assert useful - half == 2 * tally.cells_dense // max(1, point.tokens // point.span) * point.shape.mixer.width  # the diagonal


def test_no_complete_span_leaves_only_the_decoder_and_the_head() -> None:
    latent = closed_form(document("lean", 24, 32), "score", ONE_ROW)["latent"]
    idle = [latent[stage] for stage in ("encoder", "mixer", "bridge")]
    assert all(replace(tally, params=0) == Tally() for tally in idle)
    assert all(tally.params > 0 for tally in idle)
    assert latent["decoder"].cells_dense == 4 * 26 * 26
