"""Cross-attention of the decoder to the latents: what is read (`Memory`) and the layer that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from spanbench import point
from spanbench.model.layers import KeyValues, Linear, attend
from spanbench.model.past import Cache, Spot, owned

__all__ = ["CrossAttention", "Memory", "Read", "Remembered", "staircase"]


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


@dataclass(frozen=True, slots=True)
class Remembered:
    """One layer's keys and values of a memory that earlier steps left, for the next rows of each lane.

    `latent_WxZ`, where given, is one more latent a lane, whose keys and values are appended first; or as many of each
    lane, one lane after the other, as the spot has rows.
    """

    rows: int
    kept: Cache | KeyValues
    spot: Spot | None = None
    latent_WxZ: Tensor | None = None


class CrossAttention(nn.Module):
    """Decoder rows (R x Dd) read memory rows (Z wide); keys and values once a latent, no positions."""

    def __init__(self, sizes: point.Stack, memory_width: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = sizes.heads, sizes.kv_heads, sizes.head_width
        self.q = Linear(sizes.width, sizes.width)
        self.kv = Linear(memory_width, 2 * sizes.kv_width)
        self.out = Linear(sizes.width, sizes.width)

    def forward(self, x_RxD: Tensor, memory: Memory | Remembered) -> Tensor:
        q_RxHxE = self.q(x_RxD).unflatten(-1, (self.heads, self.head_width))
        outs = [self._recall(q_RxHxE, memory)] if isinstance(memory, Remembered) else self._read_all(q_RxHxE, memory)
        return self.out(outs[0] if len(outs) == 1 else torch.cat(outs))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _read_all(self, q_RxHxE: Tensor, memory: Memory) -> list[Tensor]:
        """Make keys and values once for each source that is read, then read."""
        kv = {source: self._source(source, memory) for source in dict.fromkeys(read.source for read in memory.reads)}
        if memory.keep is not None:
            memory.keep.extend(owned(k, v) for k, v in kv.values())
        parts = q_RxHxE.split([memory.prompts * read.rows for read in memory.reads])
        return [self._attend(part, read.rows, kv[read.source], read.mask_RxK) for part, read in zip(parts, memory.reads, strict=True)]

    def _recall(self, q_RxHxE: Tensor, memory: Remembered) -> Tensor:
        if not isinstance(memory.kept, Cache) or memory.spot is None:
            return self._attend(q_RxHxE, memory.rows, memory.kept, None)  # type: ignore[arg-type]  # a pair: no spot comes with it
        if memory.latent_WxZ is None:
            kv = memory.kept.read(memory.spot)
        else:
            kv = memory.kept.extend(*self._keys_values(_by_lane(memory.latent_WxZ, memory.spot)), memory.spot)
        return self._attend(q_RxHxE, memory.rows, kv, memory.spot.mask)

    def _source(self, source: str, memory: Memory) -> KeyValues:
        """Return k and v: one set a prompt for the latents, one for the batch for the start rows."""
        latents = memory.latents_BxKxZ
        return self._keys_values(latents if source == "latents" and latents is not None else memory.start_PxZ[None])

    def _keys_values(self, rows_WxTxZ: Tensor) -> KeyValues:
        windows, rows = rows_WxTxZ.shape[:2]
        kv = self.kv(rows_WxTxZ.flatten(0, 1)).view(windows, rows, 2 * self.kv_heads, self.head_width).transpose(1, 2)
        return kv[:, : self.kv_heads], kv[:, self.kv_heads :]

    def _attend(self, q_RxHxE: Tensor, rows: int, kv: KeyValues, mask: Tensor | None) -> Tensor:
        """Let `rows` query rows of each prompt read its keys and values (one set may serve all prompts)."""
        q_WxHxTxE = q_RxHxE.unflatten(0, (-1, rows)).transpose(1, 2)
        k, v = (x.expand(len(q_WxHxTxE), -1, -1, -1) for x in kv)
        return attend(q_WxHxTxE, k, v, mask=mask).flatten(0, 1)


def _by_lane(latent_RxZ: Tensor, spot: Spot) -> Tensor:
    """Return new latents as W x rows x Z."""
    return latent_RxZ[:, None] if spot.rows == 1 else latent_RxZ.unflatten(0, (-1, spot.rows))
