"""`count_module`: one forward of any module under a dispatch mode that classes, counts or refuses each operation.

The run is in inference mode, where linear maps, attention, convolutions and recurrences reach the dispatcher whole.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from spanbench.count.extents import tensors_in
from spanbench.count.module.classes import Class, class_of
from spanbench.count.module.lineage import Lineage
from spanbench.count.module.products import MACS
from spanbench.count.module.reads import Reads, tensors_within, weights_of
from spanbench.count.module.result import ModuleCount
from spanbench.count.module.sdpa import Attention, fast_path, read
from spanbench.count.module.untouched import Untouched, same_attributes
from spanbench.count.rules import name_of, product_flops, refuse
from spanbench.count.work import by_name
from spanbench.errors import UsageError

__all__ = ["TORCH_VERSIONS", "count_module"]

TORCH_VERSIONS = ((2, 11), (2, 16))
"""From the first release up to, not with, the second. The tests of counts pass at both ends (docs/count-module.md).

A release outside may have operations that no rule was checked against: rules read operator schemas, which change.
"""

_WORKS = (Class.PRODUCT, Class.NAMED, Class.ATTENTION, Class.FAST_PATH, Class.LOOKUP)
_ADDEND_FIRST = ("addmm", "baddbmm", "addmv", "addbmm", "addr", "_addmm_activation")
_TWO_FACTORS = ("linear", "matmul", "mm", "bmm", "mv", "dot", "vdot", "_int_mm", "_grouped_mm", *_ADDEND_FIRST)


class _Module(TorchDispatchMode):
    """Books each operation to the modules that are running."""

    supports_higher_order_operators = True  # they come here, to be refused by name

    def __init__(self, module: nn.Module, inputs: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        weights = weights_of(module)
        self.paths: dict[nn.Module, str] = {}
        for path, part in module.named_modules():
            self.paths.setdefault(part, path)
        self.running: list[str] = [""]
        given = list(tensors_within(inputs))
        self.reads, self.lineage, self.untouched = Reads(weights), Lineage(weights, given), Untouched([*weights, *given])
        self.calls: Counter[str] = Counter()
        self.by_operation: Counter[str] = Counter()
        self.by_module: Counter[str] = Counter({"": 0})
        self.dense = self.useful = 0
        self.reasons: dict[str, str] = {}

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Execute one operation and book it; one without a class is taken apart where torch can, else refused."""
        arguments = dict(kwargs or {})
        if not isinstance(func, OpOverload):
            raise refuse(str(func), f"what a higher-order operation runs is not seen ({self._where()})")
        kind = class_of(func)
        if kind is None:
            return self._take_apart(func, args, arguments)
        call, tensors = by_name(func, args, arguments), list(tensors_in((args, arguments)))
        if kind in _WORKS:
            self._check(func, tensors)
        self._check_leaving(name_of(func), tensors)
        self.check_seen(tensors)
        self.untouched.before(func, call)
        contracted, attends = self.lineage.contracted(name_of(func), call, tensors)
        out = func(*args, **arguments)
        self.calls[name_of(func)] += 1
        results = list(tensors_in(out))
        if contracted:
            self._add(name_of(func), 2 * contracted)
            self._note_by_hand(name_of(func), attends)
        if results:
            self._book(func, kind, call, tensors, results[0])
        self._read(name_of(func), kind, call, tensors)
        self.lineage.follow(name_of(func), call, tensors, results)
        return out

    def _take_apart(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self:
            out = func.decompose(*args, **kwargs)
        if out is NotImplemented:
            raise refuse(str(func), f"no rule says what this operation costs ({self._where()})")
        return out

    def _where(self) -> str:
        return f"in module {self.running[-1]!r}" if self.running[-1] else "in the module itself"

    def _check(self, func: OpOverload, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            if tensor.is_nested or tensor.layout != torch.strided:
                kind = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
                raise refuse(str(func), f"it works on a {kind} tensor, whose stored size is not its shape ({self._where()})")
            if tensor.is_complex():
                raise refuse(str(func), f"its numbers are complex, and only real products are counted ({self._where()})")

    def _check_leaving(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Refuse `Tensor.numpy` and `tolist` of activations: both resolve the sign bit, and hardly anybody else does."""
        if name == "resolve_neg" and tensors[0].is_floating_point() and self.lineage.depends(tensors[0]):
            raise refuse("Tensor.numpy", f"what is done with activations outside torch is not seen ({self._where()})")

    def check_seen(self, tensors: Iterable[Tensor]) -> None:
        """Refuse what was computed out of sight: a dispatch mode, and inference mode too, hold for one thread."""
        if any(tensor.grad_fn is not None and not self.lineage.knows(tensor) for tensor in tensors):
            raise refuse("a tensor with a gradient", f"it was computed in another thread, or before the count ({self._where()})")

    def _book(self, func: OpOverload, kind: Class, call: Mapping[str, Any], tensors: Sequence[Tensor], out: Tensor) -> None:
        name = name_of(func)
        if kind is Class.PRODUCT:
            self._add(name, product_flops(name, tensors, out))
        elif kind is Class.NAMED:
            self._add(name, 2 * MACS[name](call, out))
        elif kind is Class.ATTENTION:
            self._attend(name, read(name, call, out))
        elif kind is Class.FAST_PATH:
            self._attend(name, fast_path(name, call))
        if name in _TWO_FACTORS:
            factors = tensors[1:3] if name in _ADDEND_FIRST else tensors[:2]
            self._note_by_hand(name, all(map(self.lineage.depends, factors)))

    def _add(self, name: str, flops: int) -> None:
        self.by_operation[name] += flops
        for path in set(self.running):
            self.by_module[path] += flops

    def _attend(self, name: str, attention: Attention) -> None:
        self._add(name, attention.flops)
        self.dense += attention.dense
        self.useful += attention.useful or 0
        if attention.useful is None:
            self.reasons.setdefault("cells_useful", attention.reason)

    def _note_by_hand(self, name: str, attends: bool) -> None:
        """A product of two activations is attention written by hand, or nobody can tell it from that: its cells are unknown."""
        if attends:
            reason = f"aten.{name} multiplies two activations ({self._where()}): attention written by hand has no known cells"
            self.reasons.setdefault("cells_dense", reason)
            self.reasons.setdefault("cells_useful", reason)

    def _read(self, name: str, kind: Class, call: Mapping[str, Any], tensors: Sequence[Tensor]) -> None:
        if kind is Class.LOOKUP or name in ("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only"):
            table = call["weight"]
            self.reads.look_up(table, call["indices"])
            self.reads.take(tensor for tensor in tensors if tensor is not table)
        elif kind is not Class.VIEW:
            self.reads.take(tensors)


def count_module(module: nn.Module, /, *example_inputs: Any, **kwargs: Any) -> ModuleCount:
    """Count one forward, `module(*example_inputs, **kwargs)`, exactly: FLOPs, attention cells, parameters, bytes.

    The module and its inputs stay where they are (meta needs no memory) and as they are: attributes, buffers, mode, and
    the state of the random generator are put back. It is counted in the mode it is in, train or eval, without gradients.

    Raises:
        UncountedOperation: an operation that ran cannot be classed; a total without it would be short.
        UsageError: `module` is no module, or a lazy one that has never been called.
    """
    _check_module(module)
    mode = _Module(module, (example_inputs, kwargs))
    devices = sorted({tensor.device.index or 0 for tensor in weights_of(module) if tensor.device.type == "cuda"})
    described, training = _described(example_inputs, kwargs), module.training
    with same_attributes(module), torch.random.fork_rng(devices):
        try:
            with _paths_followed(mode), torch.inference_mode(), mode:
                outputs = module(*example_inputs, **kwargs)
            mode.check_seen(tensors_within(outputs))
            read_bytes, reason = mode.reads.bytes((example_inputs, kwargs), outputs)
        finally:
            mode.untouched.restore()
    reasons = {**mode.reasons, **({"bytes_compulsory": reason} if reason else {})}
    return ModuleCount(
        module=type(module).__name__,
        inputs=described,
        mode="train" if training else "eval",
        flops=mode.by_module[""],
        cells_dense=None if "cells_dense" in reasons else mode.dense,
        cells_useful=None if "cells_useful" in reasons else mode.useful,
        params=sum(parameter.numel() for parameter in module.parameters()),
        bytes_compulsory=read_bytes,
        by_operation=dict(mode.by_operation),
        by_module={path: mode.by_module[path] for path in mode.paths.values() if path in mode.by_module},
        calls=dict(mode.calls),
        reasons=reasons,
    )


def _check_module(module: Any) -> None:
    if not isinstance(module, nn.Module):
        raise UsageError(f"count_module: expected a torch.nn.Module, got {type(module).__name__}")
    named: list[tuple[str, Any]] = [*module.named_parameters(), *module.named_buffers()]
    lazy = next((name for name, tensor in named if nn.parameter.is_lazy(tensor)), None)
    if lazy:
        raise UsageError(f"count_module: {lazy!r} is lazy and has no shape yet; call the module once first")


@contextmanager
def _paths_followed(mode: _Module) -> Iterator[None]:
    """Follow which module is running, by hooks of torch as a whole: a hook on a module would turn its fast path off."""

    def enter(module: nn.Module, _: Any) -> None:
        if module in mode.paths:
            mode.running.append(mode.paths[module])
            mode.by_module[mode.running[-1]] += 0

    def leave(module: nn.Module, _args: Any, _result: Any) -> None:
        if module in mode.paths:
            mode.running.pop()

    entering = register_module_forward_pre_hook(enter)
    leaving = register_module_forward_hook(leave, always_call=True)
    try:
        with warnings.catch_warnings():
            # A compiled module fires them twice in the same place; a path is booked once however often it is entered.
            warnings.filterwarnings("ignore", r"Using `torch.compile\(module\)` when there are global hooks", UserWarning)
            yield
    finally:
        entering.remove()
        leaving.remove()


def _described(inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    named = [("", value) for value in inputs] + [(f"{name}=", value) for name, value in kwargs.items()]
    return tuple(f"{name}{_shape(tensor)}" for name, value in named for tensor in tensors_within(value))


def _shape(tensor: Tensor) -> str:
    sizes = "x".join(str(size) for size in tensor.shape) or "scalar"
    return f"{sizes}:{str(tensor.dtype).removeprefix('torch.')}"
