"""The FLOPs of each layer: what the ledger books within it, what the closed form says, and what the stage is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import Tensor, nn

from spanbench.count.baseline import STACKS, closed_layers
from spanbench.count.distinct import distinct_rows
from spanbench.count.ledger import run_ledger
from spanbench.count.subject import Subject
from spanbench.errors import CountMismatch
from spanbench.model.layers import MLP
from spanbench.model.pair import build_pair
from spanbench.model.stack import Stack
from spanbench.point import Point
from spanbench.point import Stack as StackSizes
from spanbench.prompt import load_prompt
from spanbench.request import Request, point_of
from spanbench.run.baseline.executed import executed_layers
from spanbench.run.subjects import meta_ids, subject_of
from spanbench.tally import Convention
from tests.shapes import seeded_ids, seeded_point

SEEDS = range(12)
CONVENTIONS: tuple[Convention, ...] = ("dense", "useful", "causal-half")


def subjects(point: Point) -> list[tuple[str, Subject]]:
    distinct = distinct_rows(seeded_ids(point), point)
    return [(arm, subject_of(model, "score", meta_ids(point), distinct)) for arm, model in build_pair(point, "meta").arms().items()]


def blocks(subject: Subject) -> dict[nn.Module, tuple[str, int]]:
    found = ((stage, part) for module, stage in subject.stages.items() for part in module.modules() if isinstance(part, Stack))
    return {block: (stage, number) for stage, stack in found for number, block in enumerate(stack.blocks)}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ledger_books_within_each_layer_what_the_closed_form_says(seed: int) -> None:
    point = seeded_point(seed)
    for arm, subject in subjects(point):
        counted = run_ledger(replace(subject, layers=blocks(subject))).layers
        for convention in CONVENTIONS:
            wanted = closed_layers(replace(point, regimes=("score",)), arm, convention)["score"]
            said = {(stage, n): flops for stage, layers in wanted.items() for n, flops in enumerate(layers)}
            assert {place: tally.flops(convention) for place, tally in counted.items()} == said


@pytest.mark.parametrize("seed", SEEDS)
def test_telling_layers_apart_changes_no_count(seed: int) -> None:
    for _, subject in subjects(seeded_point(seed)):
        plain, apart = run_ledger(subject), run_ledger(replace(subject, layers=blocks(subject)))
        assert plain.layers == {}
        assert replace(apart, layers={}) == plain


def test_layers_are_a_part_of_their_stage_and_all_of_a_stack_without_a_pool() -> None:
    point, _, convention = point_of(Request(preset="tiny", tokens=24, span=8))
    for arm, subject in subjects_of(point):
        stages = run_ledger(subject).stages
        for stage, layers in closed_layers(point, arm, convention)["score"].items():
            inside, whole = sum(layers), stages[stage].flops()
            assert inside < whole if stage == "encoder" else inside == whole


def subjects_of(point: Point) -> list[tuple[str, Subject]]:
    prompt = load_prompt(None, None, point.tokens, point.batch)
    distinct = distinct_rows(prompt.ids, point)
    return [(arm, subject_of(model, "score", meta_ids(point), distinct)) for arm, model in build_pair(point, "meta").arms().items()]


def test_a_stack_deeper_than_eight_runs_at_two_layers_and_says_all_of_them() -> None:
    point, prompt, convention = point_of(Request(preset="tiny", shape={"layers": 11}, tokens=24, span=8))
    layers = executed_layers(point, prompt, convention)
    assert [len(layers[arm]["prefill"][stage]) for arm in STACKS for stage in STACKS[arm]] == [11, 2, 11, 4]


class Planted(MLP):
    """Every MLP but the first that is made does its work twice."""

    made = 0

    def __init__(self, sizes: StackSizes, *, gated: bool) -> None:
        super().__init__(sizes, gated=gated)
        self.twice = Planted.made > 0
        Planted.made += 1

    def forward(self, x_RxD: Tensor) -> Tensor:
        return super().forward(super().forward(x_RxD) if self.twice else x_RxD)


def test_a_layer_that_is_not_what_the_formula_says_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanbench.model.stack.MLP", Planted)
    point, prompt, convention = point_of(Request(preset="tiny", tokens=24, span=8))
    with pytest.raises(CountMismatch, match="token score, layers, layer 1, flops: closed form says"):
        executed_layers(point, prompt, convention)
