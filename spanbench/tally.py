"""Exact counts of one stage in one regime: what the closed form, the ledger and the record all speak in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from operator import add, attrgetter
from typing import Literal, get_args

__all__ = ["CONVENTIONS", "Convention", "Kept", "Tally", "figures", "total"]

Convention = Literal["dense", "useful", "causal-half"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


@dataclass(frozen=True, slots=True)
class Tally:
    """Whole-batch integers. One FLOP is half a multiply-accumulate; attention is kept apart, once a convention.

    `matrix_flops` are those of matrix products outside attention. `attention_flops` are QK' and AV over all
    T_q x T_k cells, `attention_flops_useful` over the cells the mask lets through, `attention_flops_causal_half`
    half of the dense figure where the attention is causal and all of it elsewhere.
    """

    matrix_flops: int = 0
    attention_flops: int = 0
    attention_flops_useful: int = 0
    attention_flops_causal_half: int = 0
    cells_dense: int = 0
    cells_useful: int = 0
    scores_dense: int = 0
    mlp_rows: int = 0
    params: int = 0
    bytes_compulsory: int = 0
    bytes_fused: int = 0
    state_bytes: int = 0

    def flops(self, convention: Convention = "dense") -> int:
        """Return matrix-class FLOPs with attention taken by the convention."""
        attention = {
            "dense": self.attention_flops,
            "useful": self.attention_flops_useful,
            "causal-half": self.attention_flops_causal_half,
        }
        return self.matrix_flops + attention[convention]

    def __add__(self, other: Tally) -> Tally:
        return Tally(*map(add, figures(self), figures(other)))


figures = attrgetter(*(field.name for field in fields(Tally)))
"""Returns the integers of a tally in the order of its fields: once for every operation that is counted, so not by reflection."""


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of all fields. For `bytes_compulsory` that is not an arm's total (boundaries would count twice)."""
    return Tally(*map(sum, zip(*map(figures, tallies), strict=True)))


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes that a regime keeps in order to go on, by stage: keys and values, and everything else (c_K, open ids).

    `moved` are the keys and values that were read and written on the way, where that is not what is kept: a step
    reads all that came before it and writes one row.
    """

    kv: Mapping[str, int]
    other: Mapping[str, int]
    moved: Mapping[str, int] | None = None

    @property
    def traffic(self) -> Mapping[str, int]:
        """Bytes of keys and values read and written, by stage."""
        return self.kv if self.moved is None else self.moved

    def stage(self, name: str) -> int:
        """Return all bytes that one stage keeps."""
        return self.kv.get(name, 0) + self.other.get(name, 0)
