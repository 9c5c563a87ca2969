"""A ridge map between two models' latents: what it must find, what it must not, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.model.latent import Latent
from spanbench.model.pair import build_pair
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.store.adapt import SHUFFLES, Adapter, Fit, evaluate, fit
from spanbench.store.adapt_file import Map, adapted, check_new, load_map, save_map
from spanbench.store.adapt_pairs import OtherSpan, TooFewPairs, paired, side
from spanbench.store.disk import CorruptStore
from spanbench.store.document import Library, NotThisModel
from spanbench.store.document.encoding import encode
from tests.store.shelves import library, text, tiny


def drawn(rows: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_affine_map_is_found_exactly_where_there_are_pairs_enough() -> None:
    a, weight, offset = drawn(40, 6), drawn(6, 3, 1), drawn(1, 3, 2)
    adapter = fit(a, a @ weight + offset, 0.0)
    new = drawn(9, 6, 3)
    assert (adapter.apply(new) - (new @ weight + offset)).abs().max() <= 1e-12


@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_it_is_the_least_squares_solution_with_the_ridge_as_extra_rows(ridge: float) -> None:
    """The oracle is numpy's least squares on rows that stand for the penalty."""
    a, b = drawn(15, 5), drawn(15, 4, 1)
    x, y = (a - a.mean(0)).numpy(), (b - b.mean(0)).numpy()
    penalty = np.sqrt(ridge * (x**2).mean() * len(x)) * np.eye(5)
    weight = np.linalg.lstsq(np.vstack((x, penalty)), np.vstack((y, np.zeros((5, 4)))), rcond=None)[0]
    assert np.abs(fit(a, b, ridge).weight_ZaxZb.numpy() - weight).max() <= 1e-12


def test_a_ridge_means_the_same_whatever_the_scale_of_the_latents() -> None:
    a, b, new = drawn(15, 5), drawn(15, 4, 1), drawn(7, 5, 2)
    assert (fit(a, b, 0.1).apply(new) - fit(1000 * a, b, 0.1).apply(1000 * new)).abs().max() <= 1e-12


def linear(seed: int) -> Latent:
    shape = resolve("tiny", "lean", {"pool": "mean", "encoder.layers": 0}, 4)
    return build_pair(Point(shape, 8, 4, dtype="float64", seed=seed)).latent


def test_latents_of_one_untrained_encoder_do_for_another_far_better_than_chance() -> None:
    """Mean pools without layers are linear in the same tokens, so a map exists; wide tables make it hard, not impossible."""
    one, other = (linear(seed) for seed in (0, 1))
    spans = [text(4, 20, seed) for seed in range(400)]
    found = evaluate(encode(one, spans), encode(other, spans), 1e-6)
    assert (found.fitted, found.held_out) == (300, 100)
    assert found.r2 is not None
    assert found.zero is not None
    assert found.shuffled is not None
    assert found.r2 > 0.5
    assert found.zero < 0.01
    assert found.shuffled < 0.05


def test_pairs_that_have_nothing_to_do_with_one_another_are_not_explained() -> None:
    found = evaluate(drawn(400, 8), drawn(400, 8, 1), 1e-3)
    assert found.r2 is not None
    assert found.r2 < 0.05


def test_latents_that_do_not_differ_have_no_share_to_explain() -> None:
    assert evaluate(drawn(40, 4), torch.ones(40, 4, dtype=torch.float64), 1.0).r2 is None


def test_what_is_applied_keeps_its_element_type() -> None:
    assert fit(drawn(9, 4), drawn(9, 4, 1), 0.1).apply(drawn(2, 4).half()).dtype == torch.float16


