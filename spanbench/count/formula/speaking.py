"""Work of one-token steps, stage by stage: everything but compulsory and state bytes (docs/architecture.md, "Speaking").

A row that speaks alone has no row after it, so nothing is masked: its attention is `full`, and no convention halves it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from spanbench.count.formula.latent import latent_work
from spanbench.count.formula.layers import cross_work, stack_work
from spanbench.count.formula.plan import Plan
from spanbench.count.formula.steps import Phase
from spanbench.count.formula.units import Attention, attention, lookup, product, times
from spanbench.point import Stack
from spanbench.tally import Tally

__all__ = ["latent_said", "token_said"]


def token_said(plan: Plan, phase: Phase) -> dict[str, Tally]:
    """Return what the dense arm's steps execute: each L·(proj(1, D) + attn(1, n+1, D)) and 2·D·V."""
    d = plan.shape.token.width
    return {
        "embedding": times(phase.count, lookup(plan.batch, d, plan.item)),
        "layers": _row(plan, plan.shape.token, phase.count, keys=phase.read + phase.count),
        "head": times(phase.count, product(plan.batch, d, plan.shape.vocab, plan.item)),
    }


def latent_said(plan: Plan, phase: Phase) -> dict[str, Tally]:
    """Return what the latent arm's steps execute."""
    return _closing(plan, phase) if phase.closing else _ordinary(plan, phase)


def _ordinary(plan: Plan, phase: Phase) -> dict[str, Tally]:
    """One row through the decoder, behind what window K holds: Ld·(proj(1, Dd) + attn(1, rows+1, Dd)) and 2·Dd·V."""
    d, count = plan.shape.decoder.width, phase.count
    local = _row(plan, plan.shape.decoder, count, keys=phase.rows + count)
    return {
        "embedding": times(count, lookup(plan.batch, d, plan.item)),
        "encoder": Tally(),
        "mixer": Tally(),
        "bridge": Tally(),
        "decoder": local + _memory(plan, phase) if plan.shape.cross_attention else local,
        "head": times(count, product(plan.batch, d, plan.shape.vocab, plan.item)),
    }


def _closing(plan: Plan, phase: Phase) -> dict[str, Tally]:
    """One span read to its end: what a prefill of that span alone runs, but behind the K latents before it."""
    alone = latent_work(Plan(replace(plan.point, tokens=plan.point.span), "prefill"))
    work = {stage: times(phase.count, tally) for stage, tally in alone.items()}
    work["mixer"] = _row(plan, plan.shape.mixer, phase.count, keys=phase.latents + phase.count)
    if plan.shape.cross_attention:
        work["decoder"] = times(phase.count, _opened(plan)) + _memory(plan, phase)
    return work


def _opened(plan: Plan) -> Tally:
    """Self-attention and products of a new window: P slots and w carried tokens in one causal pass."""
    slots = plan.shape.prefix + plan.shape.carry
    local = [Attention.causal_self(plan.batch, slots)]
    return stack_work(plan.shape.decoder, gated=plan.shape.gated, rows=plan.batch * slots, attentions=local, item=plan.item)


def _memory(plan: Plan, phase: Phase) -> Tally:
    """Cross-attention. A closing step adds a latent and its P + w rows read it too; in window 0 all read the start rows."""
    shape, count = plan.shape, phase.count
    queries, added = (shape.prefix + shape.carry, [plan.batch]) if phase.closing else (1, [])
    keys = count * shape.prefix if phase.first else phase.latents + count * len(added)
    products = cross_work(
        shape.decoder, rows=plan.batch * queries, memories=added, latent=shape.mixer.width, attentions=(), item=plan.item
    )
    return times(count, products) + _reading(plan, shape.decoder, count, queries, keys, shared=phase.first)


def _row(plan: Plan, stack: Stack, count: int, keys: int) -> Tally:
    """Return `count` times one row a prompt through a stack, each time behind rows kept: `keys` attended to, all together."""
    return times(count, _products(stack, plan.shape.gated, plan.batch, plan.item)) + _reading(plan, stack, count, 1, keys)


@lru_cache(maxsize=16)  # the same in each of a thousand steps
def _products(stack: Stack, gated: bool, rows: int, item: int) -> Tally:
    return stack_work(stack, gated=gated, rows=rows, attentions=(), item=item)


def _reading(plan: Plan, stack: Stack, count: int, queries: int, keys: int, *, shared: bool = False) -> Tally:
    """Return `count` attentions of each layer, over `keys` rows all together: linear in keys, but queries count each time."""
    queries_alone, all_keys = (attention(Attention.full(plan.batch, queries, k, shared_keys=shared), stack, plan.item) for k in (0, keys))
    return times(stack.layers, times(count - 1, queries_alone) + all_keys)
