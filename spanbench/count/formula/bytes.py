"""Bytes that cannot be avoided and bytes that prefill keeps (docs/what-is-counted.md, the boundaries of the stages)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spanbench.count.distinct import Distinct
from spanbench.count.formula.latent import latent_params
from spanbench.count.formula.plan import Plan
from spanbench.count.formula.token import token_params
from spanbench.point import ID_BYTES
from spanbench.tally import Kept

__all__ = ["Compulsory", "latent_compulsory", "latent_kept", "token_compulsory", "token_kept"]


@dataclass(frozen=True, slots=True)
class Compulsory:
    """Compulsory bytes of each stage, and of the whole arm, which is not their sum: boundaries would count twice."""

    stages: Mapping[str, int]
    total: int


def token_kept(plan: Plan) -> Kept:
    """Return what the dense arm keeps: k and v of N rows in every layer."""
    stack = plan.shape.token
    rows = plan.batch * plan.point.tokens if plan.keeps else 0
    return Kept(kv={"layers": 2 * rows * stack.kv_width * stack.layers * plan.item}, other={})


def latent_kept(plan: Plan) -> Kept:
    """Return what the latent arm keeps: k and v of the mixer, of window K and of the memory; c_K; the open ids."""
    if not plan.keeps:
        return Kept(kv={}, other={})
    mixer, decoder = plan.shape.mixer, plan.shape.decoder
    return Kept(
        kv={
            "mixer": 2 * plan.batch * plan.spans * mixer.kv_width * mixer.layers * plan.item,
            "decoder": 2 * (plan.batch * plan.decoder_rows + _memory_rows(plan)) * decoder.kv_width * decoder.layers * plan.item,
        },
        other={
            "mixer": plan.batch * mixer.width * plan.item if plan.spans else 0,
            "decoder": plan.batch * plan.point.windows.open * ID_BYTES,
        },
    )


def _memory_rows(plan: Plan) -> int:
    """Memory rows whose keys and values are kept: K a prompt, or the P start rows once for the batch where K = 0."""
    if not plan.shape.cross_attention:
        return 0
    return plan.batch * plan.spans if plan.spans else plan.shape.prefix


def token_compulsory(plan: Plan, distinct: Distinct) -> Compulsory:
    """Return the dense arm's compulsory bytes."""
    d = plan.shape.token.width
    rows, wanted = plan.batch * plan.point.tokens, plan.batch * plan.wanted
    used = token_params(plan) | {"embedding": distinct.token * d}
    numbers = {"embedding": rows * d, "layers": rows * d + wanted * d, "head": wanted * d + wanted * plan.shape.vocab}
    return _compulsory(plan, used, numbers, ids=rows, kept=token_kept(plan))


def latent_compulsory(plan: Plan, distinct: Distinct) -> Compulsory:
    """Return the latent arm's compulsory bytes."""
    looked_up = plan.batch * (plan.spans * plan.point.span + plan.token_rows)
    return _compulsory(plan, _used(plan, distinct), _boundaries(plan), ids=looked_up, kept=latent_kept(plan))


def _compulsory(plan: Plan, used: Mapping[str, int], numbers: Mapping[str, int], ids: int, kept: Kept) -> Compulsory:
    """Add up parameters `used` and `numbers` that cross a boundary, by stage, the `ids` looked up, keys and values kept."""
    read = {"embedding": ID_BYTES * ids}
    stages = {stage: plan.item * (used[stage] + numbers[stage]) + read.get(stage, 0) + kept.kv.get(stage, 0) for stage in used}
    logits = plan.batch * plan.wanted * plan.shape.vocab * plan.item
    prompt = plan.batch * plan.point.tokens * ID_BYTES
    return Compulsory(stages, plan.item * sum(used.values()) + prompt + logits + sum(kept.kv.values()))


def _used(plan: Plan, distinct: Distinct) -> dict[str, int]:
    """Return the parameters that the regime reads; of the tables, the distinct rows."""
    shape, used = plan.shape, latent_params(plan)
    used["embedding"] = distinct.encoder * shape.encoder.width + distinct.decoder[plan.regime] * shape.decoder.width
    if not plan.spans:
        used |= {"encoder": 0, "mixer": 0, "bridge": 0}
    if not plan.decodes_first:  # the learned start of window 0; cross-attention starts every window with the same slots
        used["decoder"] -= shape.prefix * (shape.mixer.width if shape.cross_attention else shape.decoder.width)
    return used


def _boundaries(plan: Plan) -> dict[str, int]:
    """Return how many numbers each stage is handed and hands on, the whole batch's."""
    shape, spans, wanted = plan.shape, plan.spans, plan.wanted
    encoder, latent, decoder = shape.encoder.width, shape.mixer.width, shape.decoder.width
    looked_up, tokens = spans * plan.point.span * encoder, plan.token_rows * decoder
    slots = plan.bridged * shape.prefix * decoder
    handed = spans * latent if shape.cross_attention else slots
    one_prompt = {
        "embedding": looked_up + tokens,
        "encoder": looked_up + spans * latent,
        "mixer": spans * latent + _mixed(plan) * latent,
        "bridge": plan.bridged * latent + slots,
        "decoder": tokens + handed + wanted * decoder,
        "head": wanted * decoder + wanted * shape.vocab,
    }
    return {stage: plan.batch * numbers for stage, numbers in one_prompt.items()}


def _mixed(plan: Plan) -> int:
    """Latents that the mixer hands on: all K, or c_K alone where only the bridge of window K reads them."""
    return plan.spans if plan.shape.cross_attention else plan.bridged
