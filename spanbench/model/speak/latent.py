"""The latent arm one token a step, or several at once: mixer keys and values, the open window's, and the open span's ids.

Encoder and mixer run only in a closing step, once every S tokens of a lane (docs/architecture.md, "Speaking").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spanbench.model.cross import Remembered
from spanbench.model.decoder import Row
from spanbench.model.latent import Latent
from spanbench.model.past import KeyValues, Past, Spot
from spanbench.model.speak.extend import check_reading, extend
from spanbench.model.stack import Resumed
from spanbench.model.state import Keep, State
from spanbench.model.windows import Feed, Group
from spanbench.tally import Kept

__all__ = ["LatentSession"]


class LatentSession:
    """A batch of lanes, each with its own number of tokens read (`lengths`), with room for `capacity`."""

    def __init__(self, model: Latent, lengths: Sequence[int], capacity: int) -> None:
        shape, like, span = model.shape, model.head.weight, model.span
        self.model = model
        self.spans = [length // span for length in lengths]
        self.opened = [length % span for length in lengths]
        rows = [shape.prefix + shape.carry * (spans > 0) + opened for spans, opened in zip(self.spans, self.opened, strict=True)]
        self.mixer = Past.blank(shape.mixer, self.spans, max(1, capacity // span), like)
        self.local = Past.blank(shape.decoder, rows, shape.prefix + shape.carry + span - 1, like)
        self.memory = Past.blank(shape.decoder, self.spans, max(1, capacity // span), like) if shape.cross_attention else None
        self.start_memory: list[KeyValues] = self._blank_start() if self.memory is not None and not all(self.spans) else []
        self.start_read = False
        self.latent_BxZ = like.new_zeros(len(lengths), shape.mixer.width)
        self.slot_BxD = like.new_zeros(len(lengths), shape.decoder.width)
        self.ids_BxS = torch.zeros(len(lengths), span, dtype=torch.int64, device=like.device)

    def _blank_start(self) -> list[KeyValues]:
        sizes, like = self.model.shape.decoder, self.model.head.weight
        rows = (1, sizes.kv_heads, self.model.shape.prefix, sizes.head_width)
        return [(like.new_zeros(rows), like.new_zeros(rows)) for _ in range(sizes.layers)]

    def take(self, lanes: Sequence[int], ids_WxN: Tensor, state: State) -> None:
        """Let some lanes go on from what a prefill of equal lengths left."""
        tokens, index = int(ids_WxN.shape[1]), list(lanes)
        spans = tokens // self.model.span
        if spans:
            self.mixer.fill(lanes, state.kv["mixer"], spans)
        self.local.fill(lanes, state.kv["decoder"], self.local.lengths[index[0]])
        if self.memory is not None and spans:
            self.memory.fill(lanes, state.memory, spans)
        elif self.memory is not None:
            self.start_memory = state.memory
        for latent_WxZ in state.other["mixer"]:
            self.latent_BxZ[index] = latent_WxZ
        self.ids_BxS[index, : tokens % self.model.span] = state.other["decoder"][0]
        if not self.model.decoder.stack.blocks:  # only there is the slot needed again: no bridge runs twice for nothing
            context = self.model.context(self.latent_BxZ[index][:, None]) if spans else None
            self.slot_BxD[index] = self.model.decoder.last_slot(len(index), context)

    def step(self, ids_B: Tensor) -> Tensor:
        """Read one more token a lane; return the logits of the next (B x V)."""
        self.forget_traffic()
        self._note(ids_B)
        groups = self._phases()
        parts = [self._close(lanes) if closing else self._row(lanes) for closing, lanes in groups]
        return self.model.head(self._in_order([lanes for _, lanes in groups], parts))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _in_order(self, groups: Sequence[Sequence[int]], parts: Sequence[Tensor]) -> Tensor:
        """Put the rows of the groups where their lanes are (B x Dd); one group is the whole batch."""
        if len(parts) == 1:
            return parts[0]
        rows_BxD = torch.empty_like(self.slot_BxD)
        for lanes, part in zip(groups, parts, strict=True):
            rows_BxD[list(lanes)] = part
        return rows_BxD

    def _note(self, ids_B: Tensor) -> None:
        """Write the new ids behind the open ones of each lane."""
        if min(self.opened) == max(self.opened):
            self.ids_BxS[:, self.opened[0]] = ids_B
        else:
            self.ids_BxS[range(len(self.opened)), self.opened] = ids_B
        self.opened = [opened + 1 for opened in self.opened]

    def _phases(self) -> list[tuple[bool, list[int]]]:
        """Group the lanes that do the same work in this step: those that close a span, and the others.

        With cross-attention the others differ in what they read before and after their first span.
        """
        groups: dict[tuple[bool, bool], list[int]] = {}
        for lane, (spans, opened) in enumerate(zip(self.spans, self.opened, strict=True)):
            closing = opened == self.model.span
            groups.setdefault((closing, self.memory is not None and not closing and spans == 0), []).append(lane)
        return [(closing, lanes) for (closing, _), lanes in groups.items()]

    def _of(self, tensor_Bx: Tensor, lanes: list[int]) -> Tensor:
        return tensor_Bx if len(lanes) == len(tensor_Bx) else tensor_Bx[lanes]

    def _row(self, lanes: list[int]) -> Tensor:
        """An ordinary step: one decoder row behind the open window (W x Dd)."""
        last = self.opened[lanes[0]] - 1
        same = all(self.opened[lane] == last + 1 for lane in lanes)
        ids_WxS = self._of(self.ids_BxS, lanes)
        ids_W = ids_WxS[:, last] if same else ids_WxS[range(len(lanes)), [self.opened[lane] - 1 for lane in lanes]]
        resumed = Resumed(self.local, self.local.spot(lanes), self._remembered(lanes))
        return self.model.decoder(self.model.decoder_embedding(ids_W), Row(resumed, self._of(self.slot_BxD, lanes)))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _remembered(self, lanes: list[int]) -> list[Remembered] | None:
        if self.memory is None:
            return None
        if not self.spans[lanes[0]]:
            self.start_read = True
            return [Remembered(1, pair) for pair in self.start_memory]
        spot = self.memory.look(lanes)
        return [Remembered(1, cache, spot) for cache in self.memory.caches]

    def _close(self, lanes: list[int]) -> Tensor:
        """A closing step: encode the span, mix one row, and open the next window with its slots and carried tokens."""
        model, ids_WxS = self.model, self._of(self.ids_BxS, lanes)
        u_WxZ = model.encoder(model.encoder_embedding(ids_WxS.flatten()))
        c_WxZ = model.mixer(u_WxZ, Resumed(self.mixer, self.mixer.spot(lanes)))
        feed = Feed((Group(1, ids_WxS[:, None, model.span - model.carry :]),), last=True)
        context = model.context(c_WxZ[:, None]) if self.memory is None else None
        keep = Keep()
        e_RxD = model.decoder_embedding(feed.ids)
        row_WxD = model.decoder(e_RxD, feed, context, keep, self._appended(lanes, c_WxZ))
        self._reopen(lanes, c_WxZ, context, keep)
        return row_WxD  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def _appended(self, lanes: list[int], c_WxZ: Tensor) -> list[Remembered] | None:
        if self.memory is None:
            return None
        spot: Spot = self.memory.spot(lanes)
        rows = self.model.shape.prefix + self.model.carry
        return [Remembered(rows, cache, spot, c_WxZ) for cache in self.memory.caches]

    def _reopen(self, lanes: list[int], c_WxZ: Tensor, context: Tensor | None, keep: Keep) -> None:
        """Drop the closed window's keys and values for the new one's."""
        self.local.fill(lanes, keep.own, self.model.shape.prefix + self.model.carry)
        self.latent_BxZ[lanes] = c_WxZ
        if not self.model.decoder.stack.blocks:
            self.slot_BxD[lanes] = self.model.decoder.last_slot(len(lanes), context)
        for lane in lanes:
            self.spans[lane] += 1
            self.opened[lane] = 0

    def read(self, ids_BxQ: Tensor) -> Tensor:
        """Read Q >= 1 more tokens of each lane at once; return the logits of the next (B x V). Lanes must be of equal length.

        Raises:
            ValueError: lanes of different lengths, no token, or no room for so many spans.
        """
        check_reading([spans * self.model.span + opened for spans, opened in zip(self.spans, self.opened, strict=True)], ids_BxQ)
        if ids_BxQ.shape[1] == 1:
            return self.step(ids_BxQ[:, 0])
        self.forget_traffic()
        return self.model.head(extend(self, ids_BxQ))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def hold(self, text_BxN: Tensor) -> None:
        """Take the text for what was read: its open ids are kept (lanes of equal length)."""
        self.ids_BxS[:, : self.opened[0]] = text_BxN[:, text_BxN.shape[1] - self.opened[0] :]

    def mark(self) -> Callable[[], None]:
        """Return a call that takes the session back to this point.

        Mixer rows written later are overwritten when it goes on; what a closing step replaces is kept aside here.
        """
        counters = [list(self.spans), list(self.opened)]
        pasts = [past for past in (self.mixer, self.local, self.memory) if past is not None]
        lengths = [list(past.lengths) for past in pasts]
        held = [kept for cache in self.local.caches for kept in (cache.k_BxGxTxE, cache.v_BxGxTxE)]
        held += [self.latent_BxZ, self.slot_BxD, self.ids_BxS]
        copies = [tensor.clone() for tensor in held]

        def rewind() -> None:
            self.spans, self.opened = (list(counter) for counter in counters)
            for past, length in zip(pasts, lengths, strict=True):
                past.lengths = list(length)
            for tensor, copy in zip(held, copies, strict=True):
                tensor.copy_(copy)

        return rewind

    def forget_traffic(self) -> None:
        """Count what is read and written from here on."""
        for past in (self.mixer, self.local, self.memory):
            if past is not None:
                past.moved = 0
        self.start_read = False

    def kept(self) -> Kept:
        """Return the bytes of the state by stage, and what the last step read and wrote."""
        item, width = self.latent_BxZ.element_size(), self.model.shape.mixer.width
        latents = sum(spans > 0 for spans in self.spans) * width * item
        ids = sum(self.opened) * self.ids_BxS.element_size()
        kv = {"mixer": self.mixer.bytes(), "decoder": self.local.bytes() + self._memory_bytes()}
        moved = {"mixer": self.mixer.moved_bytes(), "decoder": self.local.moved_bytes() + self._memory_moved_bytes()}
        return Kept(kv, {"mixer": latents, "decoder": ids}, moved)

    def _memory_bytes(self) -> int:
        """Return the bytes of the memory's rows; start rows are one set for all lanes that read it."""
        if self.memory is None:
            return 0
        return self.memory.bytes() + (0 if all(self.spans) else self._start_bytes())

    def _memory_moved_bytes(self) -> int:
        if self.memory is None:
            return 0
        return self.memory.moved_bytes() + (self._start_bytes() if self.start_read else 0)

    def _start_bytes(self) -> int:
        shape = self.model.shape
        return 2 * shape.decoder.layers * shape.prefix * shape.decoder.kv_width * self.latent_BxZ.element_size()
