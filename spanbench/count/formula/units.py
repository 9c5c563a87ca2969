"""What one unit costs: a matrix product, an attention, a norm, a look-up. Everything else is these, added up.

Sources: FLOP = 2 × multiply-accumulate; attention 4·T_q·T_k·E a head (QK' and AV); bytes as docs/what-is-counted.md
defines a unit, its unique input + weight + output. A unit of no rows is not run, so it reads no weight either.
"""

from __future__ import annotations

from dataclasses import dataclass

from spanbench.point import ID_BYTES, Stack
from spanbench.tally import Tally, figures

__all__ = ["Attention", "attention", "lookup", "norm", "product", "times"]


def times(count: int, tally: Tally) -> Tally:
    """Return `count` equal tallies added up."""
    return Tally(*(count * figure for figure in figures(tally)))


def product(rows: int, inner: int, outer: int, item: int) -> Tally:
    """Return one matrix product of `rows` rows, `inner` → `outer`, in numbers of `item` bytes."""
    if not rows:
        return Tally()
    return Tally(
        matrix_flops=2 * rows * inner * outer,
        bytes_fused=item * (rows * inner + inner * outer + rows * outer),
    )


def norm(rows: int, width: int, item: int) -> Tally:
    """Return one norm of `rows` rows: element-wise work, so bytes but no FLOPs."""
    return Tally(bytes_fused=item * (2 * rows * width + width)) if rows else Tally()


def lookup(ids: int, width: int, item: int) -> Tally:
    """Return `ids` look-ups: each id read, each row read from the table and written."""
    return Tally(bytes_fused=ID_BYTES * ids + 2 * ids * width * item)


@dataclass(frozen=True, slots=True)
class Attention:
    """`calls` equal attentions of `queries` × `keys` cells, of which a mask lets `useful` through.

    `causal` says that the mask is the triangle of causal self-attention. `shared_keys` says that the calls, whatever
    their number, read one and the same set of keys and values.
    """

    calls: int
    queries: int
    keys: int
    useful: int
    causal: bool = False
    shared_keys: bool = False

    @classmethod
    def causal_self(cls, calls: int, rows: int) -> Attention:
        """Return causal self-attention: row t sees itself and the t rows before it."""
        return cls(calls, rows, rows, rows * (rows + 1) // 2, causal=True)

    @classmethod
    def full(cls, calls: int, queries: int, keys: int, *, shared_keys: bool = False) -> Attention:
        """Return attention without a mask."""
        return cls(calls, queries, keys, queries * keys, shared_keys=shared_keys)


def attention(a: Attention, stack: Stack, item: int) -> Tally:
    """Return the attentions `a` with a stack's H heads of width E and its G key-value heads (G read once, not H)."""
    dense, useful = a.calls * a.queries * a.keys, a.calls * a.useful
    sets = min(a.calls, 1) if a.shared_keys else a.calls
    flops = 4 * dense * stack.width
    return Tally(
        attention_flops=flops,
        attention_flops_useful=4 * useful * stack.width,
        attention_flops_causal_half=flops // 2 if a.causal else flops,
        cells_dense=dense,
        cells_useful=useful,
        scores_dense=dense * stack.heads,
        bytes_fused=item * (2 * a.calls * a.queries * stack.width + 2 * sets * a.keys * stack.kv_width),
    )
