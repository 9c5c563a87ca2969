"""What prints a view: its blocks to readers, its rows as CSV; and how a view writes FLOPs and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from spanbench.show.blocks import Cell, Page, Table, Text
from spanbench.show.formats import render
from spanbench.units import full, short

__all__ = ["flops", "renders", "sized"]


class _Render(Protocol):
    def __call__(self, document: Mapping[str, Any], fmt: str = "table", width: int = 80, colour: bool = False) -> str: ...


def renders(blocks: Callable[[Mapping[str, Any]], Iterator[Text | Table]], rows: str | None = None) -> _Render:
    """Return what prints a document: its blocks to readers; as CSV the rows of one of its lists, or itself as one row."""

    def rendered(document: Mapping[str, Any], fmt: str = "table", width: int = 80, colour: bool = False) -> str:
        tidy: Sequence[Mapping[str, Any]] = document[rows] if rows else [_flat(document)]
        return render(Page(tuple(blocks(document)), document, tuple(tidy)), fmt, width, colour)

    return rendered


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in document.items() if not isinstance(value, (dict, list))}
    return plain | {f"{name}.{inner}": value for name, held in document.items() if isinstance(held, dict) for inner, value in held.items()
                    if not isinstance(value, (dict, list))}  # fmt: skip


def flops(value: int) -> Cell:
    """Return FLOPs, short to readers."""
    return Cell(short("flops", value), full("flops", value))


def sized(value: int) -> Cell:
    """Return bytes, short to readers."""
    return Cell(short("peak_bytes", value), full("peak_bytes", value))