@pytest.mark.parametrize(
    ("a", "b", "ridge", "says"),
    [
        (drawn(3, 4), drawn(4, 4), 0.1, "3 and 4 latents are no pairs"),
        (drawn(0, 4), drawn(0, 4), 0.1, "0 and 0 latents are no pairs"),
        (drawn(9, 4), drawn(9, 4), -1.0, "ridge -1 must be 0 or more"),
        (drawn(9, 4), drawn(9, 4), float("nan"), "ridge nan must be"),
        (drawn(4, 4), drawn(4, 4), 0.0, "4 pairs of spans do not determine 4 values"),
        (drawn(9, 4) * 0, drawn(9, 4), 0.0, "9 pairs of spans do not determine 4 values"),
        (drawn(9, 4) / 0, drawn(9, 4), 0.1, "NaN or infinity"),
    ],
    ids=["unequal", "none", "negative", "not a number", "too few", "singular", "infinite"],
)
def test_what_cannot_be_fitted_is_one_line(a: Tensor, b: Tensor, ridge: float, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        fit(a, b, ridge)


def test_too_few_spans_to_hold_some_out_are_refused() -> None:
    with pytest.raises(UsageError, match="leave fewer than 2 on a side"):
        evaluate(drawn(4, 2), drawn(4, 2), 0.1)


def test_noise_beats_its_controls_no_more_often_than_chance_says() -> None:
    """One in 20 is what 19 shuffled maps allow; 100 draws of it are 5, and hardly ever more than 12."""
    found = [evaluate(drawn(60, 4, seed), drawn(60, 4, 1000 + seed), 1e-3) for seed in range(100)]
    assert {one.shuffles for one in found} == {SHUFFLES}
    assert sum(one.verdict != "chance" for one in found) <= 12
    assert all(one.r2 is not None and one.r2 < 0.35 for one in found)


def test_the_shuffled_control_is_the_best_of_maps_fitted_one_by_one() -> None:
    a, b = drawn(40, 5), drawn(40, 5) @ drawn(5, 3, 1) + drawn(40, 3, 2)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(6))
    test, train = order[:10], order[10:]
    mean = b[train].mean(0)
    maps = [fit(a[train], b[train].roll(shift, 0), 0.1) for shift in range(1, SHUFFLES + 1)]
    best = max(1 - float((b[test] - one.apply(a[test])).square().sum() / (b[test] - mean).square().sum()) for one in maps)
    found = evaluate(a, b, 0.1, seed=6)
    assert found.shuffled == pytest.approx(best, abs=1e-12)
    assert found.r2 is not None
    assert found.r2 > best


def test_few_pairs_have_as_many_wrong_pairings_as_there_are() -> None:
    found = evaluate(drawn(8, 2), drawn(8, 2, 1), 0.1)
    assert (found.fitted, found.held_out, found.shuffles) == (6, 2, 5)


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ((0.999, -0.1, 0.01), "nearly-exact"),
        ((0.4, -0.1, 0.1), "part"),
        ((0.1, -0.1, 0.1), "chance"),
        ((0.1, 0.2, 0.0), "chance"),
        ((-0.1, -0.3, -0.2), "below-mean"),
        ((None, None, None), "unknown"),
    ],
)
def test_a_verdict_needs_both_controls_and_the_mean_beaten(figures: tuple[float | None, float | None, float | None], verdict: str) -> None:
    r2, zero, shuffled = figures
    assert Fit(Adapter(torch.eye(1), torch.zeros(1)), 6, 2, r2, zero, shuffled, 5).verdict == verdict


def test_the_same_seed_holds_the_same_pairs_out() -> None:
    a, b = drawn(60, 4), drawn(60, 4) @ drawn(4, 3, 1) + drawn(60, 3, 2)
    assert evaluate(a, b, 0.1, seed=3).r2 == evaluate(a, b, 0.1, seed=3).r2 != evaluate(a, b, 0.1, seed=4).r2


# ---- pairs out of two stores, and the map in a file -----------------------------------------------------------------

SPAN = 4


def turned(seed: int = 0) -> tuple[Latent, Latent, Tensor]:
    """Return two models whose latents differ by a known rotation alone, and that rotation (u of the second = u of the first @ it)."""
    one, other = tiny(SPAN, seed=seed), tiny(SPAN, seed=seed)
    turn = torch.linalg.qr(drawn(one.shape.mixer.width, one.shape.mixer.width, 9)).Q
    with torch.no_grad():
        weight = next(other.encoder.pool.parameters())  # Z x S·De: it makes u as a column, so it is turned from the left
        weight.copy_(turn.T @ weight)
    return one, other, turn


