"""Closed form = ledger = witnesses, tolerance 0: every field of every stage, for points drawn over every option."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from random import Random

import pytest

from spanbench.count.distinct import Distinct, distinct_rows
from spanbench.count.formula import closed_form
from spanbench.count.ledger import Counted, run_ledger
from spanbench.count.subject import Subject
from spanbench.count.verify import equal, same_census, witness
from spanbench.model.pair import build_pair
from spanbench.point import POOLS, REGIMES, Point, Regime, Shape
from spanbench.run.depth import FULL_DEPTH, SHALLOW, shallow
from spanbench.run.subjects import ids_tensor, meta_ids, subject_of
from spanbench.tally import Tally
from tests.shapes import kinds, seeded_ids, seeded_point

RUNS_A_POINT = 4  # two arms in two regimes
CHUNK = 25
QUICK = range(250)
THOROUGH = range(250, 2750)
DEEP_SEEDS = range(16, 20)
PARTS = ("token", "encoder", "mixer", "decoder")
PAGE = Path(__file__).parents[2] / "docs" / "verification.md"


def is_witnessed(seed: int) -> bool:
    """Pick 4 of 25 points for every witness; 25 shares no divisor with the 16 combinations that the seed's lowest bits decide."""
    return seed % CHUNK < 4


def chunks(seeds: range) -> list[range]:
    return [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]


def runs(point: Point, device: str) -> Iterator[tuple[str, Regime, Subject, Distinct]]:
    """Yield both arms in both regimes, on meta ids without contents or on the device with the seeded ones."""
    rows, pair = distinct_rows(seeded_ids(point), point), build_pair(point, device)
    ids = meta_ids(point) if device == "meta" else ids_tensor(seeded_ids(point), device)
    for regime in REGIMES:
        for arm, model in pair.arms().items():
            yield arm, regime, subject_of(model, regime, ids, rows), rows


def hold(point: Point, *, witnessed: bool, device: str = "meta") -> list[Counted]:
    """Hold the closed form against the ledger in every run of a point, and the ledger against the witnesses where asked."""
    seen = []
    for arm, regime, subject, rows in runs(point, device):
        what, counted = f"{arm} {regime} at {point}", run_ledger(subject)
        equal(closed_form(point, regime, rows)[arm], counted, what)
        if witnessed:
            assert len(witness(subject, counted, what)) == 5
        seen.append(counted)
    return seen


@pytest.mark.parametrize("seeds", chunks(QUICK), ids=str)
def test_closed_form_is_the_ledger(seeds: range) -> None:
    assert sum(len(hold(seeded_point(seed), witnessed=is_witnessed(seed))) for seed in seeds) == RUNS_A_POINT * len(seeds)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", chunks(THOROUGH), ids=str)
def test_closed_form_is_the_ledger_for_ten_thousand_runs(seeds: range) -> None:
    assert sum(len(hold(seeded_point(seed), witnessed=is_witnessed(seed))) for seed in seeds) == RUNS_A_POINT * len(seeds)


@pytest.mark.parametrize(
    ("seeds", "least"),
    [(list(filter(is_witnessed, QUICK)), 150), (QUICK, 1_000), (THOROUGH, 10_000)],
    ids=["witnessed", "quick", "thorough"],
)
def test_the_points_are_as_many_and_as_various_as_is_claimed(seeds: Sequence[int], least: int) -> None:
    points = [seeded_point(seed) for seed in seeds]
    assert len(set(points)) * RUNS_A_POINT >= least
    options = [(pool, gated, cross) for pool in POOLS for gated in (False, True) for cross in (False, True)]
    assert {(p.shape.pool, p.shape.gated, p.shape.cross_attention) for p in points} == set(options)
    assert min(kinds(points).values()) >= len(points) // 12
    assert len(kinds(points)) == 21


def test_the_page_says_which_points_were_run() -> None:
    rows = (line.split("|")[1:-1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| "))
    table = {cells[0].strip(): [cell.strip().replace(",", "") for cell in cells[1:]] for cells in rows}
    for kind, thorough in kinds(map(seeded_point, THOROUGH)).items():
        assert table[kind] == [str(kinds(map(seeded_point, QUICK))[kind]), str(thorough)], kind


# ---- depth: what lets the witnesses look at two layers of a deep stack ----------------------------------------------


def deepened(seed: int) -> Point:
    """Return a point all of whose stacks that have layers get 9 to 12 of them."""
    random, point = Random(seed), seeded_point(seed)  # noqa: S311 - sizes of a test, not a secret
    layers = {part: random.randint(FULL_DEPTH + 1, 12) for part in PARTS if getattr(point.shape, part).layers}
    return replace(point, shape=with_layers(point.shape, layers))


def with_layers(shape: Shape, layers: dict[str, int]) -> Shape:
    stacks = {part: replace(getattr(shape, part), layers=count) for part, count in layers.items()}
    return replace(shape, **stacks)


@pytest.mark.parametrize("seed", DEEP_SEEDS)
def test_at_full_depth_the_witnesses_say_what_they_say_of_the_shallow_stacks(seed: int) -> None:
    point = deepened(seed)
    cut = replace(point, shape=shallow(point.shape))
    deep_parts = [part for part in PARTS if getattr(point.shape, part).layers > FULL_DEPTH]
    assert deep_parts
    assert cut.shape == with_layers(point.shape, dict.fromkeys(deep_parts, SHALLOW))
    for one in (point, cut):
        hold(one, witnessed=True)


def test_a_stack_up_to_full_depth_is_witnessed_whole() -> None:
    shape = with_layers(deepened(18).shape, {"token": FULL_DEPTH, "mixer": FULL_DEPTH + 1})
    assert (shallow(shape).token.layers, shallow(shape).mixer.layers) == (FULL_DEPTH, SHALLOW)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("seed", range(0, 48, 3))
def test_the_closed_form_is_linear_in_the_depth_of_each_stack(seed: int, part: str) -> None:
    """From one layer on; the first brings the last norm with it. What two layers show, any number does."""
    point = seeded_point(seed)
    if point.shape.pool == "lookup" and part == "encoder":
        assert point.shape.encoder.layers == 0  # it has no depth
        return
    at = [closed_at(replace(point, shape=with_layers(point.shape, {part: count}))) for count in (1, 2, 7, 12)]
    for key, (one, two, seven, twelve) in {key: [counts[key] for counts in at] for key in at[0]}.items():
        assert (seven, twelve) == (one + 6 * (two - one), one + 11 * (two - one)), key


def closed_at(point: Point) -> dict[tuple[str, str, str, str], int]:
    """Return every integer of the closed form by regime, arm, stage and field."""
    rows = distinct_rows(seeded_ids(point), point)
    return {
        (regime, arm, stage, field.name): getattr(tally, field.name)
        for regime in REGIMES
        for arm, stages in closed_form(point, regime, rows).items()
        for stage, tally in stages.items()
        for field in fields(Tally)
    }


# ---- the model that is timed is the model that was counted ----------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("seed", range(32, 44))
def test_on_the_cpu_the_same_work_is_done_as_on_meta(seed: int, dtype: str) -> None:
    """Not only the census: with real ids the ledger checks the distinct rows that it was told, and every count stands."""
    point = replace(seeded_point(seed), dtype=dtype)
    for counted, timed in zip(hold(point, witnessed=False), hold(point, witnessed=False, device="cpu"), strict=True):
        same_census(counted.census, timed.census, str(point))
        assert timed == counted
