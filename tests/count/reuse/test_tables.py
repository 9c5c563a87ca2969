"""Edits, strategies, compositions and choices by count, against documents that are edited in full and compared span by span."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.count.reuse.counted import counted_reuse
from spanbench.count.reuse.edits import edits
from spanbench.count.reuse.extension import extension, mixing
from spanbench.count.reuse.memories import choices, compositions, grouped, memories
from spanbench.count.reuse.stored import stored_bytes
from spanbench.judge.reuse import Edit, Reuse
from spanbench.point import Point
from spanbench.presets import ALLOCATIONS, resolve
from tests.count.points import points


def spans(text: list[int], span: int) -> list[tuple[int, ...]]:
    return [tuple(text[at : at + span]) for at in range(0, len(text) // span * span, span)]


def chains(text: list[int], span: int) -> list[tuple[int, ...]]:
    return list(accumulate(spans(text, span)))


def edited(edit: Edit, text: list[int]) -> list[int]:
    """Carry the edit out; new tokens are numbers that no text holds."""
    if edit.name.startswith("replace"):
        return [*text[: edit.position], -1, *text[edit.position + 1 :]]
    new = [-1 - i for i in range(edit.tokens - len(text))]
    return [*text[: edit.position], *new, *text[edit.position :]]


@given(st.integers(1, 6), st.integers(1, 40))
def test_an_edit_encodes_the_spans_of_new_content_and_mixes_from_the_first_changed_row(span: int, tokens: int) -> None:
    point, text = Point(resolve("tiny", "lean", {}, span), tokens, span), list(range(tokens))
    for edit in edits(point):
        after = edited(edit, text)
        assert len(after) == edit.tokens
        assert edit.encoded == len(set(spans(after, span)) - set(spans(text, span))), edit
        assert edit.found == len(spans(after, span)) - edit.encoded, edit
        assert edit.mixed == len(set(chains(after, span)) - set(chains(text, span))), edit
        if edit.name.startswith("replace") and edit.encoded:
            assert (edit.encoded, edit.mixed) == (1, tokens // span - edit.position // span)


def test_edits_are_of_every_kind_and_the_open_span_needs_its_own_rows_alone() -> None:
    found = {edit.name: edit for edit in edits(Point(resolve("tiny", "lean", {}, 8), 42, 8))}
    assert list(found) == [
        "replace, first", "replace, middle", "replace, last", "replace, open span", "append 8", "insert 8, aligned", "insert 1, unaligned",
    ]  # fmt: skip
    still = found["replace, open span"]
    assert (still.encoded, still.mixed, still.flops_u) == (0, 0, 0)
    assert 0 < still.flops_kv < still.flops_anew
    width, rows = 16, 2 + 2  # lean: a quarter of 64; two slots and two open tokens
    decoder = Point(resolve("tiny", "lean", {}, 8), 42, 8).shape.decoder
    assert (decoder.width, decoder.mlp) == (width, 4 * width)
    one_row = 2 * (4 * width * width + 2 * width * 4 * width) + 4 * rows * width
    assert still.flops_state == decoder.layers * one_row


@settings(max_examples=30)
@given(points())
def test_a_kept_session_also_opens_its_window_again_behind_a_changed_row(point: Point) -> None:
    stages = closed_form(point, "prefill", Distinct(0, 0, {"prefill": 0}))["latent"]
    for edit in edits(point):
        if edit.name.startswith("replace") and edit.encoded and not point.shape.cross_attention:
            mixed = mixing(point, edit.position // point.span, point.windows.complete).flops()
            window = stages["bridge"].flops() + stages["decoder"].flops()
            assert edit.flops_state == edit.flops_u + mixed + window, edit


@settings(max_examples=30)
@given(points())
def test_replacing_the_first_token_costs_the_dense_arm_all_of_its_layers(point: Point) -> None:
    layers = closed_form(point, "prefill", Distinct(0, 0, {"prefill": 0}))["token"]["layers"].flops()
    for edit in edits(point):
        assert edit.flops_kv <= edit.flops_anew
        if edit.name == "replace, first":
            assert edit.flops_kv == edit.flops_anew == layers


def reuse(allocation: str = "lean", tokens: int = 2048, query: int = 64) -> Reuse:
    point = Point(resolve("document", allocation, {}, 32), tokens, 32, dtype="float16")
    ids = [[(7 * i) % 32000 for i in range(tokens)]]
    return counted_reuse(point, ids, [[(5 * i) % 32000 for i in range(query)]], (1, 10, 100), (1, 2, 4))


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_a_warm_query_behind_mixer_kv_costs_a_tenth_of_its_cold_flops_at_the_documents_scale(allocation: str) -> None:
    state = reuse(allocation).strategy("latent-state")
    assert 10 * state.query.flops <= state.cold_flops


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_the_first_query_from_u_costs_what_reading_anew_costs(allocation: str) -> None:
    found = reuse(allocation)
    assert found.strategy("latent-u").cold_flops == found.strategy("latent").query.flops


def test_a_query_from_u_costs_about_what_one_behind_the_dense_kv_costs() -> None:
    found = reuse()
    assert 0.95 < found.strategy("latent-u").query.flops / found.strategy("dense-kv-ram").query.flops < 0.96
    assert found.strategy("dense-kv-ram").stored_bytes == 2048 * found.strategy("latent-u").stored_bytes


def test_disk_and_memory_differ_in_what_is_read_and_in_nothing_else() -> None:
    found = reuse()
    ram, disk = found.strategy("dense-kv-ram"), found.strategy("dense-kv-disk")
    assert (ram.once, ram.query, ram.stored_bytes) == (disk.once, disk.query, disk.stored_bytes)
    assert (ram.read_bytes, disk.read_bytes) == (0, disk.stored_bytes)
    anew, tokens = found.strategy("dense"), found.strategy("dense-tokens")
    assert (anew.query, tokens.stored_bytes) == (tokens.query, 2 * 2048)


def test_one_composed_document_is_a_query_of_each_strategy_and_a_dense_cache_is_held_against_u() -> None:
    found = reuse()
    (first, *_) = found.compositions
    query = {one.name: one.query.flops for one in found.strategies}
    assert (first.latents, first.tokens) == (64, 2048)
    assert (first.flops_u, first.flops_state) == (query["latent-u"], query["latent-state"])
    assert first.flops_first == first.flops_kv == query["dense-kv-ram"]
    assert first.flops_dense == query["dense"]


@settings(max_examples=30)
@given(points(), st.integers(1, 9), st.integers(2, 5))
def test_a_new_order_of_documents_reads_all_but_the_first_behind_it_in_the_dense_arm(point: Point, read: int, documents: int) -> None:
    text = point.windows.complete * point.span
    found = compositions(point, read, (documents,))
    assert bool(found) == bool(text)
    for one in found:
        parts = [extension(point, at * text, text)["token"]["layers"] for at in range(1, documents)]
        query = extension(point, documents * text, read)["token"]
        cells = sum(part.cells_useful for part in parts) + query["layers"].cells_useful
        whole = extension(point, text, (documents - 1) * text + read)["token"]["total"]
        assert (whole.cells_useful, whole.flops()) == (cells, one.flops_first)
        assert one.flops_kv == query["total"].flops() <= one.flops_first <= one.flops_dense


def test_reading_all_latents_is_the_plain_query_and_reading_one_gains_less_than_two_percent_behind_mixer_kv() -> None:
    found = reuse()
    assert [choice.latents for choice in found.choices] == [1, 8, 16, 32, 64]
    whole = found.choices[-1]
    assert whole.flops_state
    assert found.choices[0].flops_state
    assert (whole.flops_u, whole.flops_state) == (found.strategy("latent-u").query.flops, found.strategy("latent-state").query.flops)
    assert whole.flops_choosing == 0
    assert 0.98 < found.choices[0].flops_state / whole.flops_state < 1


def test_choices_and_compositions_do_without_a_complete_span() -> None:
    point = Point(resolve("tiny", "lean", {}, 32), 10, 32)
    assert choices(point, 4) == ()
    assert compositions(point, 4, (1, 3)) == ()


def test_a_query_that_closes_no_span_can_choose_none_and_says_why() -> None:
    *fewer, whole = choices(Point(resolve("tiny", "lean", {}, 8), 64, 8), 1)
    assert [one.latents for one in fewer] == [1, 2, 4]
    assert {(one.flops_u, one.flops_state, one.flops_choosing) for one in fewer} == {(None, None, None)}
    assert all(one.reason and "closes no span" in one.reason for one in fewer)
    assert whole.flops_choosing == 0
    assert whole.flops_state


@pytest.mark.parametrize(("sizes", "names"), [
    ({}, ["MHA (8 heads)", "GQA (2 heads)"]),
    ({"kv_heads": 2}, ["MHA (8 heads)", "GQA (2 heads)"]),
    ({"kv_heads": 4}, ["MHA (8 heads)", "this model (4 heads)", "GQA (2 heads)"]),
])  # fmt: skip
def test_grouped_heads_are_a_quarter_and_the_models_own_are_listed_beside_them(sizes: dict[str, Any], names: list[str]) -> None:
    point = Point(resolve("small", "lean", sizes, 32), 64, 32)
    dense = [one for one in memories(point) if one.kv_heads]
    assert [one.name.removeprefix("dense KV, ") for one in dense] == names
    for one in dense:
        token = replace(point.shape.token, kv_heads=one.kv_heads or 0)
        assert one.bytes == stored_bytes(replace(point, shape=replace(point.shape, token=token))).kv


@given(st.integers(1, 200))
def test_grouped_heads_divide_all_and_are_the_most_that_are_at_most_a_quarter(heads: int) -> None:
    few = grouped(heads)
    assert heads % few == 0
    assert few <= max(1, heads // 4)
    assert not [count for count in range(few + 1, heads // 4 + 1) if heads % count == 0]


def test_memory_is_listed_from_the_largest_form_to_the_smallest() -> None:
    sizes = {one.name: (one.bytes, one.per_token) for one in reuse().memory}
    assert sizes == {
        "dense KV, MHA (32 heads)": (2**30, 524288.0), "dense KV, GQA (8 heads)": (2**28, 131072.0), "mixer KV": (2**25, 16384.0),
        "latents u": (2**19, 256.0), "tokens": (4096, 2.0),
    }  # fmt: skip


@settings(max_examples=30)
@given(points(), st.integers(1, 9))
def test_every_point_is_counted_and_cumulative_costs_are_sums(point: Point, query: int) -> None:
    point = replace(point, batch=1)
    found = counted_reuse(point, [[0] * point.tokens], [[0] * query], (1, 7), (1, 2))
    for one in found.strategies:
        assert one.flops(8) - one.flops(7) == one.flops(1) - one.flops(0) == one.query.flops
        assert one.flops(0) == one.once.flops
        assert 0 < one.query.weight_bytes <= one.query.bytes_moved
        assert min(one.once.flops, one.query.flops, one.stored_bytes, one.read_bytes, one.query.bytes_moved) >= 0
        assert one.read_bytes <= one.stored_bytes
