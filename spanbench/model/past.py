"""What a stack remembers between steps: preallocated keys and values, and where the next row goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from spanbench import point
from spanbench.model.rotary import rotary_table

__all__ = ["Cache", "KeyValues", "Past", "Spot", "behind", "owned"]

KeyValues = tuple[Tensor, Tensor]
"""Keys and values of one layer, each W x G x T x E, keys already rotated."""


def owned(k: Tensor, v: Tensor) -> KeyValues:
    """Copy keys and values out of the products they are views of, so that keeping them keeps nothing else."""
    return k.contiguous(), v.contiguous()


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of one layer, B x G x capacity x E each; rows beyond a lane's length hold nothing."""

    holds_state: ClassVar[bool] = True

    k_BxGxTxE: Tensor
    v_BxGxTxE: Tensor

    def extend(self, k_WxGxTxE: Tensor, v_WxGxTxE: Tensor, spot: Spot) -> KeyValues:
        """Write the spot's rows of each lane, and return all rows up to the last of them."""
        return self._one(self.k_BxGxTxE, k_WxGxTxE, spot), self._one(self.v_BxGxTxE, v_WxGxTxE, spot)

    def read(self, spot: Spot) -> KeyValues:
        """Return all rows that the lanes hold."""
        return spot.read(self.k_BxGxTxE), spot.read(self.v_BxGxTxE)

    @staticmethod
    def _one(kept_BxGxTxE: Tensor, rows_WxGxTxE: Tensor, spot: Spot) -> Tensor:
        if spot.positions is None:
            kept_BxGxTxE[:, :, spot.end - spot.rows : spot.end].copy_(rows_WxGxTxE)
        else:
            kept_BxGxTxE[spot.lanes, :, spot.positions] = rows_WxGxTxE[:, :, 0]
        return spot.read(kept_BxGxTxE)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the next row of some lanes goes, and what it may look at; shared by all layers of a stack.

    Lanes of equal length are slices (`positions` None); ragged ones, or a part of the batch, are indexed and masked.
    Only slices take several rows of each lane at once: `causal` where they are the first, else the mask lets each see
    those before it.
    """

    holds_state: ClassVar[bool] = True

    end: int
    turn: Tensor
    positions: Tensor | None = None
    lanes: Tensor | None = None
    mask: Tensor | None = None
    rows: int = 1
    causal: bool = False

    def read(self, kept_BxGxTxE: Tensor) -> Tensor:
        """Return the rows 0 .. end-1 of these lanes."""
        kept = kept_BxGxTxE[:, :, : self.end]
        return kept if self.positions is None else kept[self.lanes]


def behind(held: int, rows: int, device: torch.device) -> Tensor:
    """Return the mask (R x T) that lets row i of `rows` new ones see the `held` ones before them, and the new ones up to i.

    The mask states its own allowed cells (`useful_cells`): on the meta device it has no contents to count.
    """
    mask_RxT = torch.arange(held + rows, device=device) <= torch.arange(held, held + rows, device=device)[:, None]
    mask_RxT.useful_cells = rows * held + rows * (rows + 1) // 2  # type: ignore[attr-defined]  # a note on the tensor for counters
    return mask_RxT


@dataclass(slots=True)
class Past:
    """One stack's caches, a layer each, and how many rows each lane of the batch has filled.

    `moved` counts the rows of one layer that were read or written since it was last set to 0.
    """

    holds_state: ClassVar[bool] = True

    caches: list[Cache]
    lengths: list[int]
    turn_TxE: Tensor
    moved: int = 0

    @classmethod
    def blank(cls, sizes: point.Stack, lengths: Sequence[int], capacity: int, like: Tensor) -> Past:
        """Return caches for `capacity` rows a lane, of which `lengths` count as filled (with anything)."""
        shape = (len(lengths), sizes.kv_heads, capacity, sizes.head_width)
        caches = [Cache(like.new_zeros(shape), like.new_zeros(shape)) for _ in range(sizes.layers)]
        return cls(caches, list(lengths), rotary_table(capacity, sizes.head_width, like))

    def fill(self, lanes: Sequence[int], kept: Sequence[KeyValues], rows: int) -> None:
        """Put the keys and values of T = `rows` rows (W x G x T x E a layer) in front of some lanes, and forget the rest."""
        index = None if len(lanes) == len(self.lengths) else list(lanes)
        for cache, (k, v) in zip(self.caches, kept, strict=True):
            for held, new in ((cache.k_BxGxTxE, k), (cache.v_BxGxTxE, v)):
                held[slice(None) if index is None else index, :, :rows] = new
        for lane in lanes:
            self.lengths[lane] = rows
        self.moved += rows * len(lanes)

    def spot(self, lanes: Sequence[int]) -> Spot:
        """Return where the next row of these lanes goes, and count it as filled.

        Raises:
            ValueError: a lane is full; a slice past the end would be empty and fail silently.
        """
        room = len(self.turn_TxE)
        if max(self.lengths[lane] for lane in lanes) >= room:
            raise ValueError(f"the session has room for {room} rows a lane and no more; open it for more steps")
        for lane in lanes:
            self.lengths[lane] += 1
        return self.look(lanes)  # what it reads counts the row that is written

    def grow(self, rows: int, *, causal: bool = True) -> Spot:
        """Return where the next rows of all lanes go, and count them as filled; causal: each sees none behind itself.

        Raises:
            ValueError: the lanes have different lengths, or no room for so many rows.
        """
        held, room = self.lengths[0], len(self.turn_TxE)
        if min(self.lengths) != max(self.lengths):
            raise ValueError(f"lanes of different lengths take one row at a time, these hold {sorted(set(self.lengths))}")
        if held + rows > room:
            raise ValueError(f"the session has room for {room} rows a lane and no more; open it for more steps")
        end = held + rows
        self.lengths = [end] * len(self.lengths)
        self.moved += end * len(self.lengths)
        causal = causal and rows > 1  # one row has none behind it
        mask_RxT = behind(held, rows, self.turn_TxE.device) if causal and held else None
        return Spot(end, self.turn_TxE[held:end], mask=mask_RxT, rows=rows, causal=causal and not held)

    def look(self, lanes: Sequence[int]) -> Spot:
        """Return what these lanes hold; the last row of each is where `Cache.extend` writes."""
        ends = [self.lengths[lane] for lane in lanes]
        end = max(ends)
        self.moved += sum(ends)
        if len(lanes) == len(self.lengths) and min(ends) == end:
            return Spot(end, self.turn_TxE[end - 1 : end])
        device = self.turn_TxE.device
        last = torch.tensor(ends, device=device) - 1
        mask_Wx1x1xT = (torch.arange(end, device=device) <= last[:, None])[:, None, None]
        return Spot(end, self.turn_TxE[last][:, None], last, torch.tensor(list(lanes), device=device), mask_Wx1x1xT)

    def bytes(self) -> int:
        """Return the bytes of the rows that are filled, in all layers."""
        return self._row_bytes * sum(self.lengths)

    def moved_bytes(self) -> int:
        """Return the bytes of the rows that were read or written, in all layers."""
        return self._row_bytes * self.moved

    @property
    def _row_bytes(self) -> int:
        held = [kept for cache in self.caches for kept in (cache.k_BxGxTxE, cache.v_BxGxTxE)]
        return sum(kept.element_size() * kept.shape[1] * kept.shape[3] for kept in held)
