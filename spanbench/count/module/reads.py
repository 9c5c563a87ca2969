"""`bytes_compulsory` of one module: what it read of its weights and buffers, its inputs and its outputs, each once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from spanbench.count.extents import extent_bytes
from spanbench.count.module.contents import has_contents, key_of

__all__ = ["Reads", "tensors_within", "weights_of"]


def weights_of(module: nn.Module) -> list[Tensor]:
    """Return all parameters and buffers."""
    return [*module.parameters(), *module.buffers()]


def tensors_within(value: Any, seen: set[int] | None = None) -> Iterator[Tensor]:
    """Yield the tensors inside whatever a module takes or returns: containers, dataclasses, and objects such as caches."""
    seen = set() if seen is None else seen
    if isinstance(value, Tensor):
        yield value
    elif id(value) not in seen and not isinstance(value, (str, bytes, int, float, type, nn.Module)):
        seen.add(id(value))
        for part in _parts(value):
            yield from tensors_within(part, seen)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return list(getattr(value, "__dict__", {}).values())


class Reads:
    """What operations read of the module's own tensors."""

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self._owned = {key_of(weight) for weight in weights}
        self._whole: dict[int | None, dict[Any, Tensor]] = {}
        self._rows: dict[int | None, set[int]] = {}
        self._tables: dict[int | None, Tensor] = {}
        self._unread: dict[int | None, int] = {}

    def take(self, tensors: Iterable[Tensor]) -> None:
        """Note that an operation reads these tensors, weights (or parts of weights) among them."""
        for tensor in tensors:
            if (key := key_of(tensor)) in self._owned:
                place = (tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
                self._whole.setdefault(key, {})[place] = tensor

    def look_up(self, table: Tensor, ids: Tensor) -> None:
        """Note a look-up: the table's distinct rows are read, if the ids can be."""
        if (key := key_of(table)) not in self._owned:
            return
        self._tables[key] = table
        if has_contents(ids):
            self._rows.setdefault(key, set()).update(ids.unique().tolist())
        else:
            self._unread[key] = ids.numel()

    def bytes(self, inputs: Any, outputs: Any) -> tuple[int | None, str]:
        """Bytes of weights and rows read, inputs and outputs; None, and why, where the rows cannot be known."""
        looked_up = {key: table for key, table in self._tables.items() if key not in self._whole}
        unknown = next((looked_up[key] for key, ids in self._unread.items() if key in looked_up and ids > 1), None)
        if unknown is not None:
            rows, width = unknown.shape
            return None, f"ids without contents (meta) look up a table of {rows:,} x {width:,}: its distinct rows are unknown"
        whole = extent_bytes(tensor for views in self._whole.values() for tensor in views.values())
        tables = sum(len(self._rows.get(key, {0})) * table.shape[-1] * table.element_size() for key, table in looked_up.items())
        return whole + tables + sum(extent_bytes(tensors_within(side)) for side in (inputs, outputs)), ""
