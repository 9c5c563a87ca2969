"""What torch was asked to execute: every operation that reaches the dispatcher, by stage, classed and counted.

The run is in inference mode, where linear maps, attention and norms arrive at the dispatcher whole, on `meta` as well as on a
real device. It is a `TorchDispatchMode`, so whoever calls what by which name makes no difference. About 30 µs an
operation: never inside a timed region.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from spanbench.count.compulsory import Boundaries, Usage, Weights
from spanbench.count.extents import extent_bytes, tensors_in
from spanbench.count.rules import Kind, Rule, name_of, refuse, rule_of
from spanbench.count.subject import Subject
from spanbench.count.work import attention_work, by_name, other_work, refuse_product_by_hand, unit_work
from spanbench.errors import CountMismatch
from spanbench.tally import Kept, Tally, total

__all__ = ["TOTAL", "Counted", "Operation", "run_ledger"]

TOTAL = "total"

Operation = tuple[str, tuple[tuple[int, ...], ...]]
"""A matrix operation of the census: its name and the shapes of the tensors it was given."""

_MATRIX = (Kind.PRODUCT, Kind.ATTENTION)


@dataclass(frozen=True, slots=True)
class Counted:
    """What one run executed.

    Attributes:
        stages: exact counts by stage, in the subject's order, and 'total'.
        flops_other: element-wise FLOPs by stage, and 'total'.
        census: how often each matrix operation ran, by name and shapes: the same for the model counted and the one timed.
        operations: how often each operation of any kind ran, by name.
        layers: what ran within each layer that the subject names, by stage and number; a part of the stage's counts.
    """

    stages: dict[str, Tally]
    flops_other: dict[str, int]
    census: Counter[Operation]
    operations: Counter[str]
    layers: Mapping[tuple[str, int], Tally] = field(default_factory=dict)


@dataclass(slots=True)
class _Account:
    """Running counts of one stage."""

    tally: Tally = field(default_factory=Tally)
    other: int = 0
    usage: Usage = field(default_factory=Usage)


class _Ledger(TorchDispatchMode):
    """Books each operation to the stage that is running."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self.stages = subject.stages
        self.boundaries = Boundaries(subject.stages)
        self.weights = Weights(subject.module, subject.distinct)
        self.accounts: dict[str | None, _Account] = {None: _Account()} | {name: _Account() for name in subject.stages.values()}
        self.running: list[nn.Module] = []
        self.census: Counter[Operation] = Counter()
        self.operations: Counter[str] = Counter()
        self.layer: tuple[str, int] | None = None
        self.layers: dict[tuple[str, int], Tally] = dict.fromkeys(subject.layers.values(), Tally())

    @property
    def stage(self) -> str | None:
        """The stage that is running; None between the stages."""
        return self.stages[self.running[-1]] if self.running else None

    @property
    def account(self) -> _Account:
        """The running stage's account."""
        return self.accounts[self.stage]

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Execute one operation and book it; one without a rule is taken apart where torch can, else refused."""
        arguments = dict(kwargs or {})
        rule = rule_of(func)
        if rule is None:
            return self._take_apart(func, args, arguments)
        out = func(*args, **arguments)
        self.operations[name_of(func)] += 1
        if rule.kind is not Kind.VIEW:  # a view does no work and reads no byte
            self._book(func, rule, args, arguments, out)
        return out

    def _take_apart(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self:
            out = func.decompose(*args, **kwargs)
        if out is NotImplemented:
            raise refuse(str(func), f"no rule says what this operation costs (in stage {self.stage})")
        return out

    def _book(self, func: OpOverload, rule: Rule, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        account, tensors, name = self.account, list(tensors_in(args)), name_of(func)
        result = next(tensors_in(out), None)
        self.boundaries.take(tensors, self.running[-1] if self.running else None)
        if rule.kind in _MATRIX:
            self._enter_census(name, tensors)
        if rule.kind is Kind.LOOKUP:
            account.usage.looked_up |= self.weights.look_up(*tensors)
        else:
            account.usage.whole |= self.weights.among(tensors)
        if result is None:
            return
        refuse_product_by_hand(name, tensors, result)
        if rule.kind is Kind.ATTENTION:
            tally, other = attention_work(by_name(func, args, kwargs), result)
        else:
            tally, other = unit_work(name, rule, tensors, result), other_work(name, rule, tensors, result)
        account.tally += tally
        account.other += other
        if self.layer is not None:
            self.layers[self.layer] += tally

    def _enter_census(self, name: str, tensors: Sequence[Tensor]) -> None:
        shapes = tuple(tuple(tensor.shape) for tensor in tensors)
        if not self.running:
            raise refuse(f"aten.{name} {shapes}", "it ran outside every stage, so its FLOPs belong to none")
        self.census[name, shapes] += 1


def run_ledger(subject: Subject) -> Counted:
    """Run the subject once and count what it executes.

    Raises:
        UncountedOperation: an operation has no rule, or matrix work ran outside every stage.
        CountMismatch: the declared distinct rows, or the stages of what is kept, are not those of the run.
    """
    ledger = _Ledger(subject)
    with _hooked(subject, ledger), torch.inference_mode(), ledger:
        logits, kept = subject.call(subject.ids)
    ledger.boundaries.take([logits], None)
    return _counted(subject, ledger, logits, kept or Kept({}, {}))


@contextmanager
def _hooked(subject: Subject, ledger: _Ledger) -> Iterator[None]:
    """Follow which stage is running, what crosses its boundary, and the rows that enter the MLPs."""

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ledger.boundaries.enter(module, args, kwargs)
        ledger.running.append(module)

    def leave(module: nn.Module, _args: tuple[Any, ...], result: Any) -> None:
        ledger.running.pop()
        ledger.boundaries.leave(module, result)

    def rows(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ledger.account.tally += Tally(mlp_rows=next(tensors_in((args, kwargs))).shape[:-1].numel())

    with ExitStack() as hooks:
        for module in subject.stages:
            hooks.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
            hooks.callback(module.register_forward_hook(leave).remove)
        for mlp in subject.mlps:
            hooks.callback(mlp.register_forward_pre_hook(rows, with_kwargs=True).remove)
        _follow_layers(subject, ledger, hooks)
        yield


def _follow_layers(subject: Subject, ledger: _Ledger, hooks: ExitStack) -> None:
    """Follow which of the layers that are to be told apart is running."""

    def begin(layer: nn.Module, _: tuple[Any, ...]) -> None:
        ledger.layer = subject.layers[layer]

    def end(_layer: nn.Module, _args: tuple[Any, ...], _result: Any) -> None:
        ledger.layer = None

    for layer in subject.layers:
        hooks.callback(layer.register_forward_pre_hook(begin).remove)
        hooks.callback(layer.register_forward_hook(end).remove)


def _counted(subject: Subject, ledger: _Ledger, logits: Tensor, kept: Kept) -> Counted:
    unknown = sorted({*kept.kv, *kept.other} - set(subject.stages.values()))
    if unknown:
        raise CountMismatch(f"something is kept for the stage {unknown[0]!r}, which the model does not have")
    names = list(dict.fromkeys(subject.stages.values()))
    stages = {name: _stage(subject, ledger, name, kept) for name in names}
    everything = total(account.tally for account in ledger.accounts.values())
    usage = Usage()
    for account in ledger.accounts.values():
        usage |= account.usage
    outside = subject.ids.numel() * subject.ids.element_size() + extent_bytes([logits])
    stages[TOTAL] = everything + Tally(
        params=_parameters([subject.module]),
        bytes_compulsory=ledger.weights.bytes(usage) + outside + sum(kept.traffic.values()),
        state_bytes=sum(kept.kv.values()) + sum(kept.other.values()),
    )
    other = {name: ledger.accounts[name].other for name in names}
    other[TOTAL] = sum(account.other for account in ledger.accounts.values())
    return Counted(stages, other, ledger.census, ledger.operations, ledger.layers)


def _stage(subject: Subject, ledger: _Ledger, name: str, kept: Kept) -> Tally:
    modules = [module for module, stage in subject.stages.items() if stage == name]
    account = ledger.accounts[name]
    crossing = sum(ledger.boundaries.bytes(module) for module in modules)
    return account.tally + Tally(
        params=_parameters(modules),
        bytes_compulsory=ledger.weights.bytes(account.usage) + crossing + kept.traffic.get(name, 0),
        state_bytes=kept.stage(name),
    )


def _parameters(modules: Sequence[nn.Module]) -> int:
    """Number of different parameters at and below the modules."""
    return sum(p.numel() for p in {p for module in modules for p in module.parameters()})
