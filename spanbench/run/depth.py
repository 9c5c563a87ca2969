"""Deep stacks counted at 1 and at 2 layers: a stack's layers are equal, so what the second adds every further one adds.

T(L) = T(1) + (L - 1)(T(2) - T(1)), stage by stage and field by field. That holds from the first layer on, which brings
the stack's last norm with it; a test executes deep stacks whole, to the same result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace

from spanbench.count.ledger import TOTAL, Counted
from spanbench.errors import CountMismatch
from spanbench.point import Point, Regime, Shape, Stack
from spanbench.run.executed import Executed
from spanbench.run.spoken import dearest_step
from spanbench.tally import Tally

__all__ = ["FULL_DEPTH", "SHALLOW", "at_two_depths", "is_deep", "shallow"]

FULL_DEPTH = 8
"""Up to this many layers a stack is executed whole."""

SHALLOW = 2
"""Layers that tell of any number, together with one."""

_STACKS = {"token": {"layers": "token"}, "latent": {"encoder": "encoder", "mixer": "mixer", "decoder": "decoder"}}
"""The stack of sizes that each stage with layers is built from, by arm."""

_FIELDS = tuple(field.name for field in fields(Tally))


def shallow(shape: Shape, layers: int = SHALLOW, beyond: int = FULL_DEPTH) -> Shape:
    """Return the shape with every stack of more than `beyond` layers cut to so many."""

    def cut(stack: Stack) -> Stack:
        return stack if stack.layers <= beyond else replace(stack, layers=layers)

    return replace(shape, token=cut(shape.token), encoder=cut(shape.encoder), mixer=cut(shape.mixer), decoder=cut(shape.decoder))


def is_deep(point: Point, arm: str, beyond: int = FULL_DEPTH) -> bool:
    """Whether an arm has a stack of more than `beyond` layers, which need not be executed whole."""
    return any(_layers(point, arm, stage) > beyond for stage in _STACKS[arm])


def _layers(point: Point, arm: str, stage: str) -> int:
    stack: Stack = getattr(point.shape, _STACKS[arm][stage])
    return stack.layers


def at_two_depths(executed: Executed, point: Point, arm: str, regime: Regime) -> Counted:
    """Count one arm in one regime from its deep stacks at 1 and at 2 layers, each held against its own closed form.

    The closed form at the full depth is for the caller to hold against the result. It has no census and no operations:
    those are only of what was run.

    Raises:
        CountMismatch: ledger and closed form disagree, a stage without layers depends on the depth, or what the stages
            gain from 1 to 2 layers is not what the whole gains.
        UncountedOperation: something ran that no rule counts.
    """
    dearest = dearest_step(point, arm, executed.distinct) if regime == "decode_worst" else None
    cuts = [replace(point, shape=shallow(point.shape, layers)) for layers in (1, SHALLOW)]
    one, two = (executed.counted(cut, arm, regime, dearest) for cut in cuts)
    deep = {stage: layers for stage in _STACKS[arm] if (layers := _layers(point, arm, stage)) > FULL_DEPTH}
    try:
        grown = {name: _grown(deep, _values(one, name), _values(two, name)) for name in _FIELDS}
        other = _grown(deep, one.flops_other, two.flops_other) if one.flops_other and two.flops_other else {}
    except CountMismatch as error:
        raise CountMismatch(f"{arm} {regime}, {error}") from None
    stages = {stage: Tally(**{name: grown[name][stage] for name in _FIELDS}) for stage in one.stages}
    return Counted(stages, other, Counter(), Counter())


def _values(counted: Counted, name: str) -> dict[str, int]:
    return {stage: getattr(tally, name) for stage, tally in counted.stages.items()}


def _grown(deep: Mapping[str, int], one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    """Return one figure by stage at the layers of each deep stage, from 1 and 2 of them; the whole gains what its stages gain."""
    gains = {stage: two[stage] - one[stage] for stage in one}
    whole = gains.pop(TOTAL)
    for stage, gain in gains.items():
        if gain and stage not in deep:
            raise CountMismatch(f"{stage}: a second layer of other stages changes it by {gain:,}")
    if sum(gains.values()) != whole:
        raise CountMismatch(f"{TOTAL}: with second layers it gains {whole:,}, its stages {sum(gains.values()):,}; they must be equal")
    more = {stage: (deep.get(stage, 1) - 1) * gain for stage, gain in gains.items()}
    more[TOTAL] = sum(more.values())
    return {stage: one[stage] + more[stage] for stage in one}
