"""Records of a document read back: latents and mixer rows, or one clear line where some are not in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.store.disk import Space, Store
from spanbench.store.document.faults import MissingLatents, refining, restoring
from spanbench.store.document.mixing import Rows, read_rows
from spanbench.store.document.narrow import stacked

__all__ = ["picked", "read_latents", "read_state"]


def read_latents(store: Store, space: Space, name: str, keys: Sequence[bytes], like: Tensor, fresh: Mapping[bytes, Tensor]) -> Tensor:
    """Return the latents u (K x Z) of a text's spans, from the store or of those made just now, in the type of `like`.

    Raises:
        MissingLatents: some are in neither.
    """
    stored = [key for key in dict.fromkeys(keys) if key not in fresh]
    raws = [record["u"] for record in store.get(space, stored) if record is not None]
    if len(raws) < len(stored):
        raise MissingLatents(
            f"document {name!r}: {len(stored) - len(raws)} of its {len(keys)} latents are not in the store; {restoring(name)}"
        )
    held = dict(fresh) | dict(zip(stored, stacked(raws, space.dtype, like) if raws else (), strict=True))
    return torch.stack([held[key] for key in keys]) if keys else like.new_empty(0, 0)


def read_state(store: Store, space: Space, name: str, keys: Sequence[bytes], like: Tensor, passes: int) -> Rows:
    """Return all mixer rows of a text.

    Raises:
        MissingLatents: some are not in the store.
    """
    rows = read_rows(store, space, keys, like)
    if rows is None or len(rows) < len(keys):
        there = 0 if rows is None else len(rows)
        what, how = (f"of extra pass {passes} ", refining(name, passes)) if passes else ("", restoring(name, state=True))
        raise MissingLatents(f"document {name!r}: only the first {there} of its {len(keys)} mixer rows {what}are in the store; {how}")
    return rows


def picked(u_KxZ: Tensor, keep: Sequence[int] | None, where: str) -> Tensor:
    """Return the latents of some spans, in the order of the text; None keeps all.

    Raises:
        UsageError: there is no such span, or none is kept.
    """
    if keep is None:
        return u_KxZ
    chosen = sorted(set(keep))
    if not chosen or chosen[0] < 0 or chosen[-1] >= len(u_KxZ):
        raise UsageError(f"{where}: cannot keep spans {chosen} of {len(u_KxZ)}; take at least one of 0 .. {len(u_KxZ) - 1}")
    return u_KxZ[chosen]
