"""The closed form: what both arms cost, as plain integers from the sizes alone. Imports no torch.

It is one of two parties that count (docs/what-is-counted.md); the other is the ledger of executed operations. Neither
knows the other, and they must agree to the last integer.
"""

from __future__ import annotations

from functools import reduce
from operator import add

from spanbench.count.distinct import Distinct
from spanbench.count.formula.arms import ARMS, Arm
from spanbench.count.formula.steps import steps_of
from spanbench.point import Point, Regime
from spanbench.tally import Tally

__all__ = ["closed_form", "step_forms", "steps_of"]


def closed_form(point: Point, regime: Regime, distinct: Distinct) -> dict[str, dict[str, Tally]]:
    """Return arm → stage → tally, whole-batch integers, for one regime of a point.

    Arms are `token` (embedding, layers, head, total) and `latent` (embedding, encoder, mixer, bridge, decoder, head,
    total). A total is the sum of its stages, but for `bytes_compulsory`, where stages would count boundaries twice.
    Over several steps all add up, but for `params` and for `state_bytes`, the state after the last. `distinct` is read
    by `bytes_compulsory` alone. Convention and omissions: 1 multiply-accumulate = 2 FLOPs, look-ups 0, element-wise
    work not counted.

    Raises:
        ValueError: `distinct` has the rows of fewer steps than the regime takes.
    """
    return {name: _form(arm, point, regime, distinct) for name, arm in ARMS.items()}


def step_forms(point: Point, regime: Regime, distinct: Distinct) -> dict[str, list[dict[str, Tally]]]:
    """Return arm → steps → stage → tally, each step's own cost and the state after it.

    The first of a request is its prefill; score and prefill are one step, and so is decode_worst, of each arm its own.

    Raises:
        ValueError: `distinct` has the rows of fewer steps than the regime takes.
    """
    if regime in {"score", "prefill", "decode_worst"}:
        return {name: [form] for name, form in closed_form(point, regime, distinct).items()}
    opening = closed_form(point, "prefill", distinct) if regime == "request" else {}
    return {
        name: [form for form in (opening.get(name),) if form] + [_step(arm, point, n, distinct) for n in steps_of(point, regime)]
        for name, arm in ARMS.items()
    }


def _form(arm: Arm, point: Point, regime: Regime, distinct: Distinct) -> dict[str, Tally]:
    steps = steps_of(point, regime)
    match regime:
        case "score" | "prefill":
            return arm.form(point, regime, arm.whole(point, regime, distinct), point.tokens)
        case "decode_worst":
            return _step(arm, point, arm.dearest(point, steps), distinct)
        case "decode":
            costs = arm.steps(point, steps, distinct)
        case "request":
            costs = [arm.whole(point, "prefill", distinct), *arm.steps(point, steps, distinct)]
    return arm.form(point, regime, reduce(add, costs), steps.stop)


def _step(arm: Arm, point: Point, n: int, distinct: Distinct) -> dict[str, Tally]:
    """Return one step, given n tokens before it."""
    (cost,) = arm.steps(point, [n], distinct)
    return arm.form(point, "decode", cost, n + 1)