def map_between(books: Library, others: Library) -> Map:
    one, other = side(books.store, "a"), side(others.store, "b")
    return Map(fit(*paired(one, other), 1e-12), one.space, other.space, {"ridge": 1e-12})


def test_a_turned_encoder_is_found_again_from_the_spans_that_both_stores_hold() -> None:
    one, other, turn = turned()
    both, ours, theirs = text(SPAN * 300, 257), text(SPAN * 20, 257, 1), text(SPAN * 20, 257, 2)
    with library(one) as books, library(other) as others:
        books.add("both", [*both, 7])
        books.add("again", both[: SPAN * 50] + ours)
        others.add("in other words", theirs + both)
        u_a, u_b = paired(side(books.store, "a"), side(others.store, "b"))
        assert len(u_a) == len({tuple(both[at : at + SPAN]) for at in range(0, len(both), SPAN)})
        assert (u_a @ turn - u_b).abs().max() <= 1e-12
        found = evaluate(u_a, u_b, 1e-12)
        assert found.r2 is not None
        assert found.r2 >= 1 - 1e-12
        assert found.verdict == "nearly-exact"
        assert (found.adapter.weight_ZaxZb - turn).abs().max() <= 1e-6


def test_a_document_through_the_map_is_what_the_other_encoder_would_have_made_of_it() -> None:
    one, other, _ = turned()
    with library(one) as books, library(other) as others:
        for held in (books, others):
            held.add("d", text(SPAN * 200, 257))
        books.add("only here", ids := text(SPAN * 9 + 3, 257, 5))
        books.add("short", ids[:3])
        made = map_between(books, others)
        expected = encode(other, [ids[at : at + SPAN] for at in range(0, SPAN * 9, SPAN)])
        got = adapted(books.store, "only here", made, expected)
        assert (got - expected).abs().max() <= 1e-9
        assert adapted(books.store, "short", made, expected).shape == (0, expected.shape[1])
        with pytest.raises(NotThisModel, match="the map is from"):
            adapted(others.store, "d", made, expected)


def test_a_map_comes_back_from_its_file_as_it_was_and_damage_is_told(tmp_path: Path) -> None:
    one, other, _ = turned()
    with library(one) as books, library(other) as others:
        for held in (books, others):
            held.add("d", text(SPAN * 40, 257))
        made = map_between(books, others)
    save_map(path := tmp_path / "map.safetensors", made)
    back = load_map(path)
    assert torch.equal(back.adapter.weight_ZaxZb, made.adapter.weight_ZaxZb)
    assert torch.equal(back.adapter.offset_Zb, made.adapter.offset_Zb)
    assert (back.source, back.target, back.notes) == (made.source, made.target, made.notes)
    for refuses in (check_new, lambda place: save_map(place, made)):
        with pytest.raises(UsageError, match="is there already; name a new file"):
            refuses(path)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(CorruptStore, match="does not hold what was written"):
        load_map(path)
    path.write_bytes(whole[:40])
    with pytest.raises(UsageError, match="is damaged or no map"):
        load_map(path)
    with pytest.raises(UsageError, match="there is no such file"):
        load_map(tmp_path / "none")


def test_encoders_of_unequal_spans_and_stores_with_too_little_in_common_are_refused() -> None:
    with library(tiny(4)) as books, library(tiny(4, seed=1)) as others, library(tiny(8, seed=2)) as longer:
        ids = text(80, 257)
        books.add("d", ids)
        one = side(books.store, "a")
        with pytest.raises(TooFewPairs, match="'b' holds no latents"):
            side(others.store, "b")
        others.add("d", text(80, 257, 1))
        two = side(others.store, "b")
        with pytest.raises(TooFewPairs, match="have no span in common"):
            paired(one, two)
        others.add("e", ids[:4])
        with pytest.raises(TooFewPairs, match="have 1 span in common"):
            paired(one, two)
        others.add("f", ids[4:28])
        with pytest.raises(TooFewPairs, match="have 7 spans in common"):
            paired(one, two)
        longer.add("d", ids)
        with pytest.raises(OtherSpan, match="spans of 4 and of 8 tokens"):
            paired(one, side(longer.store, "c"))
        with pytest.raises(UsageError, match="there is nothing to adapt"):
            paired(one, one)
