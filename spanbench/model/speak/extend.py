"""Several tokens at once behind what a session holds, in the parts that a store of latents needs one by one.

A session of the latent arm is what its mixer's rows are, and one open window. `mix` runs the mixer over new latents behind
the rows that are there, `forget` drops rows from one on (an edit), and `open_window` decodes the window behind the last.
Lanes are of equal length throughout: their rows are slices of the caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spanbench.model.cross import Remembered
from spanbench.model.decoder import Row
from spanbench.model.past import KeyValues
from spanbench.model.stack import Resumed
from spanbench.model.state import Keep
from spanbench.model.windows import Feed, Group

if TYPE_CHECKING:
    from spanbench.model.speak.latent import LatentSession

__all__ = ["check_reading", "extend", "forget", "mix", "open_window", "put_mixed"]


def check_reading(lengths: Sequence[int], ids_BxQ: Tensor) -> None:
    """Refuse what cannot be read at once.

    Raises:
        ValueError: lanes of different lengths, or no token a lane.
    """
    if min(lengths) != max(lengths):
        raise ValueError(f"lanes of different lengths take one token at a time, these have read {sorted(set(lengths))}")
    if ids_BxQ.ndim != 2 or len(ids_BxQ) != len(lengths) or not ids_BxQ.shape[1]:
        raise ValueError(f"ids must be {len(lengths)} x Q with Q of at least 1, got {tuple(ids_BxQ.shape)}")


def extend(session: LatentSession, ids_BxQ: Tensor) -> Tensor:
    """Read Q tokens of each lane; return the decoder's last row of each (B x Dd).

    Spans that the tokens close are encoded together and mixed as new rows, then the window behind the last is decoded
    afresh. Where none is closed, the open window goes on.
    """
    model, opened = session.model, session.opened[0]
    text_BxT = torch.cat((session.ids_BxS[:, :opened], ids_BxQ), 1)
    closed = int(text_BxT.shape[1]) // model.span
    if not closed:
        return _go_on(session, ids_BxQ)
    u_RxZ = model.encoder(model.encoder_embedding(text_BxT[:, : closed * model.span].flatten()))
    c_BxRxZ = mix(session, u_RxZ.unflatten(0, (-1, closed)))
    return open_window(session, text_BxT[:, closed * model.span - model.carry :], c_BxRxZ)


def _go_on(session: LatentSession, ids_BxQ: Tensor) -> Tensor:
    """Put Q rows behind the open window."""
    model, opened, rows = session.model, session.opened[0], int(ids_BxQ.shape[1])
    session.ids_BxS[:, opened : opened + rows] = ids_BxQ
    session.opened = [opened + rows] * len(session.opened)
    resumed = Resumed(session.local, session.local.grow(rows), _remembered(session, rows))
    slot_BxD = session.slot_BxD  # stands in for layers where there are none; elsewhere nobody looks at it
    slot_RxD = slot_BxD if model.decoder.stack.blocks else slot_BxD.repeat_interleave(rows, 0, output_size=len(slot_BxD) * rows)
    rows_RxD: Tensor = model.decoder(model.decoder_embedding(ids_BxQ.flatten()), Row(resumed, slot_RxD))
    return rows_RxD.view(*ids_BxQ.shape, -1)[:, -1]


def mix(session: LatentSession, u_BxRxZ: Tensor) -> Tensor:
    """Mix new latents behind the rows that the session holds; return their c (B x R x Z). A window must be opened next.

    Raises:
        ValueError: no room for so many spans.
    """
    rows = int(u_BxRxZ.shape[1])
    resumed = Resumed(session.mixer, session.mixer.grow(rows))
    c_BxRxZ: Tensor = session.model.mixer(u_BxRxZ.flatten(0, 1), resumed).unflatten(0, (-1, rows))
    return _mixed(session, c_BxRxZ)


def put_mixed(session: LatentSession, c_BxRxZ: Tensor, kv: Sequence[KeyValues]) -> Tensor:
    """Put mixer rows that an earlier session made into one that holds none: c, and keys and values a layer; return c."""
    session.mixer.fill(range(len(session.spans)), kv, int(c_BxRxZ.shape[1]))
    return _mixed(session, c_BxRxZ)


def _mixed(session: LatentSession, c_BxRxZ: Tensor) -> Tensor:
    session.latent_BxZ[:] = c_BxRxZ[:, -1]
    session.spans = [spans + int(c_BxRxZ.shape[1]) for spans in session.spans]
    return c_BxRxZ


def forget(session: LatentSession, spans: int, latent_BxZ: Tensor | None) -> None:
    """Keep the first mixer rows only; `latent_BxZ` is c of the last one kept (None where none is). Open a window next.

    Raises:
        ValueError: the session holds fewer.
    """
    if spans > min(session.spans):
        raise ValueError(f"the session holds {min(session.spans)} spans and cannot keep {spans}")
    for past in (session.mixer, session.memory):
        if past is not None:
            past.lengths = [spans] * len(past.lengths)
    session.spans = [spans] * len(session.spans)
    if latent_BxZ is not None:
        session.latent_BxZ[:] = latent_BxZ


def open_window(session: LatentSession, tail_BxT: Tensor, c_BxRxZ: Tensor | None = None) -> Tensor:
    """Decode the window behind the last span afresh; return its last row (B x Dd).

    Args:
        session: its mixer rows are those of all complete spans.
        tail_BxT: the last w tokens of the last complete span (where there is one), and the open ones.
        c_BxRxZ: the latents that cross-attention does not know yet, the last of the session's; None: it knows all.
    """
    model, spans, lanes = session.model, session.spans[0], range(len(session.spans))
    feed = Feed((Group(spans, tail_BxT[:, None]),), last=True)
    context = model.context(session.latent_BxZ[:, None]) if spans and session.memory is None else None
    keep, rows = Keep(), model.shape.prefix + int(tail_BxT.shape[1])
    remembered = _remembered(session, rows, c_BxRxZ) if spans else None
    row_BxD: Tensor = model.decoder(model.decoder_embedding(feed.ids), feed, context, keep, remembered)
    session.local.fill(lanes, keep.own, rows)
    if session.memory is not None and not spans:
        session.start_memory = keep.memory
    if not model.decoder.stack.blocks:
        session.slot_BxD[:] = model.decoder.last_slot(len(lanes), context)
    _note_open(session, tail_BxT[:, model.carry if spans else 0 :])
    return row_BxD


def _note_open(session: LatentSession, open_BxO: Tensor) -> None:
    opened = int(open_BxO.shape[1])
    session.ids_BxS[:, :opened] = open_BxO
    session.opened = [opened] * len(session.opened)


def _remembered(session: LatentSession, rows: int, c_BxRxZ: Tensor | None = None) -> list[Remembered] | None:
    """Say what cross-attention reads: start rows before the first span, else all latents, new ones appended first."""
    if session.memory is None:
        return None
    if not session.spans[0]:
        session.start_read = True
        return [Remembered(rows, pair) for pair in session.start_memory]
    if c_BxRxZ is None:
        spot = session.memory.look(range(len(session.spans)))
        return [Remembered(rows, cache, spot) for cache in session.memory.caches]
    spot = session.memory.grow(int(c_BxRxZ.shape[1]), causal=False)
    return [Remembered(rows, cache, spot, c_BxRxZ.flatten(0, 1)) for cache in session.memory.caches]
