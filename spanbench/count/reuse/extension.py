"""Extension in closed form: q ≥ 1 tokens read at once after n, the last logits wanted, the state of all n + q kept.

Dense: L layers over q rows, each row of which attends to what was kept and to the new rows up to itself: q × (n+q) cells.

Latent, with K0 = ⌊n/S⌋, K1 = ⌊(n+q)/S⌋ and r = K1 - K0: the encoder over the r spans that were closed; the mixer over r new
rows, r × K1 cells; where r > 0 the bridge once and window K1 from its beginning, as in prefill; where r = 0 the open window
goes on, q × (rows before + q) cells. One row goes through the head. q = 1 is a step of `spanbench.count.formula.speaking`.
"""

from __future__ import annotations

from dataclasses import replace

from spanbench.count.formula.latent import latent_work
from spanbench.count.formula.layers import cross_work, stack_work
from spanbench.count.formula.plan import Plan
from spanbench.count.formula.units import Attention, lookup, product
from spanbench.count.reuse.extent import Extent
from spanbench.point import Point, Stack
from spanbench.tally import Tally, total

__all__ = ["behind", "encoding", "extension", "from_u", "mixing"]


def extension(point: Point, before: int, read: int) -> dict[str, dict[str, Tally]]:
    """Return arm → stage → tally, with 'total', of reading `read` tokens a lane after `before`; `point.tokens` is not used.

    FLOPs, cells, MLP rows and fused bytes; compulsory bytes are `spanbench.count.reuse.moved`'s, parameters and state those
    of a prefill. Attention behind rows that were kept is no square, so the convention `causal-half` does not halve it.

    Raises:
        ValueError: fewer than 1 token read, or fewer than 0 before.
    """
    extent = Extent(point, before, read)
    return {"token": _summed(_token(extent)), "latent": _summed(_latent(extent))}


def from_u(point: Point, before: int, read: int) -> dict[str, Tally]:
    """Return stage → tally, with 'total', of the latent arm's extension where of the n tokens only the latents u are stored.

    The r new spans are encoded, all K1 rows mixed anew, and window K1 is run from its beginning: a prefill of n + q tokens
    whose first K0 spans need no encoder.
    """
    extent = Extent(point, before, read)
    whole = latent_work(Plan(extent.whole, "prefill")) | {
        "embedding": _looked_up(extent, extent.token_rows),
        "encoder": encoding(point, extent.closed),
        "mixer": mixing(point, 0, extent.spans),
    }
    return _summed(whole)


def encoding(point: Point, spans: int) -> Tally:
    """Return the encoder and its pool over `spans` complete spans a lane."""
    return latent_work(Plan(replace(point, tokens=spans * point.span), "prefill"))["encoder"] if spans else Tally()


def mixing(point: Point, first: int, spans: int) -> Tally:
    """Return the mixer over rows `first` .. `spans`-1, behind the keys and values of those before."""
    rows = behind(point, first, spans - first)
    mixer = point.shape.mixer
    return stack_work(mixer, gated=point.shape.gated, rows=point.batch * (spans - first), attentions=[rows], item=point.itemsize)


def behind(point: Point, kept: int, rows: int) -> Attention:
    """Return causal attention of `rows` new rows a lane behind `kept` ones: row i of them sees kept + i keys."""
    if rows == 1:  # a row alone has none behind it: nothing is masked
        return Attention.full(point.batch, 1, kept + 1)
    if not kept:
        return Attention.causal_self(point.batch, rows)
    return Attention(point.batch, rows, kept + rows, rows * kept + rows * (rows + 1) // 2)


def _summed(stages: dict[str, Tally]) -> dict[str, Tally]:
    return stages | {"total": total(stages.values())}


def _token(extent: Extent) -> dict[str, Tally]:
    point, stack = extent.point, extent.point.shape.token
    return {
        "embedding": lookup(point.batch * extent.read, stack.width, point.itemsize),
        "layers": _rows_behind(point, stack, extent.before, extent.read),
        "head": product(point.batch, stack.width, point.shape.vocab, point.itemsize),
    }


def _rows_behind(point: Point, stack: Stack, kept: int, rows: int) -> Tally:
    attentions = [behind(point, kept, rows)]
    return stack_work(stack, gated=point.shape.gated, rows=point.batch * rows, attentions=attentions, item=point.itemsize)


def _latent(extent: Extent) -> dict[str, Tally]:
    return _opening(extent) if extent.closed else _going_on(extent)


def _looked_up(extent: Extent, token_rows: int) -> Tally:
    """Ids of the closed spans in the encoder's table, and those of the decoder's token rows in its own."""
    point = extent.point
    encoded = lookup(point.batch * extent.closed * point.span, point.shape.encoder.width, point.itemsize)
    return encoded + lookup(point.batch * token_rows, point.shape.decoder.width, point.itemsize)


def _opening(extent: Extent) -> dict[str, Tally]:
    """At least one span is closed: r spans encoded, r rows mixed, and a fresh window behind the last of them."""
    point = extent.point
    work = latent_work(Plan(extent.whole, "prefill")) | {
        "embedding": _looked_up(extent, extent.token_rows),
        "encoder": encoding(point, extent.closed),
        "mixer": mixing(point, extent.known, extent.spans),
    }
    if point.shape.cross_attention:
        rows = extent.windows.open_rows
        local = [Attention.causal_self(point.batch, rows)]
        window = stack_work(point.shape.decoder, gated=point.shape.gated, rows=point.batch * rows, attentions=local, item=point.itemsize)
        work["decoder"] = window + _memory(extent, rows, [point.batch * extent.closed], extent.spans)
    return work


def _going_on(extent: Extent) -> dict[str, Tally]:
    """No span is closed: q rows more in the open window, and neither encoder, mixer nor bridge."""
    point, decoder = extent.point, extent.point.shape.decoder
    local = _rows_behind(point, decoder, extent.rows_before, extent.read)
    return {
        "embedding": _looked_up(extent, extent.read),
        "encoder": Tally(),
        "mixer": Tally(),
        "bridge": Tally(),
        "decoder": local + _memory(extent, extent.read, [], extent.known) if point.shape.cross_attention else local,
        "head": product(point.batch, decoder.width, point.shape.vocab, point.itemsize),
    }


def _memory(extent: Extent, rows: int, added: list[int], latents: int) -> Tally:
    """Cross-attention of `rows` rows a lane over `latents` (the start rows where there is none); those `added` get keys and values."""
    point, shape = extent.point, extent.point.shape
    keys = latents or shape.prefix
    return cross_work(
        shape.decoder,
        rows=point.batch * rows,
        memories=added,
        latent=shape.mixer.width,
        attentions=[Attention.full(point.batch, rows, keys, shared_keys=not latents)],
        item=point.itemsize,
    )
