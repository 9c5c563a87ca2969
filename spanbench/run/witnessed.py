"""The witnesses of one arm: run once for each shape and version, at full depth where that is cheap."""

from __future__ import annotations

from dataclasses import replace

from spanbench.count.cache import key, recall, remember
from spanbench.count.verify import witness
from spanbench.point import Point, Regime
from spanbench.run.depth import FULL_DEPTH, SHALLOW, is_deep, shallow
from spanbench.run.executed import Executed

__all__ = ["DEEP", "witnesses_agree"]

DEEP = f" (deep stacks at {SHALLOW} layers)"


def witnesses_agree(executed: Executed, point: Point, arm: str, regime: Regime, *, verify: bool, beyond: int = FULL_DEPTH) -> list[str]:
    """Hold ledger and closed form of one arm against the witnesses, unless they agreed on it before; return what was checked.

    Stacks of more than `beyond` layers are witnessed at `SHALLOW` layers, ledger and closed form with them; `verify` forces
    full depth and a new run. That the closed form is linear in the depth, and the ledger equal to it at any, is tested.

    Raises:
        CountMismatch: a witness disagrees.
    """
    seen = point if verify else replace(point, shape=shallow(point.shape, beyond=beyond))
    agreed = key({**_sizes(seen, arm), "arm": arm, "regime": regime})
    known = None if verify else recall(agreed)
    if known is None:
        known = witness(executed.subject(seen, arm, regime), executed.counted(seen, arm, regime), f"{arm} {regime}")
        remember(agreed, known)
    depth = DEEP if is_deep(point, arm, beyond) and not verify else ""
    return [f"{check}{depth}" for check in known]


def _sizes(point: Point, arm: str) -> dict[str, object]:
    """Return what an arm's matrix work depends on; the dense arm's knows nothing of spans."""
    sizes: dict[str, object] = {"tokens": point.tokens, "batch": point.batch}
    shape = point.to_json()["shape"]
    if arm == "token":
        return sizes | {name: shape[name] for name in ("token", "vocab", "gated")}
    return sizes | {"span": point.span} | {name: value for name, value in shape.items() if name != "token"}
