"""Latents of the same spans by two encoders, as two stores hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from spanbench.errors import NothingMeasured, SpanbenchError, UsageError
from spanbench.store.disk import Space, SpaceMismatch, Store
from spanbench.store.document.manifest import Manifest
from spanbench.store.document.reading import read_latents
from spanbench.store.spans import span_keys

__all__ = ["FEWEST", "OtherSpan", "Side", "TooFewPairs", "paired", "side"]

FEWEST = 8
"""Pairs below which a held-out quarter is a pair or none."""


class TooFewPairs(NothingMeasured):
    """The stores have no spans in common, or too few to fit a map and to test it."""


class OtherSpan(SpanbenchError):
    """The encoders make a latent of unequal numbers of tokens, so no latent of one stands for one of the other."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: a store, how its user calls it, and whose latents it holds."""

    store: Store
    folder: str
    space: Space


def side(store: Store, folder: str) -> Side:
    """Return a store's latents.

    Raises:
        TooFewPairs: the store holds no latents.
        SpaceMismatch: it holds those of several encoders, as one that was put together by hand may.
    """
    held = [space for space in store.spaces() if space.kind == "u"]
    if not held:
        raise TooFewPairs(f"{folder!r} holds no latents; spanbench store add adds a document")
    if len(held) > 1:
        raise SpaceMismatch(f"{folder!r} holds {'; '.join(map(str, held))}; adapt needs a store of one encoder, span and dtype")
    return Side(store, folder, held[0])


def paired(source: Side, target: Side) -> tuple[Tensor, Tensor]:
    """Return both encoders' latents (K x Za, K x Zb; float64) of each span of a stored document that both hold, once each.

    A pair is a span of the same token ids; a store does not know whether both models' tokenizers mean the same by them.

    Raises:
        UsageError: both are latents of one encoder.
        OtherSpan: the spans are not of one length.
        TooFewPairs: fewer than 8 spans are in both.
        CorruptStore: a record, or what is noted of a document, is not what was written.
    """
    _check(source.space, target.space)
    asked = list(dict.fromkeys(_keys(source) + _keys(target)))
    both = zip(asked, source.store.has(source.space, asked), target.store.has(target.space, asked), strict=True)
    keys = [key for key, one, other in both if one and other]
    if len(keys) < FEWEST:
        have = f"{len(keys)} span{'' if len(keys) == 1 else 's'} in common" if keys else "no span in common"
        raise TooFewPairs(f"{source.folder!r} and {target.folder!r} have {have}; add the same texts to both, of {FEWEST} spans at least")
    return _latents(source, keys), _latents(target, keys)


def _check(one: Space, other: Space) -> None:
    if one.fingerprint == other.fingerprint:
        raise UsageError(f"both sides are latents of encoder {one.fingerprint[:12]}: there is nothing to adapt; take two encoders")
    if one.span != other.span:
        raise OtherSpan(f"spans of {one.span} and of {other.span} tokens: no latent stands for the same tokens; take encoders of one span")


def _keys(one: Side) -> list[bytes]:
    """Return the keys of all complete spans of a store's documents, whichever encoder they were written with."""
    keys: list[bytes] = []
    for name in one.store.documents():
        keys += span_keys(Manifest.from_document(one.store.document(name)).ids, one.space.span)
    return keys


def _latents(one: Side, keys: list[bytes]) -> Tensor:
    return read_latents(one.store, one.space, one.folder, keys, torch.empty(0, dtype=torch.float64), {})
