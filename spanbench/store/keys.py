"""Under which key a record lies, and which records may stand for one another: hashes of tokens and of weights, never of activations.

Activations would not do: the shape of a batch alone moves the last bits of a float32.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spanbench.model.latent import Latent
from spanbench.model.pair import Model
from spanbench.point import Shape
from spanbench.store.disk import Space

__all__ = [
    "KEY_BYTES",
    "arm_fingerprint",
    "chain_keys",
    "encoder_fingerprint",
    "mixer_fingerprint",
    "prefix_key",
    "state_space",
    "u_space",
]

KEY_BYTES = 16
_ARCHITECTURE = 1
"""Counts up when the layers change what they compute from the same weights: old records then fit no more."""


def encoder_fingerprint(model: Latent) -> str:
    """Return what identifies the latents u: a SHA-256 of the encoder's sizes, its embedding's and its own weights.

    Mixer and decoder are not part of it: a model with other ones may read the same latents.
    """
    return _fingerprint("encoder", _encoder_sizes(model), {"embedding": model.encoder_embedding, "encoder": model.encoder})


def mixer_fingerprint(model: Latent) -> str:
    """Return what identifies mixer rows (c, keys and values): the encoder and the mixer, without the decoder."""
    sizes = _encoder_sizes(model) | {"mixer": asdict(model.shape.mixer)}
    return _fingerprint("mixer", sizes, {"embedding": model.encoder_embedding, "encoder": model.encoder, "mixer": model.mixer})


def arm_fingerprint(model: Model) -> str:
    """Return what identifies the whole state of a session: the arm's sizes and all of its weights."""
    if isinstance(model, Latent):
        return _fingerprint("latent", _sizes(model.shape, "token") | {"span": model.span}, {"arm": model})
    return _fingerprint("token", {"stack": asdict(model.layers.sizes), "vocab": model.head.out_features}, {"arm": model})


def u_space(model: Latent, dtype: str) -> Space:
    """Return the space of encoder latents of this model in an element type, such as 'float16'."""
    return Space("u", encoder_fingerprint(model), model.span, dtype)


def state_space(model: Latent, dtype: str) -> Space:
    """Return the space of mixer rows of this model in an element type."""
    return Space("state", mixer_fingerprint(model), model.span, dtype)


def chain_keys(ids: Sequence[int], span: int, passes: int = 0) -> list[bytes]:
    """Return the key of each complete span's mixer row: a hash of its ids and of all spans before it.

    `passes` sets rows of extra mixer passes (refined ones) apart from those of the first.
    """
    start = _hash(b"pass" + passes.to_bytes(8, "little"))
    return list(accumulate(_spans(ids, span), lambda key, piece: _hash(key + piece), initial=start))[1:]


def prefix_key(ids: Sequence[int]) -> bytes:
    """Return the key of a whole text."""
    return _hash(_line(ids))


def _spans(ids: Sequence[int], span: int) -> Iterator[bytes]:
    line, size = _line(ids), 8 * span
    return (line[begin : begin + size] for begin in range(0, len(line) - size + 1, size))


def _line(ids: Sequence[int]) -> bytes:
    """Return ids as int64, little endian, wherever this runs."""
    return np.asarray(ids, dtype="<i8").tobytes()


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=KEY_BYTES).digest()


def _encoder_sizes(model: Latent) -> dict[str, Any]:
    shape = model.shape
    return {
        "span": model.span, "vocab": shape.vocab, "gated": shape.gated, "pool": shape.pool,
        "encoder": asdict(shape.encoder), "latent": shape.mixer.width,
    }  # fmt: skip


def _sizes(shape: Shape, without: str) -> dict[str, Any]:
    return {name: value for name, value in asdict(shape).items() if name != without}


def _fingerprint(what: str, sizes: dict[str, Any], parts: dict[str, nn.Module]) -> str:
    """Hash sizes and weights, each weight with its name, type and shape.

    Raises:
        ValueError: the model has no storage (device 'meta'), so it has no weights to tell it from another.
    """
    whole = hashlib.sha256(json.dumps({"of": what, "architecture": _ARCHITECTURE, **sizes}, sort_keys=True).encode())
    for name, weight in _weights(parts):
        if weight.is_meta:
            raise ValueError("a model on device 'meta' has no weights, so nothing tells its records from another's")
        whole.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        for piece in _pieces(weight):
            whole.update(piece)
    return whole.hexdigest()


def _weights(parts: dict[str, nn.Module]) -> Iterable[tuple[str, Tensor]]:
    return ((f"{part}.{name}", weight.detach()) for part, module in parts.items() for name, weight in module.named_parameters())


def _pieces(weight: Tensor, most: int = 2**24) -> Iterator[memoryview]:
    """Yield the weight's bytes row by row, however it is stored, in pieces that take little memory."""
    rows = weight if weight.ndim > 1 else weight[None]
    at_once = max(1, most // max(1, rows[0].numel() * weight.element_size()))
    for part in rows.split(at_once):
        yield part.contiguous().cpu().flatten().view(torch.uint8).numpy().data
