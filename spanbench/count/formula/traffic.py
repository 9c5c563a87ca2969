"""Compulsory bytes of one-token steps (docs/what-is-counted.md, "In decode"): weights again in every step, the cache as read and written."""

from __future__ import annotations

from collections.abc import Mapping

from spanbench.count.distinct import Distinct
from spanbench.count.formula.bytes import Compulsory
from spanbench.count.formula.latent import latent_params
from spanbench.count.formula.plan import Plan
from spanbench.count.formula.steps import Phase, rows_of
from spanbench.count.formula.token import token_params
from spanbench.point import ID_BYTES, Stack

__all__ = ["latent_traffic", "token_traffic"]


def token_traffic(plan: Plan, phase: Phase, distinct: Distinct) -> Compulsory:
    """Return the dense arm's compulsory bytes: n rows of the cache read in each step, one written."""
    stack, count = plan.shape.token, phase.count
    d, vocab, params = stack.width, plan.shape.vocab, token_params(plan)
    used = {stage: count * params[stage] for stage in ("layers", "head")} | {"embedding": rows_of(phase, distinct).token * d}
    numbers = {"embedding": d, "layers": 2 * d, "head": d + vocab}
    return _traffic(plan, phase, used, numbers, looked_up=1, cache={"layers": _cache(stack, plan.batch * (phase.read + count))})


def latent_traffic(plan: Plan, phase: Phase, distinct: Distinct) -> Compulsory:
    """Return the latent arm's compulsory bytes."""
    looked_up = plan.point.span + plan.shape.carry if phase.closing else 1
    numbers = _closing_numbers(plan) if phase.closing else _ordinary_numbers(plan)
    return _traffic(plan, phase, _used(plan, phase, distinct), numbers, looked_up, _caches(plan, phase))


def _traffic(
    plan: Plan, phase: Phase, used: Mapping[str, int], numbers: Mapping[str, int], looked_up: int, cache: Mapping[str, int]
) -> Compulsory:
    """Add up, all in numbers: parameters `used` and `cache` rows of all steps, boundary `numbers` of one prompt in one step."""
    spoken = plan.batch * phase.count
    stages = {stage: plan.item * (used.get(stage, 0) + spoken * crossing + cache.get(stage, 0)) for stage, crossing in numbers.items()}
    stages["embedding"] += ID_BYTES * spoken * looked_up
    once = sum(used.values()) + spoken * plan.shape.vocab + sum(cache.values())
    return Compulsory(stages, plan.item * once + ID_BYTES * spoken)


def _used(plan: Plan, phase: Phase, distinct: Distinct) -> dict[str, int]:
    """Return the parameters that the steps read: of an ordinary one, the decoder's and the head's."""
    shape, rows, params = plan.shape, rows_of(phase, distinct), latent_params(plan)
    stages = ("encoder", "mixer", "bridge", "head") if phase.closing else ("head",)
    used = {stage: phase.count * params[stage] for stage in stages}
    used["embedding"] = rows.encoder * shape.encoder.width + rows.decoder * shape.decoder.width
    used["decoder"] = phase.count * (params["decoder"] - _idle(plan, phase))
    return used


def _idle(plan: Plan, phase: Phase) -> int:
    """Parameters of the decoder that a step leaves alone.

    Learned slots are run only where a window opens, and only with cross-attention, in whatever window; the start memory
    was read before the first step; the memory's keys and values are made where a latent is.
    """
    shape = plan.shape
    slots = shape.prefix * shape.decoder.width
    if not shape.cross_attention:
        return slots
    start = shape.prefix * shape.mixer.width
    return start if phase.closing else start + slots + 2 * shape.decoder.layers * shape.mixer.width * shape.decoder.kv_width


def _ordinary_numbers(plan: Plan) -> dict[str, int]:
    """Numbers that each stage of an ordinary step is handed and hands on: one token row."""
    d = plan.shape.decoder.width
    return {"embedding": d, "encoder": 0, "mixer": 0, "bridge": 0, "decoder": 2 * d, "head": d + plan.shape.vocab}


def _closing_numbers(plan: Plan) -> dict[str, int]:
    """Numbers that each stage of a closing step is handed and hands on: S rows, a latent, slots and w rows, the last row."""
    shape = plan.shape
    span, carried = plan.point.span * shape.encoder.width, shape.carry * shape.decoder.width
    latent, d = shape.mixer.width, shape.decoder.width
    bridged = 0 if shape.cross_attention else shape.prefix * d
    return {
        "embedding": span + carried,
        "encoder": span + latent,
        "mixer": 2 * latent,
        "bridge": latent + bridged if bridged else 0,
        "decoder": carried + (bridged or latent) + d,
        "head": d + shape.vocab,
    }


def _caches(plan: Plan, phase: Phase) -> dict[str, int]:
    """Return the numbers of keys and values that the steps read and write, by stage."""
    shape, batch, count = plan.shape, plan.batch, phase.count
    if not phase.closing:
        return {"decoder": _cache(shape.decoder, batch * (phase.rows + count) + _memory_read(plan, phase))}
    opened, latents = count * (shape.prefix + shape.carry), phase.latents + count
    memory = latents if shape.cross_attention else 0
    return {"mixer": _cache(shape.mixer, batch * latents), "decoder": _cache(shape.decoder, batch * (opened + memory))}


def _memory_read(plan: Plan, phase: Phase) -> int:
    """Memory rows that ordinary steps read: K a prompt, in window 0 the P start rows, once for the batch."""
    if not plan.shape.cross_attention:
        return 0
    return phase.count * plan.shape.prefix if phase.first else plan.batch * phase.latents


def _cache(stack: Stack, rows: int) -> int:
    """Return the numbers in the keys and values of `rows` rows of every layer."""
    return 2 * rows * stack.kv_width * stack.layers
