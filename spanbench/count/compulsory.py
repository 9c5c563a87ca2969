"""`bytes_compulsory`: weights used, tensors handed between stages, and what is kept, each once (docs/what-is-counted.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spanbench.count.extents import extent_bytes, storage_key, tensors_in
from spanbench.count.rules import refuse
from spanbench.errors import CountMismatch

__all__ = ["Boundaries", "Usage", "Weights"]


@dataclass(slots=True)
class _Crossing:
    """What crossed the boundary of one stage module, over all its calls."""

    ids: int = 0
    entered: list[Tensor] = field(default_factory=list)
    taken: list[Tensor] = field(default_factory=list)


class Boundaries:
    """Tensors handed to stage modules and on from them.

    A module hands on what others take from its result: of N rows returned, only the last, where only the last is used.
    Results are held until the bytes are asked for, because a freed storage's identity may be given to another tensor.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._crossings = {module: _Crossing() for module in modules}
        self._makers: dict[int, set[nn.Module]] = {}
        self._held: list[Tensor] = []

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Note what one call is handed: ids where they are an argument themselves, activations wherever they are."""
        crossing, activations = self._crossings[module], list(filter(_is_activation, tensors_in((args, kwargs))))
        crossing.ids += sum(_integer_bytes(value) for value in (*args, *kwargs.values()))
        crossing.entered += activations
        self.take(activations, module)

    def leave(self, module: nn.Module, result: Any) -> None:
        """Note what one call returns."""
        for tensor in filter(_is_activation, tensors_in(result)):
            self._held.append(tensor)
            self._makers.setdefault(storage_key(tensor), set()).add(module)

    def take(self, tensors: Iterable[Tensor], taker: nn.Module | None) -> None:
        """Note that `taker` (None: what runs between the stages) reads these tensors."""
        for tensor in tensors:
            for maker in self._makers.get(storage_key(tensor), ()):
                if maker is not taker:
                    self._crossings[maker].taken.append(tensor)

    def bytes(self, module: nn.Module) -> int:
        """Bytes handed to and on from one module; what goes through unchanged is both, views of one tensor count once."""
        crossing = self._crossings[module]
        return crossing.ids + extent_bytes(crossing.entered) + extent_bytes(crossing.taken)


def _is_activation(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _integer_bytes(argument: Any) -> int:
    """Bytes of ids, once a look-up even where windows overlap. A mask, and ids in a description of windows, are not handed over."""
    if not isinstance(argument, Tensor) or _is_activation(argument) or argument.dtype == torch.bool:
        return 0
    return argument.numel() * argument.element_size()


@dataclass(slots=True)
class Usage:
    """Parameters that executed operations read: whole, or only by the rows looked up."""

    whole: set[nn.Parameter] = field(default_factory=set)
    looked_up: set[nn.Parameter] = field(default_factory=set)

    def __or__(self, other: Usage) -> Usage:
        return Usage(self.whole | other.whole, self.looked_up | other.looked_up)


class Weights:
    """The parameters of a module, found again in whatever view of them an operation is given."""

    def __init__(self, module: nn.Module, distinct: Mapping[nn.Module, int]) -> None:
        self._by_storage: dict[int, list[nn.Parameter]] = {}
        for parameter in module.parameters():
            self._by_storage.setdefault(storage_key(parameter), []).append(parameter)
        self._declared: dict[nn.Parameter, int] = {}
        for embedding, rows in distinct.items():
            for table in embedding.parameters(recurse=False):
                self._declared[table] = min(self._declared.get(table, 0) + rows, table.shape[0])
        self._seen: dict[nn.Parameter, set[int]] = {}

    def among(self, tensors: Iterable[Tensor]) -> set[nn.Parameter]:
        """Return the parameters that these tensors are, or are views of."""
        return {p for tensor in tensors for p in self._by_storage.get(storage_key(tensor), ())}

    def look_up(self, table: Tensor, ids: Tensor) -> set[nn.Parameter]:
        """Note one look-up and return the table's parameter; ids on a real device say which rows it reads.

        Raises:
            UncountedOperation: on meta, for a table of which nobody said how many distinct rows are read.
        """
        found = self.among([table])
        for parameter in found:
            if not ids.is_meta:
                self._seen.setdefault(parameter, set()).update(ids.unique().tolist())
            elif parameter not in self._declared:
                raise refuse("aten.embedding", "ids on meta have no contents; `Subject.distinct` must say how many rows are read")
        return found

    def bytes(self, usage: Usage) -> int:
        """Bytes of the used parameters: all of each, and of a table that is only looked up the distinct rows.

        Raises:
            CountMismatch: the ids say another number of distinct rows than was declared.
        """
        whole = sum(p.numel() * p.element_size() for p in usage.whole)
        tables = usage.looked_up - usage.whole
        return whole + sum(self._rows(p) * p[0].numel() * p.element_size() for p in tables)

    def _rows(self, table: nn.Parameter) -> int:
        seen = len(self._seen[table]) if table in self._seen else None
        declared = self._declared.get(table, seen)
        if seen is not None and seen != declared:
            raise CountMismatch(f"distinct rows looked up in a table of {table.shape[0]}: {declared} declared, {seen} in the ids")
        return declared or 0
