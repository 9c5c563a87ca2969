"""How long `spanbench.count_module` takes on a 7B-class decoder on meta, beside a plain forward of it there.

    python benchmarks/count_module.py [--tokens 2048] [--repeats 3] [--huggingface]

The module is written out below, in torch alone: 32 layers of width 4096, gated MLP 11008, RMSNorm, RoPE, vocabulary 32,000.
`--huggingface` counts transformers' own Llama of that size instead, where it is installed. Imports are not timed; making the
module is timed apart. The first count is the one a user waits for, so it is printed by itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spanbench import count_module

WIDTH, HEADS, MLP, LAYERS, VOCAB = 4096, 32, 11008, 32, 32000
LIMIT = 1.5
"""Seconds after imports that the first count may take."""


def turned(x_BxHxTxE: Tensor) -> Tensor:
    """RoPE."""
    rows, width = x_BxHxTxE.shape[-2:]
    inverse = 10000.0 ** (-torch.arange(0, width, 2, device=x_BxHxTxE.device) / width)
    angles = torch.arange(rows, device=x_BxHxTxE.device)[:, None] * inverse
    left, right = x_BxHxTxE.chunk(2, -1)
    return torch.cat((left * angles.cos() - right * angles.sin(), right * angles.cos() + left * angles.sin()), -1)


class Layer(nn.Module):
    """Pre-norm attention and gated MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(WIDTH, MLP, bias=False) for _ in range(2))
        self.down = nn.Linear(MLP, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        y = self.norm1(x)
        q, k, v = (part(y).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        x = x + self.o(F.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True).transpose(1, 2).flatten(2))
        y = self.norm2(x)
        out: Tensor = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return out


def written_out() -> nn.Module:
    """Return the module of this file."""
    layers = [Layer() for _ in range(LAYERS)]
    return nn.Sequential(nn.Embedding(VOCAB, WIDTH), *layers, nn.RMSNorm(WIDTH), nn.Linear(WIDTH, VOCAB, bias=False))


def from_huggingface() -> nn.Module:
    """Return transformers' Llama, whose configuration is 7B unless told otherwise."""
    import transformers  # type: ignore[import-not-found,unused-ignore]

    model: nn.Module = transformers.LlamaForCausalLM(transformers.LlamaConfig())
    return model.eval()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and the result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    """Print the times and what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--huggingface", action="store_true")
    given = parser.parse_args()
    with torch.device("meta"):
        making, module = timed(from_huggingface if given.huggingface else written_out)
    ids = torch.zeros(1, given.tokens, dtype=torch.int64, device="meta")
    first, counted = timed(lambda: count_module(module, ids))
    again = min(timed(lambda: count_module(module, ids))[0] for _ in range(given.repeats))
    with torch.inference_mode():
        plain = min(timed(lambda: module(ids))[0] for _ in range(given.repeats))
    print(f"{counted.params:,} parameters, {counted.flops:,} FLOP, {sum(counted.calls.values()):,} operations")
    print(f"first count {first:.2f} s (limit {LIMIT} s), again {again:.2f} s")
    print(f"beside it: making the module on meta {making:.2f} s, a plain forward there {plain:.2f} s")


if __name__ == "__main__":
    main()
