"""Weights: one seed, one pair; and how they are stored changes nothing that they compute."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from torch import nn

from spanbench.model.pair import Model, build_pair
from spanbench.point import DTYPE_BYTES, Point
from tests.count.points import points
from tests.model.exact import TOLERANCE, arms, double_points, random_ids, score
from tests.shapes import seeded_point


def equal_weights(one: Model, other: Model) -> list[bool]:
    """Say of each parameter whether both hold the same bits."""
    mine, theirs = dict(one.named_parameters()), dict(other.named_parameters())
    assert list(mine) == list(theirs)
    return [torch.equal(mine[name], theirs[name]) for name in mine]


@given(points())
def test_a_seed_gives_the_same_pair_every_time(point: Point) -> None:
    torch.manual_seed(point.seed + 1)  # torch's own generator has no say
    first, again = build_pair(point), build_pair(point)
    for arm, model in first.arms().items():
        assert all(equal_weights(model, again.arms()[arm]))


@given(points())
def test_another_seed_gives_other_weights_everywhere_but_in_the_norms(point: Point) -> None:
    one, other = build_pair(replace(point, dtype="float32")), build_pair(replace(point, dtype="float32", seed=point.seed + 1))
    for arm, model in one.arms().items():
        norms = ["norm" in name for name, _ in model.named_parameters()]
        assert equal_weights(model, other.arms()[arm]) == norms


@given(points(), points())
def test_the_dense_arm_knows_nothing_of_the_latent_one(point: Point, other: Point) -> None:
    """Whatever it is compared with, the baseline is the same model."""
    changed = replace(other, shape=replace(other.shape, token=point.shape.token, gated=point.shape.gated, vocab=point.shape.vocab))
    assert all(equal_weights(build_pair(point).token, build_pair(replace(changed, dtype=point.dtype)).token))


@pytest.mark.parametrize("dtype", sorted(DTYPE_BYTES))
def test_a_pair_is_ready_to_infer_in_its_dtype(dtype: str) -> None:
    point = replace(seeded_point(28), dtype=dtype)
    for model in build_pair(point).arms().values():
        assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert all(parameter.isfinite().all() for parameter in model.parameters())
        assert score(model, random_ids(point)).isfinite().all()


@given(double_points())
def test_matrices_lie_input_major_and_compute_the_same(point: Point) -> None:
    ids = random_ids(point)
    for model in arms(point).values():
        matrices = [module for module in model.modules() if isinstance(module, nn.Linear)]
        assert all(module.weight.T.is_contiguous() for module in matrices)
        stored, names = score(model, ids), list(model.state_dict())
        for module in matrices:
            module.weight = nn.Parameter(module.weight.clone(memory_format=torch.contiguous_format), requires_grad=False)
        assert all(module.weight.is_contiguous() for module in matrices)
        assert list(model.state_dict()) == names
        assert (score(model, ids) - stored).abs().max().item() <= TOLERANCE


@given(points())
def test_on_meta_it_is_the_same_pair_without_numbers(point: Point) -> None:
    for arm, model in build_pair(point, "meta").arms().items():
        real = build_pair(point).arms()[arm]
        assert {name: (p.shape, p.dtype) for name, p in model.named_parameters()} == {
            n: (p.shape, p.dtype) for n, p in real.named_parameters()
        }
        assert all(parameter.is_meta for parameter in model.parameters())
