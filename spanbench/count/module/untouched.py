"""The module and its inputs are left as they were: attributes, buffers, and whatever an operation would write into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from spanbench.count.extents import tensors_in
from spanbench.count.module.contents import has_contents, key_of

__all__ = ["Untouched", "same_attributes"]

_STATISTICS = ("running_mean", "running_var")
"""Batch norms write into these, and their schemas do not say so."""


class Untouched:
    """Keeps a copy of each of the user's tensors just before an operation first writes into it."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._theirs: dict[int | None, list[Tensor]] = {}
        for tensor in filter(has_contents, tensors):
            self._theirs.setdefault(key_of(tensor), []).append(tensor)
        self._copies: list[tuple[Tensor, Tensor]] = []

    def before(self, func: OpOverload, call: Mapping[str, Any]) -> None:
        """Copy what this call writes into, if it is the user's and not copied yet."""
        names = _written(func)
        for written in tensors_in([call.get(name) for name in names]) if names else ():
            for tensor in self._theirs.pop(key_of(written), ()):
                self._copies.append((tensor, tensor.detach().clone()))

    def restore(self) -> None:
        """Write the copies back."""
        with torch.no_grad():
            for tensor, copy in self._copies:
                tensor.copy_(copy)


@cache
def _written(func: OpOverload) -> tuple[str, ...]:
    """Names of the arguments that the operation writes into."""
    arguments = func._schema.arguments  # the schema has no public name
    return tuple(a.name for a in arguments if (a.alias_info and a.alias_info.is_write) or a.name in _STATISTICS)


@contextmanager
def same_attributes(module: nn.Module) -> Iterator[None]:
    """Put back every attribute of every submodule: caches that a forward keeps, buffers it replaces, train and eval mode."""
    before = [(part, dict(part.__dict__), _registered(part)) for part in module.modules()]
    try:
        yield
    finally:
        for part, attributes, registered in before:
            part.__dict__.clear()
            part.__dict__.update(attributes)
            for name, entries in registered.items():
                part.__dict__[name].clear()
                part.__dict__[name].update(entries)


def _registered(module: nn.Module) -> dict[str, dict[str, Any]]:
    return {
        name: dict(module.__dict__[name]) for name in ("_parameters", "_buffers", "_modules") if isinstance(module.__dict__.get(name), dict)
    }
