"""One point of a baseline, executed: counts that closed form, ledger and witnesses agree on, and the FLOPs of each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from spanbench.count.baseline import STACKS, closed_layers
from spanbench.count.distinct import Distinct, distinct_rows
from spanbench.count.ledger import run_ledger
from spanbench.errors import CountMismatch
from spanbench.judge.baseline.asked import Asked
from spanbench.judge.baseline.row import LAYERED, Layers, Row, row_of
from spanbench.model.pair import Model, build_pair
from spanbench.model.stack import Stack
from spanbench.point import Point, Regime
from spanbench.prompt import Prompt
from spanbench.run.counted import count_point
from spanbench.run.depth import SHALLOW
from spanbench.run.subjects import meta_ids, subject_of
from spanbench.tally import Convention, Tally

__all__ = ["executed_layers", "executed_rows"]


def executed_rows(asked: Asked, point: Point, prompt: Prompt, convention: Convention) -> list[Row]:
    """Return the rows of both arms of a point.

    The layers come first: where the model is not what the formulas say, the message names the layer.

    Raises:
        CountMismatch: two ways of counting disagree.
        UncountedOperation: something ran that no rule counts.
    """
    try:
        layers = executed_layers(point, prompt, convention)
        counts = count_point(point, prompt.ids, prompt.following(point.said), witnessed=SHALLOW, progress=_silent)
    except CountMismatch as error:
        raise CountMismatch(f"{asked.name}: {error}") from None
    return [row_of(asked, point, arm, {r: counts.tallies[r][arm] for r in point.regimes}, layers[arm], convention) for arm in STACKS]


def executed_layers(point: Point, prompt: Prompt, convention: Convention) -> dict[str, Layers]:
    """Return arm → regime → stage → FLOPs of each layer, every layer as it ran, once they are those of the closed form.

    Raises:
        CountMismatch: a layer does not do what the closed form says.
    """
    distinct, pair = distinct_rows(prompt.ids, point), build_pair(point, "meta")
    layers: dict[str, Layers] = {arm: closed_layers(point, arm, convention) for arm in STACKS}
    for arm, model in pair.arms().items():
        for regime in (one for one in LAYERED if one in layers[arm]):
            _equal(layers[arm][regime], _run(point, model, regime, distinct), f"{arm} {regime}", convention)
    return layers


def _run(point: Point, model: Model, regime: Regime, distinct: Distinct) -> Mapping[tuple[str, int], Tally]:
    subject = subject_of(model, regime, meta_ids(point), distinct)
    return run_ledger(replace(subject, layers=_layers(model))).layers


def _layers(model: Model) -> dict[nn.Module, tuple[str, int]]:
    """Return stage and number of every layer of a model's stacks."""
    stacks = ((stage, part) for module, stage in model.stages().items() for part in module.modules() if isinstance(part, Stack))
    return {block: (stage, number) for stage, stack in stacks for number, block in enumerate(stack.blocks)}


def _equal(wanted: Mapping[str, Sequence[int]], ran: Mapping[tuple[str, int], Tally], what: str, convention: Convention) -> None:
    expected = {(stage, number): flops for stage, layers in wanted.items() for number, flops in enumerate(layers)}
    executed = {place: tally.flops(convention) for place, tally in ran.items()}
    for stage, number in sorted({*expected, *executed}):
        ours, theirs = expected.get((stage, number), 0), executed.get((stage, number), 0)
        if ours != theirs:
            raise CountMismatch(
                f"{what}, {stage}, layer {number}, flops: closed form says {ours:,}, ledger says {theirs:,}; they must be equal"
            )


def _silent(what: str, done: int, of: int) -> None:
    """Tell nobody: the whole baseline is one task."""
