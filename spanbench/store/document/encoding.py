"""Which spans of a text must be encoded, and their latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.store.disk import Space, Store
from spanbench.store.spans import span_keys

__all__ = ["AT_ONCE", "Sorted", "encode", "sort_spans"]

AT_ONCE = 256
"""Spans that are encoded together at most: memory stays small, and matrices are large enough."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """The spans of a text by what must be done for them.

    Attributes:
        keys: of all complete spans, in their order.
        encode: the first span of each content that the store does not hold.
        kept: how many stand where they stood and are held.
        same: how many spans the old and the new text have in common from the beginning on.
        dropped: how many spans of the old text have a content that the new one has not.
    """

    keys: list[bytes]
    encode: list[int]
    kept: int
    same: int
    dropped: int


def sort_spans(store: Store, space: Space, ids: Sequence[int], old: Sequence[int]) -> Sorted:
    """Compare a text with the store, and with what the document was before."""
    keys, before = span_keys(ids, space.span), span_keys(old, space.span)
    different = list(dict.fromkeys(keys))
    held = {key for key, has in zip(different, store.has(space, different), strict=True) if has}
    first = {key: at for at, key in reversed(list(enumerate(keys)))}
    pairs = list(zip(keys, before, strict=False))  # one of the texts may have more
    now = set(keys)
    return Sorted(
        keys=keys,
        encode=sorted(at for key, at in first.items() if key not in held),
        kept=sum(new == was and new in held for new, was in pairs),
        same=sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)),
        dropped=sum(key not in now for key in before),
    )


def encode(model: Latent, spans: Sequence[Sequence[int]]) -> Tensor:
    """Return the latents u (K x Z) of whole spans; nothing from outside a span enters its latent."""
    device = model.head.weight.device
    parts = [model.head.weight.new_empty(0, model.shape.mixer.width)]
    with torch.inference_mode():
        for begin in range(0, len(spans), AT_ONCE):
            ids_KxS = torch.tensor([list(span) for span in spans[begin : begin + AT_ONCE]], dtype=torch.int64, device=device)
            parts.append(model.encoder(model.encoder_embedding(ids_KxS.flatten())))
        return torch.cat(parts)
