"""The stages of a forward one by one: which calls it is made of, and what each of them was handed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from spanbench.model.pair import Model, forward
from spanbench.model.stack import Fresh
from spanbench.model.state import Keep
from spanbench.point import Regime

__all__ = ["Call", "calls_of"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a stage's module, with the activations that it was handed.

    The stages are those of `Model.stages`, to which the ledger books its counts too. What a forward does between them
    (arranging ids, views, the clone of c_K) belongs to no stage.
    """

    stage: str
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def again(self) -> Tensor:
        """Make the call once more on the same activations; what a prefill keeps goes into lists of its own."""
        args = (_anew(argument) for argument in self.args)
        kwargs = {name: _anew(argument) for name, argument in self.kwargs.items()}
        return self.module(*args, **kwargs)  # type: ignore[no-any-return]  # nn.Module calls are untyped


def calls_of(model: Model, regime: Regime, ids_BxN: Tensor) -> list[Call]:
    """Run one forward (score or prefill) and return its stages' calls in the order they ran.

    Made one after another on what they were handed, they do the forward's work and end in its logits. Their
    activations stay in memory for as long as the calls do.
    """
    calls: list[Call] = []
    stages = model.stages()

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(Call(stages[module], module, args, kwargs))

    with ExitStack() as hooks, torch.inference_mode():
        for module in stages:
            hooks.callback(module.register_forward_pre_hook(note, with_kwargs=True).remove)
        forward(model, regime, ids_BxN)
    return calls


def _anew(argument: Any) -> Any:
    """Return an argument with empty lists where a forward leaves keys and values, or each call would add its own."""
    if isinstance(argument, Keep):
        return Keep()
    if isinstance(argument, Fresh) and argument.keep is not None:
        return replace(argument, keep=[])
    return argument
