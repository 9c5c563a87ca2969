"""Presets, allocations and overrides, against the tables of the design written out here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spanbench.errors import UsageError
from spanbench.point import Stack
from spanbench.presets import ALLOCATIONS, PRESETS, override_keys, resolve

SIZES = {
    "tiny": (2, 64, 256, 16, 257, False),
    "small": (8, 512, 2048, 64, 257, False),
    "gpt2": (12, 768, 3072, 64, 50257, False),
    "llama-7b": (32, 4096, 11008, 128, 32000, True),
    "document": (32, 4096, 16384, 128, 32000, False),
}

DOCUMENT = {  # (layers, width) of encoder, mixer and decoder; prefix slots and pool: preset document, span 32
    "mixer-only": ((0, 128), (32, 4096), (0, 4096), 1, "lookup"),
    "lean": ((2, 1024), (32, 4096), (4, 1024), 2, "concat"),
    "megabyte": ((0, 2048), (32, 4096), (12, 2048), 1, "concat"),
    "block": ((0, 128), (16, 4096), (16, 4096), 2, "lookup"),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_their_sizes(preset: str) -> None:
    shape, token = resolve(preset, "lean", {}, 8), resolve(preset, "lean", {}, 8).token
    assert (token.layers, token.width, token.mlp, token.head_width, shape.vocab, shape.gated) == SIZES[preset]
    assert token.kv_heads == token.heads


def test_no_preset_and_no_allocation_is_untested() -> None:
    assert (SIZES.keys(), DOCUMENT.keys()) == (PRESETS.keys(), ALLOCATIONS.keys())


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_allocations_have_their_parts(allocation: str) -> None:
    shape = resolve("document", allocation, {}, 32)
    parts = tuple((stack.layers, stack.width) for stack in (shape.encoder, shape.mixer, shape.decoder))
    assert (*parts, shape.prefix, shape.pool) == DOCUMENT[allocation]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_parts_keep_the_mlp_ratio_and_the_head_width(preset: str, allocation: str) -> None:
    shape = resolve(preset, allocation, {}, 8)
    for stack in (shape.mixer, shape.decoder, *([] if shape.pool == "lookup" else [shape.encoder])):
        assert stack.mlp * shape.token.width == shape.token.mlp * stack.width
        assert stack.head_width == shape.token.head_width


def test_every_key_changes_the_shape() -> None:
    other = {
        "layers": 3, "width": 128, "mlp": 512, "heads": 8, "head_width": 8, "vocab": 300, "kv_heads": 2, "gated": True, "pool": "mean",
        "prefix": 3, "carry": 2, "cross_attention": True, "encoder.layers": 1, "encoder.width": 32, "encoder.mlp": 8, "mixer.layers": 1,
        "mixer.width": 32, "mixer.mlp": 8, "mixer.kv_heads": 2, "decoder.layers": 1, "decoder.width": 32, "decoder.mlp": 8,
        "encoder.kv_heads": 1, "decoder.kv_heads": 1,
    }  # fmt: skip
    assert other.keys() == override_keys().keys()
    base = {"encoder.width": 32, "decoder.width": 32}
    narrow = {"encoder.kv_heads", "decoder.kv_heads"}  # one head at this width: their change shows at two
    for key, value in other.items():
        given = {**(base if key in narrow else {}), key: value}
        assert resolve("tiny", "lean", given, 8) != resolve("tiny", "lean", base if key in narrow else {}, 8), key


def test_an_override_of_a_part_leaves_the_others_alone() -> None:
    plain, changed = (resolve("small", "lean", sizes, 8) for sizes in ({}, {"decoder.layers": 1, "decoder.width": 256}))
    assert changed == replace(plain, decoder=Stack(1, 256, 1024, 4, 4))


def test_grouped_keys_scale_with_a_part_and_keep_one_head() -> None:
    shape = resolve("small", "lean", {"kv_heads": 2}, 8)
    assert [(s.heads, s.kv_heads) for s in (shape.token, shape.mixer, shape.encoder)] == [(8, 2), (8, 2), (2, 1)]


def test_a_lookup_given_another_pool_gets_an_encoder_of_the_lean_width() -> None:
    assert resolve("tiny", "block", {"pool": "mean"}, 8).encoder == Stack(0, 16, 64, 1, 1)


@pytest.mark.parametrize(
    ("overrides", "span", "said"),
    [
        ({"decoder.layers": 0, "carry": 1}, 8, "--set decoder.layers=0, carry=1: carry needs at least one decoder layer"),
        ({"decoder.layers": 0, "cross_attention": True}, 8, "cross_attention needs at least one decoder layer"),
        ({"pool": "lookup"}, 7, "--span 7: pool 'lookup' needs a span that divides the mixer width 64"),
        ({"pool": "lookup", "encoder.layers": 1}, 8, "pool 'lookup' has no encoder layers"),
        ({"pool": "lookup", "encoder.width": 16}, 8, "encoder.width = mixer.width / span = 8, got 16"),
        ({"heads": 2, "head_width": 8}, 8, "2 heads of 8 make 16, and the width is 64"),
        ({"mlp": 250}, 8, "250 × 16 / 64 is not whole; set encoder.mlp yourself"),
        ({"head_width": 1}, 8, "head width 1 is odd"),
    ],
)
def test_sizes_that_do_not_fit_together_name_what_was_set(overrides: dict[str, object], span: int, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("tiny", "lean", overrides, span)
    assert said in str(caught.value)
    assert str(caught.value).startswith("--set ")
