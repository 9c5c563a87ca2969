"""Weights and sizes small enough to follow on paper, shared by the interpreter's own tests."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from spanbench.point import Shape, Stack
from tests.oracle.arithmetic import Nested

__all__ = ["HEAD", "IDENTITY", "ONE", "SHAPE", "TABLE", "ZERO_2X2", "flat_latent", "normed", "silent_block"]

FLAT = Stack(layers=0, width=2, mlp=2, heads=1, kv_heads=1)
ONE = replace(FLAT, layers=1)
ZERO_2X2 = [[0.0, 0.0], [0.0, 0.0]]
IDENTITY = [[1.0, 0.0], [0.0, 1.0]]
SHAPE = Shape(3, False, FLAT, FLAT, FLAT, FLAT, "mean", prefix=1)
TABLE = [[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]
HEAD = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


def normed(x: float, y: float) -> tuple[float, float]:
    """RMSNorm of two numbers with weights 1, as the page writes it."""
    scale = 1 / sqrt((x * x + y * y) / 2 + 1e-6)
    return x * scale, y * scale


def silent_block(prefix: str) -> dict[str, Nested]:
    """One ungated layer that adds nothing to its rows: its products run, and its output maps are 0."""
    return {
        f"{prefix}.attention_norm.weight": [1.0, 1.0],
        f"{prefix}.attention.qkv.weight": [[1.0, 0.0]] * 6,
        f"{prefix}.attention.out.weight": ZERO_2X2,
        f"{prefix}.mlp_norm.weight": [1.0, 1.0],
        f"{prefix}.mlp.up.weight": IDENTITY,
        f"{prefix}.mlp.down.weight": ZERO_2X2,
    }


def flat_latent() -> dict[str, Nested]:
    """A latent arm without layers, pool `mean`, P = 1, whose logits are sums a reader can do."""
    return {
        "encoder_embedding.weight": TABLE,
        "encoder.pool.weight": [[2.0, 0.0], [0.0, 1.0]],
        "bridge.weight": [[0.0, 1.0], [10.0, 0.0]],
        "decoder_embedding.weight": [[100.0, 0.0], [0.0, 100.0], [100.0, 100.0]],
        "decoder.start": [[5.0, 7.0]],
        "head.weight": HEAD,
    }
