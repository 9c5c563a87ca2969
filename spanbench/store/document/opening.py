"""A session on latents that are there: mixed anew, or with their mixer rows, and the last window decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.model.speak.extend import mix, open_window
from spanbench.model.speak.latent import LatentSession
from spanbench.store.document.mixing import Rows

__all__ = ["Composed", "open_session"]


@dataclass(frozen=True, slots=True)
class Composed:
    """A session over several documents, its logits (1 x V), its K spans, and the open tokens that were left out.

    Only the last document's open tokens are read: those of the others are no complete span, so no latent holds them.
    """

    session: LatentSession
    logits_1xV: Tensor
    spans: int
    left_out: int


def open_session(model: Latent, latents: Tensor | Rows | None, tail: Sequence[int], opened: int, room: int) -> tuple[LatentSession, Tensor]:
    """Return a session of one lane that holds these latents, and the logits of the next token (1 x V).

    Args:
        model: whose session it is.
        latents: u (K x Z), to be mixed anew, or mixer rows; None where no span is complete.
        tail: the text's last ids: at least w before the open ones where a span is complete.
        opened: how many of them are open.
        room: how many more tokens the session must have room for.
    """
    spans = 0 if latents is None else len(latents)
    carried = model.carry if spans else 0
    like = model.head.weight
    with torch.inference_mode():
        session = LatentSession(model, [0], spans * model.span + opened + room)
        c_1xKxZ = None
        if latents is not None:
            c_1xKxZ = latents.put(session) if isinstance(latents, Rows) else mix(session, latents[None])
        last = list(tail[len(tail) - opened - carried :])
        tail_1xT = torch.tensor([last], dtype=torch.int64, device=like.device).view(1, len(last))
        return session, model.head(open_window(session, tail_1xT, c_1xKxZ))
