"""Decoder of the latent arm: a causal stack inside each window of prefix slots, carried tokens and own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from spanbench.model.cross import Memory, Read, Remembered, staircase
from spanbench.model.layers import Layout
from spanbench.model.stack import Fresh, Resumed, Stack
from spanbench.model.state import Keep
from spanbench.model.windows import Feed, Group
from spanbench.point import Shape

__all__ = ["Decoder", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """More rows of the open window of some lanes; the slot, one a row, is what stands in for layers where there are none."""

    holds_state: ClassVar[bool] = True

    resumed: Resumed
    slot_WxD: Tensor


class Decoder(nn.Module):
    """Embedded token rows, and what the mixer says, -> the rows that go through the head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.prefix, self.carry, self.reads_latents = shape.prefix, shape.carry, shape.cross_attention
        self.start = nn.Parameter(torch.empty(shape.prefix, shape.decoder.width))
        if self.reads_latents:
            self.start_memory = nn.Parameter(torch.empty(shape.prefix, shape.mixer.width))
        memory_width = shape.mixer.width if self.reads_latents else None
        self.stack = Stack(shape.decoder, gated=shape.gated, causal=True, memory_width=memory_width)

    def forward(
        self,
        e_RxD: Tensor,
        feed: Feed | Row,
        context: Tensor | None = None,
        keep: Keep | None = None,
        remembered: Sequence[Remembered] | None = None,
    ) -> Tensor:
        """Run all windows of a feed at once, or one more row of the open window.

        Args:
            e_RxD: embedded token rows in the order of `feed.ids`, or one a lane.
            feed: the windows, or the row.
            context: of the windows j > 0, B x K x ...: their prefix slots (P x Dd), or with cross-attention the latents
                (Z); None where no span is complete.
            keep: receives each layer's keys and values.
            remembered: what cross-attention reads, where earlier steps left it.

        Returns:
            The wanted rows in the order of the tokens: B·N x Dd in score, one a lane otherwise.
        """
        if isinstance(feed, Row):
            return self._row(e_RxD, feed)
        windows = self._windows(e_RxD, feed, None if self.reads_latents else context)
        memory = remembered or self._memory(windows, feed, context, keep)
        rows = self._layers(windows, memory, keep)
        if feed.last:
            return rows[-1][:, -1, -1]
        wanted = [self._wanted(group, part) for group, part in zip(feed.groups, rows, strict=True)]
        return torch.cat(wanted, 1).flatten(0, 1)

    def _row(self, e_WxD: Tensor, row: Row) -> Tensor:
        """Without layers a row is its embedding on top of the window's last prefix slot."""
        return self.stack(e_WxD, row.resumed) if self.stack.blocks else e_WxD + row.slot_WxD

    def _windows(self, e_RxD: Tensor, feed: Feed, slots_BxKxPxD: Tensor | None) -> list[Tensor]:
        """Put the slots in front of the token rows: for each group B x count x T x Dd."""
        parts = e_RxD.split([group.ids.numel() for group in feed.groups])
        return [
            torch.cat((self._slots(group, feed.groups[-1].first, slots_BxKxPxD), part.view(*group.ids.shape, e_RxD.shape[-1])), 2)
            for group, part in zip(feed.groups, parts, strict=True)
        ]

    def _slots(self, group: Group, last: int, slots_BxKxPxD: Tensor | None) -> Tensor:
        """Return a group's prefix slots, B x count x P x Dd: learned for window 0, the bridge's for the others.

        The bridge's slots end with those of the last window, K; they begin with window 1 (score) or K (prefill).
        """
        prompts = len(group.ids)
        if slots_BxKxPxD is None:
            return self.start.expand(prompts, group.count, -1, -1)
        if group.first > 0:
            begin = slots_BxKxPxD.shape[1] - (last - group.first + 1)
            return slots_BxKxPxD[:, begin : begin + group.count]
        return torch.cat((self.start.expand(prompts, 1, -1, -1), slots_BxKxPxD[:, : group.count - 1]), 1)

    def last_slot(self, prompts: int, slots_BxKxPxD: Tensor | None) -> Tensor:
        """Return the prefix slot nearest to the tokens of the last window (B x Dd)."""
        return self.start[-1].expand(prompts, -1) if slots_BxKxPxD is None else slots_BxKxPxD[:, -1, -1]

    def _layers(self, windows: Sequence[Tensor], memory: Memory | Sequence[Remembered] | None, keep: Keep | None) -> list[Tensor]:
        if not self.stack.blocks:
            return [self._flat(window) for window in windows]
        rows = [window.flatten(0, 2) for window in windows]
        layout = Layout(tuple((w.shape[0] * w.shape[1], w.shape[2]) for w in windows))
        x_RxD = self.stack(torch.cat(rows), Fresh(layout, None if keep is None else keep.own, memory))
        return [part.view_as(window) for part, window in zip(x_RxD.split([len(row) for row in rows]), windows, strict=True)]

    def _flat(self, window_BxJxTxD: Tensor) -> Tensor:
        """Without layers a token row is its embedding on top of the last prefix slot, and a slot is itself."""
        slots, tokens = window_BxJxTxD[:, :, : self.prefix], window_BxJxTxD[:, :, self.prefix :]
        return torch.cat((slots, slots[:, :, -1:] + tokens), 2)

    def _memory(self, windows: Sequence[Tensor], feed: Feed, latents_BxKxZ: Tensor | None, keep: Keep | None) -> Memory | None:
        if not self.reads_latents:
            return None
        latents = 0 if latents_BxKxZ is None else latents_BxKxZ.shape[1]
        reads = tuple(_read(group, window.shape[2], latents) for group, window in zip(feed.groups, windows, strict=True))
        return Memory(len(windows[0]), latents_BxKxZ, self.start_memory, reads, None if keep is None else keep.memory)

    def _wanted(self, group: Group, rows_BxJxTxD: Tensor) -> Tensor:
        """Drop what stands before the row in front of the first own token; in window 0 that row as well."""
        if group.first > 0:
            return rows_BxJxTxD[:, :, self.prefix + self.carry - 1 :].flatten(1, 2)
        return rows_BxJxTxD[:, :, self.prefix - 1 :].flatten(1, 2)[:, 1:]


def _read(group: Group, rows: int, latents: int) -> Read:
    if group.first == 0:
        return Read(rows, "start")
    if group.first == latents:
        return Read(rows, "latents")
    return Read(group.count * rows, "latents", staircase(group.count, rows, latents, group.ids.device))
