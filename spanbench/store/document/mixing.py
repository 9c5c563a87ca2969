"""Mixer rows of a document (c, and keys and values of each layer): made behind those that are stored, stored, read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.model.past import KeyValues
from spanbench.model.speak.extend import mix, put_mixed
from spanbench.model.speak.latent import LatentSession
from spanbench.store.disk import Entry, Space, Store
from spanbench.store.document.narrow import holds, narrow, stacked, to_raw

__all__ = ["Rows", "make_rows", "read_rows", "row_entries"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Mixer rows in their order: outputs c (K x Z), and keys and values (K x L x 2 x G x E); None in a mixer without layers."""

    c_KxZ: Tensor
    kv_KxLx2xGxE: Tensor | None

    def __len__(self) -> int:
        return len(self.c_KxZ)

    def pairs(self) -> list[KeyValues]:
        """Return keys and values a layer, each 1 x G x K x E."""
        if self.kv_KxLx2xGxE is None:
            return []
        kv_Lx2xGxKxE = self.kv_KxLx2xGxE.permute(1, 2, 3, 0, 4)
        return [(k[None], v[None]) for k, v in kv_Lx2xGxKxE]

    def followed_by(self, others: Rows) -> Rows:
        """Return these rows and those behind them."""
        c_KxZ = torch.cat((self.c_KxZ, others.c_KxZ))
        if self.kv_KxLx2xGxE is None or others.kv_KxLx2xGxE is None:
            return Rows(c_KxZ, None)
        return Rows(c_KxZ, torch.cat((self.kv_KxLx2xGxE, others.kv_KxLx2xGxE)))

    def put(self, session: LatentSession) -> Tensor:
        """Give the rows to a session that holds none; return c (1 x K x Z)."""
        return put_mixed(session, self.c_KxZ[None], self.pairs())


def make_rows(model: Latent, before: Rows | None, u_RxZ: Tensor, dtype: str) -> Rows:
    """Mix new latents behind the rows that are there, and return the new rows alone.

    Where the store's type is narrower than the model's, each is mixed behind rows as they will be read back, one after the
    other: else a row would depend on which others were made together with it, and so on the history of edits.

    Raises:
        UsageError: a key or value that is finite is not in the store's type.
    """
    held = 0 if before is None else len(before)
    session = LatentSession(model, [0], (held + len(u_RxZ)) * model.span)
    if before is not None:
        before.put(session)
    if holds(dtype, u_RxZ.dtype) or not session.mixer.caches:
        c_KxZ = mix(session, u_RxZ[None])[0]
    else:
        c_KxZ = torch.cat([_mixed_and_narrowed(session, u_1xZ, dtype) for u_1xZ in u_RxZ.split(1)])
    layers = [torch.stack((cache.k_BxGxTxE[0, :, held:], cache.v_BxGxTxE[0, :, held:])) for cache in session.mixer.caches]
    return Rows(c_KxZ, torch.stack(layers).permute(3, 0, 1, 2, 4) if layers else None)


def _mixed_and_narrowed(session: LatentSession, u_1xZ: Tensor, dtype: str) -> Tensor:
    """Mix one latent, and round its keys and values to the store's type before the next reads them; return c (1 x Z)."""
    c_1xZ = mix(session, u_1xZ[None])[0]
    at = session.spans[0] - 1
    places = [held[0, :, at] for cache in session.mixer.caches for held in (cache.k_BxGxTxE, cache.v_BxGxTxE)]
    for place_GxE, kept_GxE in zip(places, narrow(torch.stack(places), dtype)[0], strict=True):
        place_GxE.copy_(kept_GxE)
    return c_1xZ


def row_entries(keys: Sequence[bytes], rows: Rows, dtype: str) -> tuple[list[Entry], Rows]:
    """Return rows as records in a store's element type, and as they will be read back."""
    c_KxZ, _ = narrow(rows.c_KxZ, dtype)
    tensors = {"c": to_raw(c_KxZ)}
    kv = rows.kv_KxLx2xGxE
    if kv is not None:
        kv, _ = narrow(kv, dtype)
        tensors["kv"] = to_raw(kv)
        kv = kv.to(rows.c_KxZ.dtype)
    entries = [Entry(key, {name: raws[row] for name, raws in tensors.items()}) for row, key in enumerate(keys)]
    return entries, Rows(c_KxZ.to(rows.c_KxZ.dtype), kv)


def read_rows(store: Store, space: Space, keys: Sequence[bytes], like: Tensor) -> Rows | None:
    """Return the stored rows from the first on, up to one that is missing; None where there is not even the first."""
    held = []
    for record in store.get(space, keys):
        if record is None:
            break
        held.append(record)
    if not held:
        return None
    kv = stacked([record["kv"] for record in held], space.dtype, like) if "kv" in held[0] else None
    return Rows(stacked([record["c"] for record in held], space.dtype, like), kv)
