"""Deep stacks counted at one and two layers: to the last integer what they execute whole, element-wise work included."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from spanbench.count.blank import KnownResults
from spanbench.count.distinct import Distinct, distinct_rows
from spanbench.count.ledger import TOTAL, Counted
from spanbench.errors import CountMismatch
from spanbench.point import ALL_REGIMES, Point, Shape
from spanbench.presets import resolve
from spanbench.run.counted import ARMS, count_point
from spanbench.run.depth import FULL_DEPTH, at_two_depths, is_deep, shallow
from spanbench.run.executed import Executed
from spanbench.tally import Tally
from tests.run.speaking import said_after
from tests.shapes import kinds, seeded_ids, seeded_point

PARTS = ("token", "encoder", "mixer", "decoder")
SEEDS = range(0, 26, 2)
CHUNK = 25
SLOW = range(100, 350)

NARROW = {"width": 64, "mlp": 128, "heads": 4, "vocab": 300}
DEEP = {"layers": 12, "mixer.layers": 11}
PRESETS = {
    "small lean": ("small", "lean", NARROW | {"layers": 12, "decoder.layers": 9}),
    "small carry": ("small", "lean", NARROW | DEEP | {"carry": 3}),
    "llama-7b block, cross": ("llama-7b", "block", {"layers": 10, "mixer.layers": 9, "decoder.layers": 9, "cross_attention": True}),
    "gpt2 megabyte": ("gpt2", "megabyte", {"layers": 10, "decoder.layers": 9}),
    "document mixer-only": ("document", "mixer-only", {"layers": 9}),
}
"""Preset, allocation and what is changed; on meta a width costs nothing."""


def with_layers(shape: Shape, layers: dict[str, int]) -> Shape:
    return replace(shape, **{part: replace(getattr(shape, part), layers=count) for part, count in layers.items()})


def deep_point(seed: int) -> Point:
    """Return a seeded point in all regimes, each stack that has layers with 9 to 12 of them or, one in four, as it was."""
    random, point = Random(seed), seeded_point(seed)  # noqa: S311 - sizes of a test, not a secret
    parts = [part for part in PARTS if getattr(point.shape, part).layers]
    layers = {part: random.randint(FULL_DEPTH + 1, 12) for part in parts if random.random() < 0.75}
    shape = with_layers(point.shape, layers or dict.fromkeys(parts, FULL_DEPTH + 1))
    return replace(point, shape=shape, regimes=ALL_REGIMES, generate=random.randint(1, point.span + 3))


def rows_of(point: Point) -> Distinct:
    return distinct_rows(seeded_ids(point), point, said_after(point))


def figures(counted: Counted) -> tuple[object, ...]:
    return counted.stages, counted.flops_other


def hold(point: Point) -> int:
    """Hold both arms in every regime, counted at two depths, against themselves executed whole; return how many were deep."""
    rows, deep = rows_of(point), 0
    with KnownResults():
        for arm in filter(lambda arm: is_deep(point, arm), ARMS):
            whole, cut = Executed(rows), Executed(rows)
            for regime in point.regimes:
                executed = whole.counted(point, arm, regime)
                assert figures(at_two_depths(cut, point, arm, regime)) == figures(executed), f"{arm} {regime} at {point}"
                assert executed.flops_other[TOTAL] > 0
                deep += 1
    return deep


@pytest.mark.parametrize("seed", SEEDS)
def test_two_depths_tell_what_any_depth_executes(seed: int) -> None:
    assert hold(deep_point(seed)) >= len(ALL_REGIMES)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [SLOW[start : start + CHUNK] for start in range(0, len(SLOW), CHUNK)], ids=str)
def test_two_depths_tell_what_any_depth_executes_for_hundreds_of_points(seeds: range) -> None:
    assert all(hold(deep_point(seed)) for seed in seeds)


@pytest.mark.parametrize("name", PRESETS)
def test_two_depths_tell_what_the_presets_execute(name: str) -> None:
    preset, allocation, changed = PRESETS[name]
    point = Point(resolve(preset, allocation, changed, 4), 11, 4, generate=3, regimes=ALL_REGIMES, dtype="bfloat16")
    assert hold(point) == 2 * len(ALL_REGIMES)


def test_the_points_are_as_various_as_is_claimed() -> None:
    options = {"gated", "cross-attention", "carry", "batch", "grouped keys", "no decoder layers"}
    assert options | {"ragged", "no complete span", "span of one"} <= set(kinds(map(deep_point, SEEDS)))


def test_a_count_without_timing_says_at_which_depths_it_was_made() -> None:
    point = Point(resolve("tiny", "lean", {"mixer.layers": FULL_DEPTH + 1}, 4), 10, 4)
    ids = seeded_ids(point)
    cut = count_point(point, ids, whole=False, progress=lambda *_: None)
    whole = count_point(point, ids, progress=lambda *_: None)
    assert (cut.tallies, cut.flops_other) == (whole.tallies, whole.flops_other)
    assert cut.verified[0] == "closed form = ledger (deep stacks at 1 and 2 layers)"
    assert whole.verified[0] == "closed form = ledger"
    assert [check for check in cut.verified if check.startswith("closed form")] == cut.verified[:1]
    assert not cut.census["score"]["latent"]  # nothing that a timed model could be held against
    assert cut.census["score"]["token"] == whole.census["score"]["token"]


def test_a_shallow_pair_is_executed_whole_whatever_is_asked() -> None:
    point = Point(resolve("tiny", "lean", {}, 4), 10, 4)
    cut, whole = (count_point(point, seeded_ids(point), whole=whole, progress=lambda *_: None) for whole in (False, True))
    assert cut == whole


def test_all_that_verify_asks_for_is_executed_whole() -> None:
    point = Point(resolve("tiny", "lean", {"layers": 9}, 4), 6, 4, regimes=("prefill",))
    asked = count_point(point, seeded_ids(point), verify=True, whole=False, progress=lambda *_: None)
    assert not [check for check in asked.verified if "deep stacks" in check]
    assert asked.census["prefill"]["token"]


@pytest.mark.parametrize(
    ("two", "says"),
    [
        ({"layers": 9, "head": 4, "total": 13}, "head: a second layer of other stages changes it by 1"),
        ({"layers": 9, "head": 3, "total": 14}, "total: with second layers it gains 5, its stages 4; they must be equal"),
    ],
)
def test_what_does_not_grow_with_its_own_layers_is_refused(two: dict[str, int], says: str) -> None:
    point = Point(resolve("tiny", "lean", {"layers": 9}, 4), 6, 4)
    executed = Executed(rows_of(point))
    for layers, rows in zip((1, 2), ({"layers": 5, "head": 3, "total": 9}, two), strict=True):  # as if they had been run
        told = Counted({stage: Tally(mlp_rows=count) for stage, count in rows.items()}, {}, Counter(), Counter())
        executed.known[replace(point, shape=shallow(point.shape, layers)), "token", "score", None] = told
    with pytest.raises(CountMismatch, match=f"^token score, {says}$"):
        at_two_depths(executed, point, "token", "score")
