"""Keys depend on tokens alone, and fingerprints on the weights that made a record and on no others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spanbench.model.latent import Latent
from spanbench.model.pair import build_pair
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.store.disk.entry import KEY_BYTES as HELD
from spanbench.store.keys import (
    KEY_BYTES,
    arm_fingerprint,
    chain_keys,
    encoder_fingerprint,
    mixer_fingerprint,
    prefix_key,
    state_space,
    u_space,
)
from spanbench.store.spans import span_keys
from tests.store.shelves import tiny

texts = st.lists(st.integers(0, 3), max_size=24)


@given(texts, st.integers(1, 5))
def test_two_spans_share_a_key_exactly_where_their_tokens_are_equal(ids: list[int], span: int) -> None:
    keys, spans = span_keys(ids, span), [tuple(ids[at : at + span]) for at in range(0, len(ids) - span + 1, span)]
    assert len(keys) == len(spans) == len(ids) // span
    assert all((keys[i] == keys[j]) == (spans[i] == spans[j]) for i in range(len(keys)) for j in range(len(keys)))


@given(texts, texts, st.integers(1, 5))
def test_two_texts_share_chain_keys_exactly_as_far_as_they_share_spans(one: list[int], other: list[int], span: int) -> None:
    ours, theirs = chain_keys(one, span), chain_keys(other, span)
    for row, (mine, yours) in enumerate(zip(ours, theirs, strict=False)):
        assert (mine == yours) == (one[: (row + 1) * span] == other[: (row + 1) * span])
    assert len(set(ours)) == len(ours)


def test_rows_of_another_pass_and_latents_share_no_key() -> None:
    ids = [1, 2, 3, 4]
    assert not {*chain_keys(ids, 2)} & {*chain_keys(ids, 2, 1)}
    assert not {*chain_keys(ids, 2)} & {*span_keys(ids, 2)}


def test_keys_are_the_same_on_every_machine() -> None:
    """Frozen: a store that was written yesterday must be found today."""
    assert [key.hex() for key in span_keys([1, 2, 3, 4, 5], 2)] == ["f59df9f51bfcb52f7ae49756810ec78b", "0aa375eeda9b0b37ecd97fc104c41612"]
    assert [key.hex() for key in chain_keys([1, 2, 3, 4], 2)] == ["fef22d7ecb6f41e37303b75bfc563fff", "b72c00b83627dbcc0f4cc92c0c54bcdc"]
    assert chain_keys([1, 2, 3, 4], 2, 1)[1].hex() == "6d9f858f602d943c165fa718dcdda0b4"
    assert prefix_key([1, 2]).hex() == "f59df9f51bfcb52f7ae49756810ec78b"
    assert KEY_BYTES == HELD


Change = Callable[[Latent], None]


def moved(part: str) -> Change:
    """Return a call that moves one weight of a part by the least there is."""

    def change(model: Latent) -> None:
        weight = next(model.get_submodule(part).parameters())
        flat = weight.data.view(-1) if weight.is_contiguous() else weight.data.T.contiguous().view(-1)
        assert flat.numel()
        weight.data[(0,) * weight.ndim] = torch.nextafter(weight.data[(0,) * weight.ndim], torch.tensor(9.0, dtype=weight.dtype))

    return change


@pytest.mark.parametrize(
    ("part", "encoder", "mixer"),
    [
        ("encoder_embedding", False, False),
        ("encoder.stack", False, False),
        ("encoder.pool", False, False),
        ("mixer", True, False),
        ("bridge", True, True),
        ("decoder_embedding", True, True),
        ("decoder", True, True),
        ("head", True, True),
    ],
)
def test_a_weight_is_part_of_the_fingerprints_of_what_it_helps_to_make(part: str, encoder: bool, mixer: bool) -> None:
    model, other = tiny(), tiny()
    moved(part)(other)
    assert (encoder_fingerprint(model) == encoder_fingerprint(other)) is encoder
    assert (mixer_fingerprint(model) == mixer_fingerprint(other)) is mixer
    assert arm_fingerprint(model) != arm_fingerprint(other)


@pytest.mark.parametrize("changed", [{"span": 2}, {"seed": 1}, {"dtype": "float32"}, {"gated": True}, {"pool": "mean"}], ids=str)
def test_another_encoder_has_another_fingerprint(changed: dict[str, object]) -> None:
    model, other = tiny(), tiny(**changed)  # type: ignore[arg-type]  # options of several types
    assert encoder_fingerprint(model) != encoder_fingerprint(other)
    assert len({arm_fingerprint(model), arm_fingerprint(other), encoder_fingerprint(model), mixer_fingerprint(model)}) == 4


def test_how_a_matrix_is_stored_does_not_matter() -> None:
    """Input-major on a CPU, otherwise elsewhere: the same values are the same encoder."""
    model, other = tiny(), tiny()
    for parameter in other.parameters():
        parameter.data = parameter.data.contiguous()
    assert any(a.stride() != b.stride() for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert encoder_fingerprint(model) == encoder_fingerprint(other)
    assert arm_fingerprint(model) == arm_fingerprint(other)


def test_spaces_name_kind_span_and_type() -> None:
    model = tiny(4)
    u, state = u_space(model, "float16"), state_space(model, "float16")
    assert (u.kind, u.span, u.dtype, u.fingerprint) == ("u", 4, "float16", encoder_fingerprint(model))
    assert (state.kind, state.span, state.dtype, state.fingerprint) == ("state", 4, "float16", mixer_fingerprint(model))


def test_the_dense_arm_has_a_fingerprint_of_its_weights() -> None:
    one, other, same = (build_pair(Point(resolve("tiny", "lean", {}, 4), 8, 4, seed=seed)).token for seed in (0, 1, 0))
    assert arm_fingerprint(one) == arm_fingerprint(same) != arm_fingerprint(other)


def test_a_model_without_weights_has_none() -> None:
    with pytest.raises(ValueError, match="has no weights"):
        encoder_fingerprint(build_pair(Point(resolve("tiny", "lean", {}, 4), 8, 4), "meta").latent)
