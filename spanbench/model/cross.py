"""Cross-attention of the decoder to the latents: what is read (`Memory`) and the layer that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from spanbench import point
from spanbench.model.layers import KeyValues, Linear, attend

__all__ = ["CrossAttention", "Memory", "Read", "staircase"]


@dataclass(frozen=True, slots=True)
class Read:
    """One attention call a prompt: so many decoder rows read the latents, or the learned start rows."""

    rows: int
    source: Literal["latents", "start"]
    mask_RxK: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Latents (None where no span is complete), start rows, and the reads of each prompt in the order of its rows."""

    prompts: int
    latents_BxKxZ: Tensor | None
    start_PxZ: Tensor
    reads: tuple[Read, ...]
    keep: list[KeyValues] | None = None


def staircase(windows: int, rows: int, latents: int, device: torch.device) -> Tensor:
    """Return the mask (windows·rows x K) that lets window j = 1 .. `windows` read latents 1 .. j.

    The mask states its own allowed cells (`useful_cells`): on the meta device it has no contents to count.
    """
    window_R = torch.arange(windows, device=device).repeat_interleave(rows, output_size=windows * rows)
    mask_RxK = torch.arange(latents, device=device) <= window_R[:, None]
    mask_RxK.useful_cells = rows * windows * (windows + 1) // 2  # type: ignore[attr-defined]  # a note on the tensor for counters
    return mask_RxK


class CrossAttention(nn.Module):
    """Decoder rows (R x Dd) read memory rows (Z wide); keys and values once a latent, no positions."""

    def __init__(self, sizes: point.Stack, memory_width: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = sizes.heads, sizes.kv_heads, sizes.head_width
        self.q = Linear(sizes.width, sizes.width)
        self.kv = Linear(memory_width, 2 * sizes.kv_width)
        self.out = Linear(sizes.width, sizes.width)

    def forward(self, x_RxD: Tensor, memory: Memory) -> Tensor:
        kv = {source: self._keys_values(source, memory) for source in dict.fromkeys(read.source for read in memory.reads)}
        if memory.keep is not None:
            memory.keep.extend((k.contiguous(), v.contiguous()) for k, v in kv.values())
        q_RxHxE = self.q(x_RxD).unflatten(-1, (self.heads, self.head_width))
        parts = q_RxHxE.split([memory.prompts * read.rows for read in memory.reads])
        outs = [self._read(part, read, memory.prompts, kv[read.source]) for part, read in zip(parts, memory.reads, strict=True)]
        return self.out(outs[0] if len(outs) == 1 else torch.cat(outs))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _keys_values(self, source: str, memory: Memory) -> KeyValues:
        """Return k and v, W x T x G x E: one set a prompt for the latents, one for the batch for the start rows."""
        latents = memory.latents_BxKxZ
        rows_WxTxZ = latents if source == "latents" and latents is not None else memory.start_PxZ[None]
        windows, rows = rows_WxTxZ.shape[:2]
        kv = self.kv(rows_WxTxZ.flatten(0, 1)).view(windows, rows, 2 * self.kv_heads, self.head_width)
        return kv[:, :, : self.kv_heads], kv[:, :, self.kv_heads :]

    def _read(self, q_RxHxE: Tensor, read: Read, prompts: int, kv: KeyValues) -> Tensor:
        k, v = (x.expand(prompts, -1, -1, -1) for x in kv)
        return attend(q_RxHxE.unflatten(0, (prompts, read.rows)), k, v, mask=read.mask_RxK).flatten(0, 1)
