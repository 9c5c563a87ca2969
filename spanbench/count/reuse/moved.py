"""Compulsory bytes of an extension (docs/what-is-counted.md): weights once, the cache read and written, ids and logits."""

from __future__ import annotations

from dataclasses import replace

from spanbench.count.distinct import StepRows
from spanbench.count.formula.latent import latent_params
from spanbench.count.formula.plan import Plan
from spanbench.count.formula.token import token_params
from spanbench.count.reuse.extent import Extent
from spanbench.point import ID_BYTES, Stack

__all__ = ["moved_by_encoding", "moved_by_extension", "moved_from_u", "weights_by_extension", "weights_from_u"]


def moved_by_extension(extent: Extent, rows: StepRows) -> dict[str, int]:
    """Return the bytes of each arm: n rows of the cache read and q written; the latent arm's where it reads them."""
    return {"token": _token(extent, rows), "latent": _latent(extent, rows)}


def weights_by_extension(extent: Extent) -> dict[str, int]:
    """Return how many of an extension's bytes are weights, rows of the embedding tables not among them."""
    item = extent.point.itemsize
    return {"token": item * _token_weights(extent), "latent": item * _latent_weights(extent)}


def weights_from_u(extent: Extent) -> int:
    """Return how many of the bytes of a query from u are weights; behind a document of 0 tokens, of a prefill."""
    return extent.point.itemsize * _weights_from_u(extent)


def moved_from_u(extent: Extent, rows: StepRows) -> int:
    """Return the latent arm's bytes where u of the K0 spans is read and everything behind the encoder is made anew."""
    point, used = extent.point, _looked_up(extent, rows) + _weights_from_u(extent)
    memory = (extent.spans or point.shape.prefix) if point.shape.cross_attention else 0
    shared = bool(memory) and not extent.spans
    window = _cache(point.shape.decoder, point.batch * extent.windows.open_rows + memory * (1 if shared else point.batch))
    read = point.batch * extent.known * point.shape.mixer.width
    return _bytes(extent, used + read + window + _cache(point.shape.mixer, point.batch * extent.spans))


def _weights_from_u(extent: Extent) -> int:
    params = latent_params(Plan(extent.point, "prefill"))
    used = params["head"] + (params["encoder"] if extent.closed else 0)
    used += params["mixer"] + params["bridge"] if extent.spans else 0
    return used + params["decoder"] - _start(extent, opens_first=not extent.spans)


def moved_by_encoding(extent: Extent, rows: StepRows) -> int:
    """Return the bytes of encoding the spans that are closed, and of nothing else: table rows, weights, ids, u written."""
    if not extent.closed:
        return 0
    point, params = extent.point, latent_params(Plan(extent.point, "prefill"))
    numbers = rows.encoder * point.shape.encoder.width + params["encoder"] + point.batch * extent.closed * point.shape.mixer.width
    return point.itemsize * numbers + ID_BYTES * point.batch * extent.closed * point.span


def _bytes(extent: Extent, numbers: int) -> int:
    """Return numbers and one row of logits a lane in bytes, and the ids read."""
    point = extent.point
    return point.itemsize * (numbers + point.batch * point.shape.vocab) + ID_BYTES * point.batch * extent.read


def _cache(stack: Stack, rows: int) -> int:
    """Return the numbers in the keys and values of `rows` rows of every layer."""
    return 2 * rows * stack.kv_width * stack.layers


def _token(extent: Extent, rows: StepRows) -> int:
    point, stack = extent.point, extent.point.shape.token
    used = _token_weights(extent) + rows.token * stack.width
    return _bytes(extent, used + _cache(stack, point.batch * (extent.before + extent.read)))


def _token_weights(extent: Extent) -> int:
    params = token_params(Plan(replace(extent.point, tokens=1), "prefill"))
    return params["layers"] + params["head"]


def _looked_up(extent: Extent, rows: StepRows) -> int:
    shape = extent.point.shape
    return rows.encoder * shape.encoder.width + rows.decoder * shape.decoder.width


def _start(extent: Extent, *, opens_first: bool) -> int:
    """Learned start parameters that a fresh window leaves alone: none in window 0, with cross-attention the start memory."""
    shape = extent.point.shape
    if opens_first:
        return 0
    return shape.prefix * (shape.mixer.width if shape.cross_attention else shape.decoder.width)


def _latent(extent: Extent, rows: StepRows) -> int:
    return _opening(extent, rows) if extent.closed else _going_on(extent, rows)


def _latent_weights(extent: Extent) -> int:
    """All stages' where a span is closed; else the decoder's and the head's, without learned slots and a memory's own weights."""
    shape, params = extent.point.shape, latent_params(Plan(extent.point, "prefill"))
    if extent.closed:
        return sum(params[stage] for stage in ("encoder", "mixer", "bridge", "decoder", "head")) - _start(extent, opens_first=False)
    used = params["decoder"] + params["head"] - shape.prefix * shape.decoder.width
    if shape.cross_attention:
        used -= shape.prefix * shape.mixer.width + 2 * shape.decoder.layers * shape.mixer.width * shape.decoder.kv_width
    return used


def _opening(extent: Extent, rows: StepRows) -> int:
    """Weights of all stages; the mixer's cache of K1 rows, the fresh window's, and the memory's."""
    point, used = extent.point, _looked_up(extent, rows) + _latent_weights(extent)
    memory = extent.spans if point.shape.cross_attention else 0
    cache = _cache(point.shape.mixer, point.batch * extent.spans) + _cache(
        point.shape.decoder, point.batch * (extent.windows.open_rows + memory)
    )
    return _bytes(extent, used + cache)


def _going_on(extent: Extent, rows: StepRows) -> int:
    """The decoder's and the head's weights, without the learned slots; the open window's cache, and the memory's."""
    point, shape = extent.point, extent.point.shape
    used, read = _looked_up(extent, rows) + _latent_weights(extent), 0
    if shape.cross_attention:
        read = point.batch * extent.known if extent.known else shape.prefix
    return _bytes(extent, used + _cache(shape.decoder, point.batch * (extent.rows_before + extent.read) + read))
