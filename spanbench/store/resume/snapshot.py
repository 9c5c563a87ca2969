"""All that a session knows, as named tensors and counters, and a session made of them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.model.dense import Dense
from spanbench.model.pair import Model
from spanbench.model.past import KeyValues, Past
from spanbench.model.speak import Session
from spanbench.model.speak.dense import DenseSession
from spanbench.model.speak.latent import LatentSession

__all__ = ["Snapshot", "check_room", "restore", "snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session's rows that are filled (copies, in the model's element type), and the tokens each lane has read.

    Dense: keys and values of all layers. Latent: mixer keys and values, those of the open window, those of the latents where
    cross-attention reads them, c of the last latent, the open ids.
    """

    tensors: Mapping[str, Tensor]
    lengths: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


def snapshot(session: Session) -> Snapshot:
    """Copy what a session holds; the session may go on without changing the copy."""
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in _held(session)}
    return Snapshot(tensors, lengths_of(session))


def restore(model: Model, kept: Snapshot, room: int) -> Session:
    """Return a session that goes on where the one that was copied stood, with room for `room` more tokens a lane.

    Raises:
        UsageError: less than no room.
        ValueError: the snapshot is of a session of other sizes.
    """
    check_room(room)
    with torch.inference_mode():
        capacity = max(kept.lengths) + room
        session = DenseSession(model, kept.lengths, capacity) if isinstance(model, Dense) else LatentSession(model, kept.lengths, capacity)
        places = dict(_held(session))
        if places.keys() != kept.tensors.keys():
            raise ValueError(f"a session of this model holds {sorted(places)}, the snapshot {sorted(kept.tensors)}")
        for name, place in places.items():
            if place.shape != kept.tensors[name].shape:
                raise ValueError(
                    f"{name} is {tuple(kept.tensors[name].shape)} in the snapshot, {tuple(place.shape)} in this model's session"
                )
            place.copy_(kept.tensors[name])
    return session


def check_room(room: int) -> None:
    """Refuse a session that would have less room than what it holds takes.

    Raises:
        UsageError: `room` is negative.
    """
    if room < 0:
        raise UsageError(f"room {room}: a session cannot have room for fewer than 0 more tokens; take 0 or more")


def lengths_of(session: Session) -> tuple[int, ...]:
    """Return the tokens that each lane has read."""
    if isinstance(session, DenseSession):
        return tuple(session.past.lengths)
    return tuple(spans * session.model.span + opened for spans, opened in zip(session.spans, session.opened, strict=True))


def _held(session: Session) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor's filled rows by name: views, so that copying into them fills the session."""
    if isinstance(session, DenseSession):
        yield from _rows("layers", session.past)
        return
    yield from _rows("mixer", session.mixer)
    yield from _rows("window", session.local)
    if session.memory is not None:
        yield from _rows("memory", session.memory)
        if not all(session.spans):
            yield from _pairs("start", session.start_memory)
    if any(session.spans):
        yield "latent", session.latent_BxZ
    if not session.model.decoder.stack.blocks:
        yield "slot", session.slot_BxD
    yield "ids", session.ids_BxS[:, : max(session.opened)]


def _rows(name: str, past: Past) -> Iterator[tuple[str, Tensor]]:
    """Yield keys and values up to the longest lane's length."""
    end = max(past.lengths)
    return _pairs(name, [(cache.k_BxGxTxE[:, :, :end], cache.v_BxGxTxE[:, :, :end]) for cache in past.caches])


def _pairs(name: str, pairs: Sequence[KeyValues]) -> Iterator[tuple[str, Tensor]]:
    return ((f"{name}.{layer}.{what}", tensor) for layer, pair in enumerate(pairs) for what, tensor in zip("kv", pair, strict=True))
