"""What reading some latents instead of all changes of the answer (sparse activation), on the model that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spanbench.count.reuse.memories import NO_SPAN
from spanbench.judge.reuse import Choice
from spanbench.model.latent import Latent
from spanbench.model.speak.latent import LatentSession
from spanbench.run.reuse.asked import Asked
from spanbench.run.reuse.reading import read_from_u
from spanbench.store.document import choose_top_k, output_change

__all__ = ["changed_choices"]


def changed_choices(model: Latent, asked: Asked, query_1xQ: Tensor, choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """Return the choices with the change of the logits: the k latents nearest to the query's own are mixed anew, in their order.

    Where the query closes no span they come back as they are, with their reason.
    """
    point, span = asked.point, asked.point.span
    ids_1xN = torch.tensor([asked.prompt.ids[0]], device=query_1xQ.device)
    spans = point.windows.complete
    text_1xT = torch.cat((ids_1xN[:, spans * span :], query_1xQ), 1)
    closed = int(text_1xT.shape[1]) // span
    if not closed:
        return tuple(replace(choice, reason=NO_SPAN) for choice in choices)
    u_KxZ, query_RxZ = (_latents(model, text[:, : count * span]) for text, count in ((ids_1xN, spans), (text_1xT, closed)))
    tail_1xT = ids_1xN[:, spans * span - point.shape.carry :]

    def answer(keep: Sequence[int]) -> Tensor:
        session = LatentSession(model, [0], point.tokens + asked.query_tokens)
        return read_from_u(session, u_KxZ[None, list(keep)], tail_1xT, query_1xQ)

    whole = answer(range(spans))
    return tuple(_changed(choice, whole, answer(choose_top_k(query_RxZ, u_KxZ, choice.latents))) for choice in choices)


def _latents(model: Latent, ids_1xT: Tensor) -> Tensor:
    latents_KxZ: Tensor = model.encoder(model.encoder_embedding(ids_1xT.flatten()))
    return latents_KxZ


def _changed(choice: Choice, whole: Tensor, some: Tensor) -> Choice:
    change = output_change(whole, some)
    return replace(choice, change=change.max_logit, kl=change.kl, same_choice=change.same_choice, reason=None)
