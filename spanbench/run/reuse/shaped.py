"""The file of a cache whose model does not run: tensors of exactly its shape, written by the code that writes every session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from spanbench.model.pair import build_pair
from spanbench.model.speak import blank_session
from spanbench.point import Point
from spanbench.store.resume.disk import write
from spanbench.store.resume.snapshot import snapshot

__all__ = ["kv_file_bytes"]


def kv_file_bytes(point: Point, kv_heads: int, folder: Path) -> int:
    """Return the bytes of the file of the dense arm's keys and values, had it so many key-value heads.

    Nothing is read: the cache holds zeros, and the format does not compress.
    """
    token = replace(point.shape.token, kv_heads=kv_heads)
    model = build_pair(replace(point, shape=replace(point.shape, token=token)), "meta").token
    kept = snapshot(blank_session(model, point.batch, point.tokens, 0))
    zeros = {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in kept.tensors.items()}
    path = write(replace(kept, tensors=zeros), folder / "shaped", f"kv-{kv_heads}", logits=None, fingerprint="0" * 64)
    size = path.stat().st_size
    path.unlink()  # such a file may be as large as memory, and nobody reads it
    return size
