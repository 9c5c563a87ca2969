"""The shared layer and stacks of it (docs/architecture.md, "The shared layer"): work and parameters."""

from __future__ import annotations

from collections.abc import Iterable

from spanbench.count.formula.units import Attention, attention, norm, product, times
from spanbench.point import Stack
from spanbench.tally import Tally, total

__all__ = ["cross_params", "cross_work", "stack_params", "stack_work"]


def stack_work(stack: Stack, *, gated: bool, rows: int, attentions: Iterable[Attention], item: int) -> Tally:
    """Return L layers over `rows` rows (the whole batch's), whose self-attention is `attentions`, and the closing norm."""
    if not (stack.layers and rows):
        return Tally()
    d, up = stack.width, (2 if gated else 1) * stack.mlp
    layer = total(
        [
            times(2, norm(rows, d, item)),
            product(rows, d, d + 2 * stack.kv_width, item),
            *(attention(a, stack, item) for a in attentions),
            product(rows, d, d, item),
            product(rows, d, up, item),
            product(rows, stack.mlp, d, item),
            Tally(mlp_rows=rows),
        ]
    )
    return times(stack.layers, layer) + norm(rows, d, item)


def cross_work(stack: Stack, *, rows: int, memories: Iterable[int], latent: int, attentions: Iterable[Attention], item: int) -> Tally:
    """Return what cross-attention adds to L layers over `rows` rows.

    `memories` are the latent rows (width `latent`) of each memory whose keys and values are computed; the start memory
    is one of its own. `attentions` read them.
    """
    d = stack.width
    layer = total(
        [
            norm(rows, d, item),
            product(rows, d, d, item),
            *(product(memory, latent, 2 * stack.kv_width, item) for memory in memories),
            *(attention(a, stack, item) for a in attentions),
            product(rows, d, d, item),
        ]
    )
    return times(stack.layers, layer)


def stack_params(stack: Stack, *, gated: bool) -> int:
    """Return the parameters of L layers (qkv, out, MLP, two norms) and of the closing norm, which a stack of none lacks."""
    d = stack.width
    layer = d * (d + 2 * stack.kv_width) + d * d + (3 if gated else 2) * d * stack.mlp + 2 * d
    return stack.layers * layer + (d if stack.layers else 0)


def cross_params(stack: Stack, latent: int) -> int:
    """Return the parameters that cross-attention adds to L layers: q, out, one norm, and kv from width `latent`."""
    d = stack.width
    return stack.layers * (2 * d * d + 2 * latent * stack.kv_width + d)
