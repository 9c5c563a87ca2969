"""Edits, strategies, compositions and choices by count, against documents that are edited in full and compared span by span."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.count.reuse.counted import counted_reuse
from spanbench.count.reuse.edits import edits
from spanbench.count.reuse.memories import choices, compositions, memories
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


def test_edits_are_of_every_kind_and_the_open_span_needs_nothing() -> None:
    found = {edit.name: edit for edit in edits(Point(resolve("tiny", "lean", {}, 8), 42, 8))}
    assert list(found) == [
        "replace, first", "replace, middle", "replace, last", "replace, open span", "append 8", "insert 8, aligned", "insert 1, unaligned",
    ]  # fmt: skip
    still = found["replace, open span"]
    assert (still.encoded, still.mixed, still.flops_u, still.flops_state) == (0, 0, 0, 0)
    assert 0 < still.flops_kv < still.flops_anew


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


def test_one_composed_document_is_a_query_from_u_and_more_grow_faster_in_the_dense_arm() -> None:
    found = reuse()
    first, *others = found.compositions
    assert (first.latents, first.tokens, first.flops_u) == (64, 2048, found.strategy("latent-u").query.flops)
    assert first.flops_dense == found.strategy("dense").query.flops
    assert [one.latents for one in others] == [128, 256]
    assert all(one.flops_dense / one.flops_u > first.flops_dense / first.flops_u for one in others)


def test_reading_all_latents_is_the_plain_query_and_reading_one_gains_less_than_two_percent_behind_mixer_kv() -> None:
    found = reuse()
    assert [choice.latents for choice in found.choices] == [1, 8, 16, 32, 64]
    whole = found.choices[-1]
    assert (whole.flops_u, whole.flops_state) == (found.strategy("latent-u").query.flops, found.strategy("latent-state").query.flops)
    assert whole.flops_choosing == 0
    assert 0.98 < found.choices[0].flops_state / whole.flops_state < 1


def test_choices_and_compositions_do_without_a_complete_span() -> None:
    point = Point(resolve("tiny", "lean", {}, 32), 10, 32)
    assert choices(point, 4) == ()
    assert {one.latents for one in compositions(point, 4, (1, 3))} == {0}


def test_memory_is_listed_by_head_kind_and_a_kind_that_the_model_cannot_have_is_null_with_a_reason() -> None:
    sizes = {one.name: (one.bytes, one.per_token) for one in reuse().memory}
    assert sizes == {
        "dense KV, MHA (32 heads)": (2**30, 524288.0), "dense KV, GQA (8 heads)": (2**28, 131072.0), "mixer KV": (2**25, 16384.0),
        "latents u": (2**19, 256.0), "tokens": (4096, 2.0),
    }  # fmt: skip
    (missing,) = [one for one in memories(Point(resolve("small", "lean", {}, 32), 64, 32)) if one.bytes is None]
    assert missing.name == "dense KV, GQA (8 heads)"
    assert missing.reason


@settings(max_examples=30)
@given(points(), st.integers(1, 9))
def test_every_point_is_counted_and_cumulative_costs_are_sums(point: Point, query: int) -> None:
    point = replace(point, batch=1)
    found = counted_reuse(point, [[0] * point.tokens], [[0] * query], (1, 7), (1, 2))
    for one in found.strategies:
        assert one.flops(7) == one.once.flops + sum([one.query.flops] * 7)
        assert min(one.once.flops, one.query.flops, one.stored_bytes, one.read_bytes, one.query.bytes_moved) >= 0
        assert one.read_bytes <= one.stored_bytes
