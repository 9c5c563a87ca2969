"""Which logits a token moves: exactly those that the architecture lets it reach, and no bit of any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.point import POOLS, Point, Pool
from spanbench.presets import resolve
from tests.count.points import corners
from tests.model.exact import TOLERANCE, arms, double_points, random_ids, score


def reached(point: Point, arm: str, q: int) -> set[int]:
    """Say which logit rows token q must move; every other row keeps its bits. All of them are q or later.

    A token reaches the later rows of its own window (with Ld = 0 its own row alone), the next window where it is
    carried, and every window that hears of its span's latent. Without carry a span's last token is fed to no window:
    its own row stands in front of the next span, and the latent alone speaks to it.
    """
    span, (own, place) = point.span, divmod(q, point.span)
    if arm == "token":
        return set(range(q, point.tokens)) if point.shape.token.layers else {q}
    rows = {q} if place < span - 1 else set()
    if point.shape.decoder.layers:
        rows |= {row for row in window(point, own) if row >= q}
    if place >= span - point.shape.carry and own < point.windows.complete:
        rows |= set(window(point, own + 1))
    return rows.union(*(window(point, heard) for heard in hearing(point, own)))


def window(point: Point, j: int) -> range:
    """Return the logit rows that window j gives: they predict the tokens of span j, so they stand one earlier."""
    begin, end = j * point.span - 1, (j + 1) * point.span - 1
    return range(max(begin, 0), min(end, point.tokens))


def hearing(point: Point, span: int) -> range:
    """Return the windows that depend on a span's latent u.

    Those after a complete span. With Lm = 0 c_j is u of span j-1 alone, so the next window hears of it and no other does,
    unless windows read all latents before them (cross-attention).
    """
    complete = point.windows.complete
    far = point.shape.mixer.layers > 0 or point.shape.cross_attention
    return range(span + 1, min(complete, complete if far else span + 1) + 1)


def check(point: Point) -> None:
    """Change each token of one prompt in turn and compare the set of rows that moved, and the other prompts."""
    ids = random_ids(point)
    for arm, model in arms(point).items():
        before = score(model, ids)
        for q in range(point.tokens):
            after = score(model, changed(ids, q, point.shape.vocab))
            moved = set((after[-1] != before[-1]).any(-1).nonzero().flatten().tolist())
            assert torch.equal(after[:, :q], before[:, :q]), f"{arm}: token {q} moved a row before it"
            assert moved == reached(point, arm, q), f"{arm}: token {q}"
            assert torch.equal(after[:-1], before[:-1]), f"{arm}: token {q} moved another prompt"


def changed(ids_BxN: Tensor, q: int, vocab: int) -> Tensor:
    """Return the ids with another token at place q of the last prompt."""
    other = ids_BxN.clone()
    other[-1, q] = (other[-1, q] + 1) % vocab
    return other


@given(double_points())
def test_a_token_moves_the_rows_it_reaches_and_no_bit_of_any_other(point: Point) -> None:
    check(point)


@pytest.mark.parametrize("pool", POOLS)
def test_every_pool_with_every_carry_cross_attention_and_length(pool: Pool) -> None:
    for point in corners(pool):
        check(replace(point, dtype="float64"))


def small_points() -> Iterator[Point]:
    """Yield points without mixer layers, without decoder layers, and with both."""
    base = next(corners("concat"))
    for mixer, decoder in ((0, 1), (1, 0), (0, 0), (1, 1)):
        shape = replace(base.shape, mixer=replace(base.shape.mixer, layers=mixer), decoder=replace(base.shape.decoder, layers=decoder))
        yield replace(base, shape=shape, tokens=11, dtype="float64")


def test_what_reached_says_is_what_one_reads_off_the_drawing() -> None:
    """S = 3, N = 11: windows of rows 0-1, 2-4, 5-7, 8-10. Tokens 0 and 2 of span 0, token 4 of span 1, token 9 of the open one."""
    said = [[sorted(reached(point, "latent", q)) for q in (0, 2, 4, 9)] for point in small_points()]
    assert said == [
        [[0, 1, 2, 3, 4], [2, 3, 4], [4, 5, 6, 7], [9, 10]],
        [[0, *range(2, 11)], [*range(2, 11)], [4, *range(5, 11)], [9]],
        [[0, 2, 3, 4], [2, 3, 4], [4, 5, 6, 7], [9]],
        [[*range(11)], [*range(2, 11)], [*range(4, 11)], [9, 10]],
    ]
    for point in small_points():
        check(point)


# ---- latents --------------------------------------------------------------------------------------------------------


def latents_of(point: Point, ids_RxS: Tensor) -> Tensor:
    model = arms(point)["latent"]
    assert isinstance(model, Latent)
    with torch.inference_mode():
        latents: Tensor = model.encoder(model.encoder_embedding(ids_RxS.flatten()))
    return latents


@given(double_points(), st.lists(st.integers(0, 2), min_size=2, max_size=7))
def test_equal_spans_have_equal_latents_wherever_they_stand_and_a_token_makes_others(point: Point, order: list[int]) -> None:
    """Three spans in any order over the batch; the third differs from the first in its last token."""
    kinds_3xS = random_ids(replace(point, batch=3), tokens=point.span)
    kinds_3xS[2] = changed(kinds_3xS[:1], point.span - 1, point.shape.vocab)
    latents = latents_of(point, kinds_3xS[order])
    for one, latent in zip(order, latents, strict=True):
        for other, compared in zip(order, latents, strict=True):
            if torch.equal(kinds_3xS[one], kinds_3xS[other]):
                assert (latent - compared).abs().max().item() <= TOLERANCE
            elif {one, other} == {0, 2}:
                assert (latent - compared).abs().max().item() > TOLERANCE


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("pool", ["concat", "mean", "attention", "lookup"])
@pytest.mark.parametrize(("span", "spans"), [(8, 3), (32, 20)])
def test_at_a_preset_s_widths_equal_spans_have_bit_equal_latents(span: int, spans: int, pool: Pool, dtype: str) -> None:
    """Here every row fills whole vector registers. Where it does not, as above, kernels treat a last row apart, by one rounding."""
    sizes = {"pool": pool} if pool == "lookup" else {"pool": pool, "encoder.width": 64}
    point = Point(resolve("tiny", "lean", sizes, span), span, span, dtype=dtype)
    latents = latents_of(point, random_ids(point).expand(spans, span))
    assert latents.unique(dim=0).shape == (1, point.shape.mixer.width)
