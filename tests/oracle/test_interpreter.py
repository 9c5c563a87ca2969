"""Torch, closed form and interpreter on the same tiny models: equal logits, and equal counts of every stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
import torch

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.model.pair import Pair, build_pair, forward
from spanbench.point import POOLS, REGIMES, Point, Regime
from spanbench.tally import Tally
from tests.oracle.arithmetic import Matrix, Nested, Stage, Work
from tests.oracle.interpreter import latent_last, latent_logits, token_last, token_logits
from tests.oracle.points import tiny_point

POINTS = 128
TOLERANCE = {"float32": 2e-5, "float64": 1e-10}

Weights = dict[str, Nested]


def random_pair(point: Point) -> Pair:
    """Both arms with random norms too: at their initial 1, a norm without its weight would go unnoticed.

    None above 1: widths are so small that a norm often divides by little, and larger weights would carry float32's rounding
    past its tolerance.
    """
    pair = build_pair(point)
    generator = torch.Generator().manual_seed(point.seed)
    for model in pair.arms().values():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.0, generator=generator)
    return pair


def weights_of(pair: Pair) -> dict[str, Weights]:
    return {arm: {name: weight.tolist() for name, weight in model.named_parameters()} for arm, model in pair.arms().items()}


def prompts(point: Point) -> list[list[int]]:
    random = Random(point.seed)  # noqa: S311 - ids of a test, not a secret
    return [[random.randrange(point.shape.vocab) for _ in range(point.tokens)] for _ in range(point.batch)]


def interpret(point: Point, arm: str, regime: Regime, weights: Weights, ids: Sequence[int], work: Work) -> Matrix:
    """Logits of one prompt, N x V in score and 1 x V in prefill."""
    shape, span = point.shape, point.span
    if arm == "token":
        return token_logits(shape, weights, ids, work) if regime == "score" else [token_last(shape, weights, ids, work)]
    return latent_logits(shape, span, weights, ids, work) if regime == "score" else [latent_last(shape, span, weights, ids, work)]


def counted(stages: dict[str, Tally]) -> dict[str, Stage]:
    """What the closed form says of each stage, in the interpreter's terms; an odd number of FLOPs would not be half multiplies."""
    assert all(tally.flops("useful") % 2 == 0 for tally in stages.values())
    return {name: Stage(t.flops("useful") // 2, t.cells_useful, t.mlp_rows) for name, t in stages.items() if name != "total"}


@pytest.mark.parametrize("index", range(POINTS))
def test_logits_and_counts_of_both_arms(index: int) -> None:
    point = tiny_point(index)
    single = random_pair(point)
    double = build_pair(replace(point, dtype="float64"))
    weights, batch = weights_of(single), prompts(point)
    for arm, model in single.arms().items():
        double.arms()[arm].load_state_dict(model.state_dict())
        for regime in REGIMES:
            work = Work()
            expected = torch.tensor([interpret(point, arm, regime, weights[arm], ids, work) for ids in batch], dtype=torch.float64)
            for dtype, pair in (("float32", single), ("float64", double)):
                with torch.inference_mode():
                    logits, _ = forward(pair.arms()[arm], regime, torch.tensor(batch))
                worst = (logits.double().view_as(expected) - expected).abs().max().item()
                assert worst <= TOLERANCE[dtype], f"{arm} {regime} {dtype}: logits differ by {worst} at {point}"
            formula = counted(closed_form(point, regime, distinct_rows(batch, point))[arm])
            assert {name: work[name] for name in formula} == formula, f"{arm} {regime} at {point}"
            assert set(work.stages) == set(formula)


def test_the_points_reach_every_option() -> None:
    points = [tiny_point(index) for index in range(POINTS)]
    latent = {(p.shape.pool, p.shape.gated, p.shape.cross_attention) for p in points}
    assert latent == {(pool, gated, cross) for pool in POOLS for gated in (False, True) for cross in (False, True)}
    for part in ("token", "encoder", "mixer", "decoder"):
        stacks = [getattr(p.shape, part) for p in points]
        assert {stack.layers for stack in stacks} == {0, 1, 2}
        assert any(1 < stack.kv_heads < stack.heads or stack.kv_heads == 1 < stack.heads for stack in stacks)
    for cross in (False, True):
        some = [p for p in points if p.shape.cross_attention is cross]
        assert {(min(p.windows.complete, 3), p.windows.open > 0) for p in some} >= {(k, ragged) for k in range(1, 4) for ragged in (0, 1)}
        assert {(p.windows.complete == 0, p.batch > 1) for p in some} == {(k, b) for k in (False, True) for b in (False, True)}
        assert {p.span for p in some} == {1, 2, 3, 4}
        assert {p.shape.prefix for p in some} == {1, 2, 3}
        assert {(0 < p.shape.carry < p.span, p.shape.carry == p.span) for p in some} == {(False, False), (True, False), (False, True)}
