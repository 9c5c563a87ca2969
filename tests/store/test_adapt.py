"""A ridge map between two models' latents: what it must find, what it must not, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.model.latent import Latent
from spanbench.model.pair import build_pair
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.store.adapt import evaluate, fit
from spanbench.store.document.encoding import encode
from tests.store.shelves import text


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
