"""The latent-per-span arm, stage by stage: everything but compulsory and state bytes."""

from __future__ import annotations

from spanbench.count.formula.layers import cross_params, cross_work, stack_params, stack_work
from spanbench.count.formula.plan import Group, Plan
from spanbench.count.formula.units import Attention, attention, lookup, product
from spanbench.tally import Tally

__all__ = ["latent_params", "latent_work"]


def latent_work(plan: Plan) -> dict[str, Tally]:
    """Return FLOPs, cells, MLP rows and fused bytes of each stage.

    In score, with the plain options: K·(Le·layer(S, De) + pool), Lm·layer(K, Z), 2·K·Z·P·Dd,
    Ld·(K·layer(P+S-1, Dd) + layer(P+o, Dd)) and 2·N·Dd·V (DESIGN, "The pair").
    """
    shape, batch, item = plan.shape, plan.batch, plan.item
    decoder, encoded = shape.decoder.width, batch * plan.spans * plan.point.span
    return {
        "embedding": lookup(encoded, shape.encoder.width, item) + lookup(batch * plan.token_rows, decoder, item),
        "encoder": _encoder(plan),
        "mixer": _mixer(plan),
        "bridge": product(batch * plan.bridged, shape.mixer.width, shape.prefix * decoder, item),
        "decoder": _decoder(plan),
        "head": product(batch * plan.wanted, decoder, shape.vocab, item),
    }


def _encoder(plan: Plan) -> Tally:
    """Bidirectional layers over the S rows of each complete span, then the pool."""
    spans, span = plan.batch * plan.spans, plan.point.span
    inside = [Attention.full(spans, span, span)]
    layers = stack_work(plan.shape.encoder, gated=plan.shape.gated, rows=spans * span, attentions=inside, item=plan.item)
    return layers + _pool(plan, spans)


def _pool(plan: Plan, spans: int) -> Tally:
    """S rows of width De → one latent of width Z, for each of `spans` spans."""
    encoder, span, latent, item = plan.shape.encoder, plan.point.span, plan.shape.mixer.width, plan.item
    match plan.shape.pool:
        case "concat":
            return product(spans, span * encoder.width, latent, item)
        case "mean":
            return product(spans, encoder.width, latent, item)
        case "attention":
            keys_values = product(spans * span, encoder.width, 2 * encoder.kv_width, item)
            read = attention(Attention.full(spans, 1, span), encoder, item)
            return keys_values + read + product(spans, encoder.width, latent, item)
        case "lookup":
            return Tally()


def _mixer(plan: Plan) -> Tally:
    """Causal layers over the K latents of a prompt."""
    latents = [Attention.causal_self(plan.batch, plan.spans)]
    return stack_work(plan.shape.mixer, gated=plan.shape.gated, rows=plan.batch * plan.spans, attentions=latents, item=plan.item)


def _decoder(plan: Plan) -> Tally:
    """Causal layers inside each window; products and norms run over the rows of all windows at once."""
    rows = plan.batch * plan.decoder_rows
    local = [Attention.causal_self(plan.batch * group.count, group.rows) for group in plan.groups]
    layers = stack_work(plan.shape.decoder, gated=plan.shape.gated, rows=rows, attentions=local, item=plan.item)
    return layers + _memory(plan, rows) if plan.shape.cross_attention else layers


def _memory(plan: Plan, rows: int) -> Tally:
    """Cross-attention: the latents c_1 .. c_K of each prompt, and the start memory where window 0 runs."""
    start = plan.shape.prefix if plan.decodes_first else 0
    return cross_work(
        plan.shape.decoder,
        rows=rows,
        memories=[plan.batch * plan.spans, start],
        latent=plan.shape.mixer.width,
        attentions=[_reading(plan, group) for group in plan.groups],
        item=plan.item,
    )


def _reading(plan: Plan, group: Group) -> Attention:
    """Window 0 reads P start rows, one set for the batch; windows 1 .. K-1 read K latents in one call, window K in another."""
    if group.first == 0:
        return Attention.full(plan.batch, group.rows, plan.shape.prefix, shared_keys=True)
    return Attention(plan.batch, group.count * group.rows, plan.spans, group.rows * group.latents_read)


def latent_params(plan: Plan) -> dict[str, int]:
    """Return the parameters of each stage, used in the regime or not."""
    shape = plan.shape
    decoder, latent, slots = shape.decoder.width, shape.mixer.width, shape.prefix * shape.decoder.width
    memory = cross_params(shape.decoder, latent) + shape.prefix * latent if shape.cross_attention else 0
    return {
        "embedding": shape.vocab * (shape.encoder.width + decoder),
        "encoder": stack_params(shape.encoder, gated=shape.gated) + _pool_params(plan),
        "mixer": stack_params(shape.mixer, gated=shape.gated),
        "bridge": 0 if shape.cross_attention else latent * slots,
        "decoder": stack_params(shape.decoder, gated=shape.gated) + slots + memory,
        "head": decoder * shape.vocab,
    }


def _pool_params(plan: Plan) -> int:
    """Weights of the pool; that of `attention` has its learned query among them."""
    encoder, latent = plan.shape.encoder, plan.shape.mixer.width
    d = encoder.width
    return {
        "concat": plan.point.span * d * latent,
        "mean": d * latent,
        "attention": d + 2 * encoder.kv_width * d + d * latent,
        "lookup": 0,
    }[plan.shape.pool]
