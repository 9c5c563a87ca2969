"""Counts as measures: the tallies of both arms become rows, and the pair's ratios beside them."""

from __future__ import annotations

from collections.abc import Mapping

from spanbench.record.models import Measure, weakest
from spanbench.tally import Convention, Tally
from spanbench.units import RATIO_PREFIX, quantity

__all__ = ["counted_measures", "pair_ratio"]

_TALLY_FIELDS = ("cells_dense", "cells_useful", "scores_dense", "mlp_rows", "params", "bytes_compulsory", "bytes_fused", "state_bytes")
_ALONE = "ledger alone"
"""Who counts element-wise work: no closed form knows how it is written, so nothing stands against this figure."""

_NO_STATE = "score keeps no state"
_NO_CENSUS = "only the ledger counts element-wise work, and it did not run"
_SOME_STEPS = "element-wise work is counted by the ledger alone, which ran only some of so many steps"


def counted_measures(
    counts: Mapping[str, Mapping[str, Tally]],
    flops_other: Mapping[str, Mapping[str, int]] | None,
    regime: str,
    convention: Convention,
    by: str = "ledger",
    steps: int = 1,
) -> list[Measure]:
    """Return one regime's counts as measures: every quantity of every stage, then the pair's ratios of the totals.

    `counts` and `flops_other` map arm and stage (with `total`) to whole-batch integers; FLOPs and MACs are taken by
    the convention; `steps` is what they sum over. A figure that does not exist (state in score, a ratio to 0) is null
    with its reason.
    """
    rows = [
        _counted({"arm": arm, "regime": regime, "stage": stage, "by": _ALONE if name == "flops_other" else by, "steps": steps}, name, value)
        for arm, stages in counts.items()
        for stage, tally in stages.items()
        for name, value in _values(tally, (flops_other or {}).get(arm, {}).get(stage), convention)
    ]
    totals = {(row.arm, row.quantity): row for row in rows if row.stage == "total"}
    names = dict.fromkeys(row.quantity for row in rows)
    pairs = [(totals.get(("token", name)), totals.get(("latent", name))) for name in names]
    return rows + [pair_ratio(token, latent) for token, latent in pairs if token and latent]


def pair_ratio(token: Measure, latent: Measure) -> Measure:
    """Return token ÷ latent of one quantity, with the weaker source of the two; null where it has no meaning.

    A measured ratio is the median over pairs, with an interval and maybe a reason: `model_copy(update=...)` puts it in.
    """
    value = None
    reason = token.reason if token.value is None else latent.reason
    if token.value is not None and latent.value is not None:
        value, reason = (token.value / latent.value, None) if latent.value else (None, f"the latent arm's {latent.quantity} is 0")
    by = token.by if token.by == latent.by else f"{token.by}, {latent.by}"
    return Measure(
        arm="pair", regime=token.regime, stage=token.stage, quantity=f"{RATIO_PREFIX}{token.quantity}", value=value, unit="ratio",
        steps=token.steps, source=weakest((token.source, latent.source)), by=by, reason=reason,
    )  # fmt: skip


def _values(tally: Tally, other: int | None, convention: Convention) -> list[tuple[str, int | None]]:
    flops = tally.flops(convention)
    named = [(name, getattr(tally, name)) for name in _TALLY_FIELDS]
    return [("flops", flops), ("macs", flops // 2), ("flops_other", other), *named]


def _counted(place: Mapping[str, str | int], name: str, value: int | None) -> Measure:
    reason = None if value is not None else _NO_CENSUS if place["steps"] == 1 else _SOME_STEPS
    if name == "state_bytes" and place["regime"] == "score":
        value, reason = None, _NO_STATE
    row = {**place, "quantity": name, "value": value, "unit": quantity(name).unit, "source": "counted", "reason": reason}
    return Measure.model_validate(row)
