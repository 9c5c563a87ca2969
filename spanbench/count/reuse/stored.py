"""Bytes of a document kept for later, as exact integers: its tokens, the dense KV, the latents u, and the latent arm's state."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spanbench.point import Point

__all__ = ["Stored", "kv_bytes", "stored_bytes", "token_bytes"]

SMALL_VOCAB = 2**16
"""Ids of a vocabulary up to this size fit in 2 bytes; beyond it they take 4."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes of one document (all lanes of the batch).

    Attributes:
        tokens: its ids, 2 bytes each where V ≤ 65536, else 4.
        kv: keys and values of every token in every layer of the dense arm, 2·L·N·G·E.
        u: one latent a complete span, K·Z.
        mixer_kv: 2·Lm·K·G·E.
        memory_kv: with cross-attention 2·Ld·K·G·E of the decoder, else 0.
        rest: c_K, the open window's keys and values: what else a session needs in order to go on.
        open_ids: the tokens of the open span, which no latent holds.
    """

    tokens: int
    kv: int
    u: int
    mixer_kv: int
    memory_kv: int
    rest: int
    open_ids: int

    @property
    def state(self) -> int:
        """All that a latent session needs in order to go on."""
        return self.mixer_kv + self.memory_kv + self.rest + self.open_ids


def stored_bytes(point: Point) -> Stored:
    """Return the bytes of the point's N tokens, read by both arms."""
    shape, windows, batch, item = point.shape, point.windows, point.batch, point.itemsize
    spans, window = windows.complete, 2 * shape.decoder.layers * windows.open_rows * shape.decoder.kv_width
    memory = 2 * shape.decoder.layers * spans * shape.decoder.kv_width if shape.cross_attention else 0
    return Stored(
        tokens=batch * point.tokens * token_bytes(shape.vocab),
        kv=kv_bytes(point),
        u=batch * spans * shape.mixer.width * item,
        mixer_kv=batch * 2 * shape.mixer.layers * spans * shape.mixer.kv_width * item,
        memory_kv=batch * memory * item,
        rest=batch * ((shape.mixer.width if spans else 0) + window) * item,
        open_ids=batch * windows.open * token_bytes(shape.vocab),
    )


def kv_bytes(point: Point, kv_heads: int | None = None) -> int:
    """Return the bytes of the dense arm's keys and values, with as many key-value heads (None: the point's own)."""
    token = point.shape.token if kv_heads is None else replace(point.shape.token, kv_heads=kv_heads)
    return point.batch * 2 * token.layers * point.tokens * token.kv_width * point.itemsize


def token_bytes(vocab: int) -> int:
    """Return the bytes of one id on disk.

    >>> token_bytes(257), token_bytes(65536), token_bytes(65537)
    (2, 2, 4)
    """
    return 2 if vocab <= SMALL_VOCAB else 4
