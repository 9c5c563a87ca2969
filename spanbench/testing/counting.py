"""A module's counts as a case: `count_module`, and the order in which the modules finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from spanbench.count.module import count_module
from spanbench.testing.case import QUANTITIES, Case

__all__ = ["counted"]


def counted(name: str, module: nn.Module, inputs: Any) -> tuple[Case, Mapping[str, str]]:
    """Count one forward; return its case, and why a quantity is null.

    `inputs` are the forward's arguments: a tuple or list by position, a mapping by name, anything else the only one.

    Raises:
        UncountedOperation: an operation that ran cannot be classed.
        UsageError: `module` is no module.
    """
    args, kwargs = _arguments(inputs)
    with _finishing(module) as order:
        found = count_module(module, *args, **kwargs)
    ran = dict.fromkeys([*order, *found.by_module])
    modules = {path: found.by_module[path] for path in ran if found.by_module.get(path)}
    return Case(name, {key: getattr(found, key) for key in QUANTITIES}, modules), found.reasons


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)), {}


@contextmanager
def _finishing(module: Any) -> Iterator[list[str]]:
    """Note the path of each module as it finishes: of all that a change touches, the innermost one comes first."""
    paths: dict[nn.Module, str] = {}
    for path, part in module.named_modules() if isinstance(module, nn.Module) else ():
        paths.setdefault(part, path)
    order: list[str] = []

    def leave(part: nn.Module, _args: Any, _result: Any) -> None:
        if part in paths:
            order.append(paths[part])

    # A hook of torch as a whole: one on a module would turn its fast path off, see count/module/counter.py.
    hook = register_module_forward_hook(leave)
    try:
        yield order
    finally:
        hook.remove()
