"""`count --module`: one module's counts, by operation and by submodule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from spanbench.show.blocks import Cell, Page, Row, Table, Text
from spanbench.show.formats import render
from spanbench.units import full, quantity, short

__all__ = ["CountedModule", "page", "render_module"]

QUANTITIES = ("flops", "macs", "cells_dense", "cells_useful", "params", "bytes_compulsory")
DEPTH = 2
"""Levels of submodules that a reader's table shows; JSON and CSV have all."""


class CountedModule(Protocol):
    """What this view reads; `spanbench.count_module` returns one."""

    @property
    def module(self) -> str:
        """Return its class."""
        ...

    @property
    def inputs(self) -> Sequence[str]:
        """Return its inputs as text."""
        ...

    @property
    def mode(self) -> str:
        """Return 'train' or 'eval'."""
        ...

    @property
    def by_operation(self) -> Mapping[str, int]:
        """Return FLOPs by matrix-class operation."""
        ...

    @property
    def by_module(self) -> Mapping[str, int]:
        """Return FLOPs by path."""
        ...

    @property
    def calls(self) -> Mapping[str, int]:
        """Return calls by operation."""
        ...

    @property
    def reasons(self) -> Mapping[str, str]:
        """Return why a quantity is None."""
        ...


def render_module(counted: CountedModule, fmt: str = "table", width: int = 80, colour: bool = False) -> str:
    """Return the view as text in one of `formats.FORMATS`."""
    return render(page(counted), fmt, width, colour)


def page(counted: CountedModule) -> Page:
    """Return the view before it is printed."""
    totals = {name: getattr(counted, name) for name in QUANTITIES}
    data = {
        "module": counted.module,
        "inputs": list(counted.inputs),
        "mode": counted.mode,
        **totals,
        "by_operation": dict(counted.by_operation),
        "by_module": dict(counted.by_module),
        "calls": dict(counted.calls),
        "reasons": dict(counted.reasons),
    }
    return Page(tuple(_blocks(counted, totals)), data, tuple(_tidy(counted, totals)))


def _tidy(counted: CountedModule, totals: Mapping[str, int | None]) -> Iterator[Mapping[str, Any]]:
    for name, value in totals.items():
        yield {"scope": "total", "name": "", "quantity": name, "value": value, "reason": counted.reasons.get(name)}
    for scope, values in (("operation", counted.by_operation), ("module", counted.by_module)):
        for name, flops in values.items():
            yield {"scope": scope, "name": name, "quantity": "flops", "value": flops, "reason": None}


def _blocks(counted: CountedModule, totals: Mapping[str, int | None]) -> Iterator[Text | Table]:
    inputs = ", ".join(counted.inputs) or "no tensors"
    yield Text(f"spanbench count · {counted.module}({inputs}), {counted.mode} mode", "title")
    yield Table(("", "counted"), tuple(Row((quantity(name).label, _cell(name, value))) for name, value in totals.items()))
    flops = totals["flops"] or 0
    yield Table(("operation", "calls", "FLOP", "share"), tuple(_operations(counted, flops)))
    yield Table(("module", "FLOP", "share"), tuple(_modules(counted, flops)))
    yield from (Text(f"{quantity(name).label} unknown: {reason}", "note", hang=2) for name, reason in counted.reasons.items())
    yield Text(
        "FLOPs: 2 a multiply-accumulate of matrix-class operations, all attention cells. A module has those of its submodules.", "note"
    )


def _operations(counted: CountedModule, total: int) -> Iterator[Row]:
    for name, flops in sorted(counted.by_operation.items(), key=lambda item: -item[1]):
        yield Row((name, f"{counted.calls[name]:,}", _cell("flops", flops), _share(flops, total)))
    free = sum(calls for name, calls in counted.calls.items() if name not in counted.by_operation)
    yield Row(("all others", f"{free:,}", "0", _share(0, total)))


def _modules(counted: CountedModule, total: int) -> Iterator[Row]:
    for path, flops in counted.by_module.items():
        if path.count(".") < DEPTH and (flops or not path):
            yield Row((path or "(all)", _cell("flops", flops), _share(flops, total)))


def _cell(name: str, value: int | None) -> str | Cell:
    return "–" if value is None else Cell(short(name, value), full(name, value))


def _share(flops: int, total: int) -> str:
    return f"{100 * flops / total:.1f}%" if total else "–"
