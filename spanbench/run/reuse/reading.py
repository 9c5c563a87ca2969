"""One query behind stored latents: encode what it closes, mix all rows anew, open the window behind the last."""

from __future__ import annotations

import torch
from torch import Tensor

from spanbench.model.speak.extend import mix, open_window
from spanbench.model.speak.latent import LatentSession

__all__ = ["read_from_u"]


def read_from_u(session: LatentSession, u_BxKxZ: Tensor, tail_BxT: Tensor, ids_BxQ: Tensor) -> Tensor:
    """Return the logits of the next token (B x V).

    Args:
        session: one that has read nothing, with room for all.
        u_BxKxZ: the latents of the complete spans before; K may be 0.
        tail_BxT: the last w tokens of the last of these spans (where there is one), and the open tokens behind it.
        ids_BxQ: the query.
    """
    model, known = session.model, int(u_BxKxZ.shape[1])
    carried = model.carry if known else 0
    text_BxT = torch.cat((tail_BxT, ids_BxQ), 1)
    closed = (int(text_BxT.shape[1]) - carried) // model.span
    c_BxRxZ = None
    if closed:
        spans_BxT = text_BxT[:, carried : carried + closed * model.span]
        u_RxZ = model.encoder(model.encoder_embedding(spans_BxT.flatten()))
        u_BxKxZ = torch.cat((u_BxKxZ, u_RxZ.unflatten(0, (-1, closed))), 1)
    if known + closed:
        c_BxRxZ = mix(session, u_BxKxZ)
    begin = carried + closed * model.span - (model.carry if known + closed else 0)
    logits_BxV: Tensor = model.head(open_window(session, text_BxT[:, begin:], c_BxRxZ))
    return logits_BxV
