"""What prefill keeps in order to go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from spanbench.model.past import KeyValues
from spanbench.tally import Kept

__all__ = ["Keep", "State"]


@dataclass(frozen=True, slots=True)
class Keep:
    """Lists that a prefill fills on its way, a pair a layer: own keys and values, and those of a memory that is read."""

    own: list[KeyValues] = field(default_factory=list)
    memory: list[KeyValues] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class State:
    """Keys and values by stage, and by stage whatever else is kept (c_K of the mixer, the decoder's open ids).

    `memory` are the keys and values of what the decoder's cross-attention reads; they belong to the decoder.
    """

    kv: Mapping[str, list[KeyValues]]
    other: Mapping[str, list[Tensor]] = field(default_factory=dict)
    memory: list[KeyValues] = field(default_factory=list)

    def kept(self) -> Kept:
        """Return the bytes of the state, by stage."""
        kv = {stage: _bytes(tensor for pair in pairs for tensor in pair) for stage, pairs in self.kv.items()}
        if self.memory:
            kv["decoder"] += _bytes(tensor for pair in self.memory for tensor in pair)
        return Kept(kv, {stage: _bytes(tensors) for stage, tensors in self.other.items()})


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
