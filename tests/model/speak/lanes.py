"""Sessions on random pairs, and what a prefill of the same tokens says they should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.model.past import KeyValues, Past
from spanbench.model.speak import Session
from spanbench.model.speak.dense import DenseSession
from spanbench.model.state import State
from spanbench.point import Point
from spanbench.tally import Kept

__all__ = ["apart", "held", "long_enough", "prefilled", "start_bytes", "summed"]


def long_enough(point: Point) -> Point:
    """Return the point with a text that leaves room for a span and two steps after two whole spans."""
    return replace(point, tokens=3 * point.span + 2)


def prefilled(model: torch.nn.Module, ids_BxN: Tensor) -> tuple[Tensor, State]:
    with torch.inference_mode():
        logits, state = model.prefill(ids_BxN)  # type: ignore[operator]  # both arms have it
    return logits, state


def apart(one: Tensor, other: Tensor) -> float:
    """Return the largest difference; tensors of unlike shapes are not compared."""
    assert one.shape == other.shape
    return (one - other).abs().max().item() if one.numel() else 0.0


def held(session: Session, lane: int) -> State:
    """Return what a session holds for one lane, as a prefill of that lane's tokens alone would have left it."""
    if isinstance(session, DenseSession):
        return State({"layers": _rows(session.past, lane)})
    spans, opened = session.spans[lane], session.opened[lane]
    kv = {"mixer": _rows(session.mixer, lane) if spans else [], "decoder": _rows(session.local, lane)}
    other = {"mixer": [session.latent_BxZ[lane : lane + 1]] if spans else [], "decoder": [session.ids_BxS[lane : lane + 1, :opened]]}
    if session.memory is None:
        return State(kv, other)
    return State(kv, other, _rows(session.memory, lane) if spans else session.start_memory)


def _rows(past: Past, lane: int) -> list[KeyValues]:
    rows = past.lengths[lane]
    return [tuple(kept[lane : lane + 1, :, :rows] for kept in (c.k_BxGxTxE, c.v_BxGxTxE)) for c in past.caches]  # type: ignore[misc]  # a pair


def summed(states: Sequence[Kept]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the bytes of several states together, by stage."""
    kv = {stage: sum(state.kv[stage] for state in states) for stage in states[0].kv}
    return kv, {stage: sum(state.other[stage] for state in states) for stage in states[0].other}


def start_bytes(model: torch.nn.Module) -> int:
    """Return the bytes of the start rows' keys and values, which one set serves the whole batch."""
    assert isinstance(model, Latent)
    _, state = prefilled(model, torch.zeros(1, 1, dtype=torch.int64)) if model.span > 1 else (None, State({}))
    return sum(tensor.numel() * tensor.element_size() for pair in state.memory for tensor in pair)


def tensors(state: State) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of a state with the name of its place."""
    for stage, pairs in state.kv.items():
        yield from ((f"{stage} kv", tensor) for pair in pairs for tensor in pair)
    yield from (("memory", tensor) for pair in state.memory for tensor in pair)
    for stage, kept in state.other.items():
        yield from ((f"{stage} other", tensor) for tensor in kept)
