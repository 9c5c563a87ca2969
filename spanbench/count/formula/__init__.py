"""The closed form: what both arms cost, as plain integers from the sizes alone. Imports no torch.

It is one of two parties that count (docs/what-is-counted.md); the other is the ledger of executed operations. Neither
knows the other, and they must agree to the last integer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spanbench.count.distinct import Distinct
from spanbench.count.formula.bytes import Compulsory, latent_compulsory, latent_kept, token_compulsory, token_kept
from spanbench.count.formula.latent import latent_params, latent_work
from spanbench.count.formula.plan import Plan
from spanbench.count.formula.token import token_params, token_work
from spanbench.point import Point, Regime
from spanbench.tally import Kept, Tally, total

__all__ = ["closed_form"]


def closed_form(point: Point, regime: Regime, distinct: Distinct) -> dict[str, dict[str, Tally]]:
    """Return arm → stage → tally, whole-batch integers, for one regime of a point.

    Arms are `token` (embedding, layers, head, total) and `latent` (embedding, encoder, mixer, bridge, decoder, head,
    total). A total is the sum of its stages, but for `bytes_compulsory`, where stages would count boundaries twice.
    `distinct` is read by `bytes_compulsory` alone. Convention and omissions: 1 multiply-accumulate = 2 FLOPs, look-ups 0,
    element-wise work not counted.
    """
    plan = Plan(point, regime)
    return {
        "token": _arm(token_work(plan), token_params(plan), token_kept(plan), token_compulsory(plan, distinct)),
        "latent": _arm(latent_work(plan), latent_params(plan), latent_kept(plan), latent_compulsory(plan, distinct)),
    }


def _arm(work: Mapping[str, Tally], params: Mapping[str, int], kept: Kept, compulsory: Compulsory) -> dict[str, Tally]:
    """Fill in what is not work, and add the total."""
    stages = {
        stage: replace(tally, params=params[stage], state_bytes=kept.stage(stage), bytes_compulsory=compulsory.stages[stage])
        for stage, tally in work.items()
    }
    return stages | {"total": replace(total(stages.values()), bytes_compulsory=compulsory.total)}
