"""The dense arm, stage by stage: everything but compulsory and state bytes."""

from __future__ import annotations

from spanbench.count.formula.layers import stack_params, stack_work
from spanbench.count.formula.plan import Plan
from spanbench.count.formula.units import Attention, lookup, product
from spanbench.tally import Tally

__all__ = ["token_params", "token_work"]


def token_work(plan: Plan) -> dict[str, Tally]:
    """Return FLOPs, cells, MLP rows and fused bytes of each stage: L·layer(N, D) and 2·N·D·V (2·D·V in prefill)."""
    shape, rows = plan.shape, plan.batch * plan.point.tokens
    causal = [Attention.causal_self(plan.batch, plan.point.tokens)]
    return {
        "embedding": lookup(rows, shape.token.width, plan.item),
        "layers": stack_work(shape.token, gated=shape.gated, rows=rows, attentions=causal, item=plan.item),
        "head": product(plan.batch * plan.wanted, shape.token.width, shape.vocab, plan.item),
    }


def token_params(plan: Plan) -> dict[str, int]:
    """Return the parameters of each stage."""
    table = plan.shape.vocab * plan.shape.token.width
    return {"embedding": table, "layers": stack_params(plan.shape.token, gated=plan.shape.gated), "head": table}
