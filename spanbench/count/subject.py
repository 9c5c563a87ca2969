"""What the ledger and the witnesses count: a module, how it is called, and what its parts are called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from spanbench.tally import Kept

__all__ = ["Subject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One arm in one regime.

    Attributes:
        module: the whole arm; its unique parameters are the total's.
        call: runs the regime: ids (B x N) -> logits, and what it keeps in order to go on (None: nothing).
        ids: the prompt, int64 (B x N), on the device to count on; `meta` needs no memory and no arithmetic.
        stages: stage name of each stage module. Several modules may share a name; where they nest, the innermost wins.
        mlps: the MLP modules; the first tensor that each is handed holds its rows.
        distinct: for each embedding module, how many different rows the regime looks up. On `meta` ids have no
            contents, so this must be told; elsewhere it is checked against the ids.
        layers: stage and number (from 0) of each layer whose own work is to be told apart; none unless it is asked for.
    """

    module: nn.Module
    call: Callable[[Tensor], tuple[Tensor, Kept | None]]
    ids: Tensor
    stages: Mapping[nn.Module, str]
    mlps: Collection[nn.Module]
    distinct: Mapping[nn.Module, int]
    layers: Mapping[nn.Module, tuple[str, int]] = field(default_factory=dict)
