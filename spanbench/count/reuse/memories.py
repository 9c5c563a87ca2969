"""Several documents at once, a few latents instead of all, and the bytes a token that each form of memory takes."""

from __future__ import annotations

from collections.abc import Sequence

from spanbench.count.reuse.extension import extension, from_u
from spanbench.count.reuse.extent import Extent
from spanbench.count.reuse.stored import Stored, kv_bytes, stored_bytes
from spanbench.judge.reuse import Choice, Composition, Memory
from spanbench.point import Point
from spanbench.tally import Convention

__all__ = ["GROUPED", "choices", "compositions", "memories"]

GROUPED = 8
"""Key-value heads of the grouped-query arm that memory is set beside."""


def compositions(point: Point, read: int, documents: Sequence[int], convention: Convention = "dense") -> tuple[Composition, ...]:
    """Return a query of `read` tokens behind D documents of N tokens each, of which the complete spans count.

    The latent arm mixes all D·K stored latents anew: a latent has no position. The dense arm reads all tokens: keys and values of
    documents that were read apart hold each document's own positions and have not attended to one another.
    """
    return tuple(_composed(point, read, count, convention) for count in documents)


def _composed(point: Point, read: int, documents: int, convention: Convention) -> Composition:
    latents = documents * point.windows.complete
    tokens = latents * point.span
    return Composition(
        documents,
        latents,
        tokens,
        flops_u=from_u(point, tokens, read)["total"].flops(convention),
        flops_dense=extension(point, 0, tokens + read)["token"]["total"].flops(convention),
    )


def choices(point: Point, read: int, convention: Convention = "dense") -> tuple[Choice, ...]:
    """Return a query that reads k of the K latents, for k = 1, K/8, K/4, K/2 and K: what is not mixed, and not attended to.

    The query's own new latents are read always.
    """
    spans = point.windows.complete
    wanted = sorted({k for k in (1, spans // 8, spans // 4, spans // 2, spans) if 0 < k <= spans})
    return tuple(_chosen(point, read, k, convention) for k in wanted)


def _chosen(point: Point, read: int, k: int, convention: Convention) -> Choice:
    whole = Extent(point, point.tokens, read)
    before = k * point.span + point.windows.open  # the same open tokens behind k spans instead of K
    compared = max(whole.closed, 1) * whole.known
    return Choice(
        k,
        flops_u=from_u(point, before, read)["total"].flops(convention),
        flops_state=extension(point, before, read)["latent"]["total"].flops(convention),
        flops_choosing=0 if k == whole.known else 2 * point.batch * compared * point.shape.mixer.width,
    )


def memories(point: Point) -> tuple[Memory, ...]:
    """Return the forms of memory from the largest to the smallest, each in bytes and bytes a token."""
    kept, heads = stored_bytes(point), point.shape.token.heads
    own = point.shape.token.kv_heads
    rows: list[tuple[str, int]] = [(f"dense KV, MHA ({heads} heads)", kv_bytes(point, heads))]
    rows += [(f"dense KV, this model ({own} heads)", kept.kv)] if own not in (heads, GROUPED) else []
    grouped = heads > GROUPED and heads % GROUPED == 0
    rows += [(f"dense KV, GQA ({GROUPED} heads)", kv_bytes(point, GROUPED))] if grouped else []
    missing = [] if grouped else [_no_groups(heads)]
    return (*(_memory(point, *row) for row in rows), *missing, *(_memory(point, *row) for row in _latent(kept)))


def _no_groups(heads: int) -> Memory:
    return Memory(f"dense KV, GQA ({GROUPED} heads)", None, None, None, f"{heads} heads are no multiple of {GROUPED} above it")


def _latent(kept: Stored) -> list[tuple[str, int]]:
    return [("mixer KV", kept.mixer_kv), ("latents u", kept.u), ("tokens", kept.tokens)]


def _memory(point: Point, name: str, size: int) -> Memory:
    return Memory(name, size, size / (point.tokens * point.batch), None, "nothing was written, only counted")
