"""The witnesses of one arm: run once for each shape and version, at full depth where that is cheap."""

from __future__ import annotations

from dataclasses import replace

from spanbench.count.cache import key, recall, remember
from spanbench.count.distinct import Distinct
from spanbench.count.formula import closed_form
from spanbench.count.ledger import run_ledger
from spanbench.count.verify import equal, witness
from spanbench.model.pair import build_pair
from spanbench.point import Point, Regime, Shape, Stack
from spanbench.run.subjects import meta_ids, subject_of

__all__ = ["DEEP", "shallow", "witnesses_agree"]

FULL_DEPTH = 8
"""Up to this many layers a stack is witnessed whole."""

SHALLOW = 2
"""Layers of a deeper stack that the witnesses see: its layers are equal, and the closed form is linear in their number."""

DEEP = f" (deep stacks at {SHALLOW} layers)"


def witnesses_agree(point: Point, arm: str, regime: Regime, distinct: Distinct, *, verify: bool) -> list[str]:
    """Hold ledger and closed form of one arm against the witnesses, unless they agreed on it before; return what was checked.

    Stacks deeper than `FULL_DEPTH` are witnessed at `SHALLOW` layers, ledger and closed form with them; `verify` forces full
    depth and a new run. That the closed form is linear in the depth, and the ledger equal to it at any, is tested.

    Raises:
        CountMismatch: a witness disagrees.
    """
    seen = point if verify else replace(point, shape=shallow(point.shape))
    agreed = key({**_sizes(seen, arm), "arm": arm, "regime": regime})
    known = None if verify else recall(agreed)
    if known is None:
        known = _run(seen, arm, regime, distinct)
        remember(agreed, known)
    depth = "" if _sizes(seen, arm) == _sizes(point, arm) else DEEP
    return [f"{check}{depth}" for check in known]


def _sizes(point: Point, arm: str) -> dict[str, object]:
    """Return what an arm's matrix work depends on; the dense arm's knows nothing of spans."""
    sizes: dict[str, object] = {"tokens": point.tokens, "batch": point.batch}
    shape = point.to_json()["shape"]
    if arm == "token":
        return sizes | {name: shape[name] for name in ("token", "vocab", "gated")}
    return sizes | {"span": point.span} | {name: value for name, value in shape.items() if name != "token"}


def _run(point: Point, arm: str, regime: Regime, distinct: Distinct) -> list[str]:
    model, what = build_pair(point, "meta").arms()[arm], f"{arm} {regime}"
    subject = subject_of(model, regime, meta_ids(point), distinct)
    counted = run_ledger(subject)
    equal(closed_form(point, regime, distinct)[arm], counted, what)
    return witness(subject, counted, what)


def shallow(shape: Shape) -> Shape:
    """Return the shape with every deep stack cut to `SHALLOW` layers."""

    def cut(stack: Stack) -> Stack:
        return stack if stack.layers <= FULL_DEPTH else replace(stack, layers=SHALLOW)

    return replace(shape, token=cut(shape.token), encoder=cut(shape.encoder), mixer=cut(shape.mixer), decoder=cut(shape.decoder))
