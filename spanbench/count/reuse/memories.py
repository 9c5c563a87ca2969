"""Several documents at once, a few latents instead of all, and the bytes a token that each form of memory takes."""

from __future__ import annotations

from collections.abc import Sequence

from spanbench.count.reuse.extension import extension, from_u
from spanbench.count.reuse.extent import Extent
from spanbench.count.reuse.stored import Stored, kv_bytes, stored_bytes
from spanbench.judge.reuse import Choice, Composition, Memory
from spanbench.point import Point
from spanbench.tally import Convention

__all__ = ["choices", "compositions", "grouped", "memories"]

NO_SPAN = "the query closes no span, so no latent of it says which are near"


def compositions(point: Point, read: int, documents: Sequence[int], convention: Convention = "dense") -> tuple[Composition, ...]:
    """Return a query of `read` tokens behind D documents of N tokens each, of which the complete spans count; nothing where none is.

    The latent arm mixes all D·K stored latents anew: a latent has no position. Keys and values of dense documents that were
    read apart cannot be put together: they hold each document's own positions and have not attended to one another. Those of
    the first can be kept, and the others read behind them. Where that very order was read before, both arms go on behind it.
    """
    if not point.windows.complete:
        return ()
    return tuple(_composed(point, read, count, convention) for count in documents)


def _composed(point: Point, read: int, documents: int, convention: Convention) -> Composition:
    first = point.windows.complete * point.span
    latents, tokens = documents * point.windows.complete, documents * first
    kept = extension(point, tokens, read)
    return Composition(
        documents,
        latents,
        tokens,
        flops_u=from_u(point, tokens, read)["total"].flops(convention),
        flops_state=kept["latent"]["total"].flops(convention),
        flops_first=extension(point, first, tokens - first + read)["token"]["total"].flops(convention),
        flops_kv=kept["token"]["total"].flops(convention),
        flops_dense=extension(point, 0, tokens + read)["token"]["total"].flops(convention),
    )


def choices(point: Point, read: int, convention: Convention = "dense") -> tuple[Choice, ...]:
    """Return a query that reads k of the K latents, for k = 1, K/8, K/4, K/2 and K: what is not mixed, and not attended to.

    The query's own new latents are read always. Where it makes none, nothing says which k are near: all K alone are counted.
    """
    spans = point.windows.complete
    wanted = sorted({k for k in (1, spans // 8, spans // 4, spans // 2, spans) if 0 < k <= spans})
    return tuple(_chosen(point, read, k, convention) for k in wanted)


def _chosen(point: Point, read: int, k: int, convention: Convention) -> Choice:
    whole = Extent(point, point.tokens, read)
    if not whole.closed and k < whole.known:
        return Choice(k, None, None, None, reason=NO_SPAN)
    before = k * point.span + point.windows.open  # the same open tokens behind k spans instead of K
    compared = whole.closed * whole.known
    return Choice(
        k,
        flops_u=from_u(point, before, read)["total"].flops(convention),
        flops_state=extension(point, before, read)["latent"]["total"].flops(convention),
        flops_choosing=0 if k == whole.known else 2 * point.batch * compared * point.shape.mixer.width,
    )


def memories(point: Point) -> tuple[Memory, ...]:
    """Return the forms of memory from the largest to the smallest, each in bytes and bytes a token."""
    kept, heads, own = stored_bytes(point), point.shape.token.heads, point.shape.token.kv_heads
    kinds = {own: "this model", grouped(heads): "GQA", heads: "MHA"}  # a later name is the better known of two for one number
    dense = [(f"dense KV, {kinds[count]} ({_heads(count)})", kv_bytes(point, count), count) for count in sorted(kinds, reverse=True)]
    return tuple(_memory(point, *row) for row in (*dense, *_latent(kept)))


def grouped(heads: int) -> int:
    """Return the key-value heads of the grouped-query arm that memory is set beside: a quarter, or the next fewer that divide.

    >>> grouped(32), grouped(8), grouped(14), grouped(1)
    (8, 2, 2, 1)
    """
    return next(count for count in range(max(1, heads // 4), 0, -1) if heads % count == 0)


def _heads(count: int) -> str:
    return f"{count} {'head' if count == 1 else 'heads'}"


def _latent(kept: Stored) -> list[tuple[str, int, None]]:
    return [("mixer KV", kept.mixer_kv, None), ("latents u", kept.u, None), ("tokens", kept.tokens, None)]


def _memory(point: Point, name: str, size: int, kv_heads: int | None) -> Memory:
    return Memory(name, size, size / (point.tokens * point.batch), None, "nothing was written, only counted", kv_heads)
