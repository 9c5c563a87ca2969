"""What every view builds: a `Page` of text and tables, beside the data that they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Cell", "Page", "Row", "Table", "Text", "cell"]

Style = Literal["plain", "title", "note"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure in two lengths: `full` where a table has room for it, `short` where it has not."""

    short: str
    full: str


def cell(text: str | Cell) -> Cell:
    """Return text that has one length only as a cell; a cell stays as it is."""
    return Cell(text, text) if isinstance(text, str) else text


@dataclass(frozen=True, slots=True)
class Row:
    """One row; a `group` row is a heading that spans the table and has one cell."""

    cells: tuple[str | Cell, ...]
    group: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column is read from the left; the rest are figures, unless named in `left`."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    title: str = ""
    left: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. `hang` is what its wrapped lines are indented by."""

    text: str
    style: Style = "plain"
    hang: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One view: what a reader sees (`blocks`), the same as one JSON document (`data`) and as tidy rows (`tidy`)."""

    blocks: tuple[Text | Table, ...]
    data: Mapping[str, Any]
    tidy: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
